"""Known voices on speakers that training never met (models/train/heldout.txt): how well prints tell them apart.

Of each speaker's recording the first part is enrolled and the rest, in pieces of PIECE seconds, is to be recognised.
Prints: the equal error rate of print against piece; and for several settings of --similarity and --margin, with half of
the speakers known, how many pieces of known speakers get the right name, a wrong one, or none, and how many pieces of
the other half get a name.

    .venv/bin/python tests/bench/known.py build/release/motet [--data FOLDER] [--piece 3] [--model FILE] [--embedding FILE]
"""
import argparse
import csv
import json
import os
import pathlib
import subprocess
import tempfile

import numpy as np
import soundfile

root = pathlib.Path(__file__).resolve().parents[2]


def cut(data, piece, folder):
    """Writes SPEAKER.enrol.wav and SPEAKER.K.wav; returns the speakers that have enough for both."""
    held_out = set((root / "models/train/heldout.txt").read_text().split())
    files = {}
    for row in csv.DictReader(open(data / "speakers.tsv"), delimiter="\t"):
        if row["speaker"] in held_out:
            files.setdefault(row["speaker"], []).append(data / row["path"])
    for speaker, paths in sorted(files.items()):
        samples = np.concatenate([soundfile.read(path, dtype="float32")[0] for path in paths])[:16000 * 40]
        half, size = len(samples) // 2, int(piece * 16000)
        if len(samples) - half < size or half < 3 * 16000:
            continue
        soundfile.write(folder / f"{speaker}.enrol.wav", samples[:half], 16000)
        for k in range((len(samples) - half) // size):
            soundfile.write(folder / f"{speaker}.{k}.wav", samples[half + k * size:half + (k + 1) * size], 16000)


def vectors(motet, folder, options):
    """A vector for each recording: all of it is one speaker. Recordings in which nobody was heard have none."""
    prints = folder / "prints"
    files = sorted(str(p) for p in folder.glob("*.wav"))
    command = [motet, "diarize", "--quiet", "--speakers", "1", "--export-voices", prints, "--output", folder / "turns"]
    subprocess.run([*command, *options, *files], check=True)
    found = {p.name: json.loads(p.read_text()) for p in prints.glob("*.json")}
    return {name.removesuffix("-SPEAKER_00.json"): np.array(p["vector"]) for name, p in found.items()}


def equal_error_rate(same, different):
    thresholds = np.sort(np.concatenate([same, different]))
    missed = np.searchsorted(np.sort(same), thresholds, side="left") / len(same)
    false = 1 - np.searchsorted(np.sort(different), thresholds, side="left") / len(different)
    at = np.argmin(np.abs(missed - false))
    return (missed[at] + false[at]) / 2, thresholds[at]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("motet")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path(os.environ.get("MOTET_DATA", root / "../shared/data")))
    parser.add_argument("--piece", type=float, default=3)
    parser.add_argument("--model")
    parser.add_argument("--embedding")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cut(options.data, options.piece, folder)
        networks = {"--model": options.model, "--embedding": options.embedding}
        found = vectors(options.motet, folder, [part for pair in networks.items() if pair[1] for part in pair])
    prints = {key.removesuffix(".enrol"): v for key, v in found.items() if key.endswith(".enrol")}
    pieces = [(key.rsplit(".", 1)[0], v) for key, v in found.items() if not key.endswith(".enrol")]
    pieces = [(who, v) for who, v in pieces if who in prints]
    names = sorted(prints)
    scores = np.array([v for _, v in pieces]) @ np.array([prints[n] for n in names]).T
    same = np.array([[who == n for n in names] for who, _ in pieces])
    rate, threshold = equal_error_rate(scores[same], scores[~same])
    print(f"{len(names)} speakers, {len(pieces)} pieces of {options.piece:g} s: equal error rate {100 * rate:.1f} % at {threshold:.3f}")
    # Every other speaker is known; the rest are strangers.
    known = np.arange(len(names)) % 2 == 0
    is_known = same[:, known].any(1)
    top = np.sort(scores[:, known], axis=1)[:, ::-1]
    right = same[:, known][np.arange(len(pieces)), scores[:, known].argmax(1)]
    print(f"{known.sum()} of them known\n{'similarity':>10} {'margin':>6} | known: {'right':>6} {'wrong':>6} {'none':>6} | strangers named")
    for similarity in (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8):
        for margin in (0, 0.05, 0.1, 0.15, 0.2):
            said = (top[:, 0] >= similarity) & (top[:, 0] - top[:, 1] >= margin)
            row = [np.mean(x) * 100 for x in ((said & right)[is_known], (said & ~right)[is_known], ~said[is_known], said[~is_known])]
            print(f"{similarity:10.2f} {margin:6.2f} | {'':6} {row[0]:6.1f} {row[1]:6.1f} {row[2]:6.1f} | {row[3]:15.1f}")


if __name__ == "__main__":
    main()
