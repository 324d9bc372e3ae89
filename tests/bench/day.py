"""A simulated day of few speakers: how long it takes, how much memory, and whether labels are kept.

    .venv/bin/python tests/bench/day.py build/release [--hours 8] [--speakers 6] [--data FOLDER] [OPTION...]

Speakers whom training never met (models/train/heldout.txt) take turns of 1 to 12 s with pauses, a tenth of the turns
begin before the last one ends, and there is noise at 20 dB under them. Printed: elapsed / duration, resident memory,
purity (the share of speech whose label belongs to its speaker, one speaker a label over all of the recording), and
stability: of each speaker's speech the share with his most frequent label, hour by hour. The options go to `motet
diarize`; nothing here chose any setting.
"""
import argparse
import csv
import os
import pathlib
import subprocess
import tempfile

import numpy as np
import soundfile

root = pathlib.Path(__file__).resolve().parents[2]
RATE = 16000


def voices(data, count, generator):
    """Speakers with the most speech, a corpus no more than half of them."""
    held_out = set((root / "models/train/heldout.txt").read_text().split())
    seconds, files = {}, {}
    for row in csv.DictReader(open(data / "speakers.tsv"), delimiter="\t"):
        if row["speaker"] in held_out:
            key = row["corpus"], row["speaker"]
            seconds[key] = seconds.get(key, 0) + float(row["seconds"])
            files.setdefault(key, []).append(data / row["path"])
    chosen = []
    for key in sorted(seconds, key=lambda k: -seconds[k]):
        if sum(c == key[0] for c, _ in chosen) < (count + 1) // 2:
            chosen.append(key)
    for key in chosen[:count]:
        samples = np.concatenate([soundfile.read(f, dtype="float32")[0] for f in files[key]])
        yield samples / np.sqrt((samples ** 2).mean() + 1e-9) * 0.05 * 10 ** generator.uniform(-0.2, 0.2)


def turn_times(hours, count, generator):
    at, last = 0.5, -1
    while at < hours * 3600 - 15:
        speaker = int(generator.choice([k for k in range(count) if k != last] if count > 1 else [0]))
        length = generator.uniform(1, 12)
        start = max(at - generator.uniform(0.3, 1.5), 0) if generator.random() < 0.1 else at + generator.exponential(0.4)
        yield start, length, speaker
        at, last = start + length, speaker


def write(path, speakers, hours, generator):
    """Hour by hour, so that a day needs no more memory than an hour. Returns the turns."""
    turns, block = list(turn_times(hours, len(speakers), generator)), 3600 * RATE
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as out:
        for first in range(0, int(hours * 3600 * RATE), block):
            count = min(block, int(hours * 3600 * RATE) - first)
            mix = 0.005 * generator.standard_normal(count, dtype=np.float32)
            for start, length, k in turns:
                begin, n = int(start * RATE), int(length * RATE)
                if begin + n <= first or begin >= first + count:
                    continue
                at = int(start * 7919) % max(len(speakers[k]) - n, 1)
                piece = np.resize(speakers[k][at:at + n], n)
                low, high = max(begin, first), min(begin + n, first + count)
                mix[low - first:high - first] += piece[low - begin:high - begin]
            out.write(np.clip(mix, -1, 1))
    return turns


def compare(turns, rttm, hours, count):
    """Common time in frames of 0.1 s: [hour, speaker, label]."""
    lines = [line.split() for line in rttm.read_text().splitlines()]
    labels = sorted({x[7] for x in lines})
    grid = np.zeros((len(labels), int(hours * 36000) + 1), bool)
    for x in lines:
        grid[labels.index(x[7]), int(float(x[3]) * 10):int((float(x[3]) + float(x[4])) * 10)] = True
    common = np.zeros((int(np.ceil(hours)), count, len(labels)))
    for start, length, k in turns:
        low, high = int(start * 10), int((start + length) * 10)
        common[min(low // 36000, len(common) - 1), k] += grid[:, low:high].sum(1)
    return common


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--hours", type=float, default=8)
    parser.add_argument("--speakers", type=int, default=6)
    parser.add_argument("--data", type=pathlib.Path, default=os.environ.get("MOTET_DATA", root / "../shared/data"))
    given, options = parser.parse_known_args()
    generator = np.random.default_rng(8)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        speakers = list(voices(pathlib.Path(given.data), given.speakers, generator))
        turns = write(folder / "day.flac", speakers, given.hours, generator)
        subprocess.run([given.build / "tests/measure", folder / "time", given.build / "motet", "diarize", "-q", *options,
                        "-o", folder / "day.rttm", folder / "day.flac"], check=True)
        elapsed, kilobytes = map(float, (folder / "time").read_text().split()[:2])
        common = compare(turns, folder / "day.rttm", given.hours, given.speakers)
    whole = common.sum(0)
    usual = whole.argmax(1)
    hourly = [sum(h[k, usual[k]] for k in range(given.speakers)) / h.sum() for h in common if h.sum()]
    print(f"speakers, of {given.speakers:<22d} {common.shape[2]:8d}")
    print(f"elapsed / duration                {elapsed / given.hours / 3600:8.4f}   (bar 0.01)")
    print(f"largest resident memory, MB       {kilobytes / 1024:8.0f}   (bar 400)")
    print(f"purity, %                         {100 * whole.max(0).sum() / whole.sum():8.2f}")
    print(f"speech with its speaker's label,% {100 * sum(whole[k, usual[k]] for k in range(given.speakers)) / whole.sum():8.2f}")
    print(f"the same, least and most of an hour {100 * min(hourly):6.2f} {100 * max(hourly):6.2f}")


if __name__ == "__main__":
    main()
