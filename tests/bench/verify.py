"""Verification between speakers whom training never met (models/train/heldout.txt): 3 s of one recording against 3 s of
another, never of the same one. Prints the equal error rate, and for each corpus by itself.

    .venv/bin/python tests/bench/verify.py build/release/motet [--data FOLDER] [--piece 3] [OPTION...]

The options go to `motet diarize`: --model, --embedding. Speakers with one recording alone are strangers to the others.
"""
import argparse
import csv
import itertools
import os
import pathlib
import tempfile

import numpy as np
import soundfile

from known import equal_error_rate, root, vectors


def cut(data, piece, most, folder):
    """Writes CORPUS.SPEAKER.RECORDING.wav: the middle of each recording that is long enough, `most` of a speaker."""
    held_out = set((root / "models/train/heldout.txt").read_text().split())
    size, taken = int(piece * 16000), {}
    for row in csv.DictReader(open(data / "speakers.tsv"), delimiter="\t"):
        speaker, corpus = row["speaker"], row["corpus"]
        if speaker not in held_out or taken.get(speaker, 0) == most:
            continue
        samples, _ = soundfile.read(data / row["path"], dtype="float32")
        if len(samples) < size:
            continue
        middle = (len(samples) - size) // 2
        taken[speaker] = taken.get(speaker, 0) + 1
        name = f"{corpus.replace('.', '_')}.{speaker.replace('.', '_')}.{taken[speaker]}"
        soundfile.write(folder / f"{name}.wav", samples[middle:middle + size], 16000)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("motet")
    parser.add_argument("--data", type=pathlib.Path, default=os.environ.get("MOTET_DATA", root / "../shared/data"))
    parser.add_argument("--piece", type=float, default=3)
    parser.add_argument("--most", type=int, default=6, help="recordings of a speaker")
    given, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cut(pathlib.Path(given.data), given.piece, given.most, folder)
        pieces = len(list(folder.glob("*.wav")))
        found = vectors(given.motet, folder, options)
    same, different = {}, {}
    for (a, x), (b, y) in itertools.combinations(found.items(), 2):
        corpus, other = a.split(".")[0], b.split(".")[0]
        if a.split(".")[1] == b.split(".")[1]:
            same.setdefault(corpus, []).append(x @ y)
        else:
            different.setdefault(corpus if corpus == other else "across", []).append(x @ y)
    print(f"{pieces} pieces of {given.piece:g} s, {len(found)} of them with speech")
    for corpus in sorted(same):
        rate, _ = equal_error_rate(np.array(same[corpus]), np.array(different[corpus]))
        print(f"{corpus:24} {len(same[corpus]):6d} same {len(different[corpus]):8d} different   EER {100 * rate:5.2f} %")
    rate, at = equal_error_rate(np.concatenate(list(same.values())), np.concatenate(list(different.values())))
    print(f"{'all':24} {sum(map(len, same.values())):6d} same {sum(map(len, different.values())):8d} different   "
          f"EER {100 * rate:5.2f} %, at cosine {at:.2f}")


if __name__ == "__main__":
    main()
