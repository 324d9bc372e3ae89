"""Writes simulated conversations of held-out speakers as FLAC and RTTM, so that the program itself can be tuned and scored.

    python models/train/conversations.py --seed 31                          # 40 into out/conversations-31
    scripts/eval.sh build/release/motet out/conversations-31

Each lasts 3 to 6 minutes and holds 2 to 8 people of LibriSpeech and the Arabic commands, none of whom is heard in training,
in rooms and noise of training's kinds (but rooms and noises of their own), speech 10 to 25 dB over the noise. Turns,
pauses and overlaps are those of real references in seven of ten, else a quick exchange of two or three. The reference bridges a speaker's
pauses under half a second, as hand-made ones do. Seed 31 is for choosing settings; use another one for a figure to report.
"""

import argparse
import pathlib

import numpy as np
import soundfile

from corpus import OUT, RATE, Corpus
from simulate import WINDOW, Simulator

FRAME, PAUSE = 0.01, 50         # a pause of fewer frames is none


def turns(row):
    """Start and end (frames) of the runs of True, those that follow each other closely as one."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    apart = starts[1:] - ends[:-1] >= PAUSE
    return np.stack([starts[np.r_[True, apart][:len(starts)]], ends[np.r_[apart, True][:len(ends)]]], 1)


def write(folder, name, samples, labels):
    soundfile.write(folder / f"{name}.flac", samples, RATE)
    lines = [(start * FRAME, (end - start) * FRAME, speaker)
             for speaker, row in enumerate(labels) for start, end in turns(row)]
    (folder / f"{name}.rttm").write_text("".join(
        f"SPEAKER {name} 1 {start:.3f} {length:.3f} <NA> <NA> voice{speaker} <NA> <NA>\n"
        for start, length, speaker in sorted(lines)))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--count", type=int, default=40)
    arguments.add_argument("--seed", type=int, default=31)
    arguments.add_argument("--minutes", type=float, nargs=2, default=(3, 6), metavar=("LEAST", "MOST"))
    arguments.add_argument("--out", type=pathlib.Path, help="default: out/conversations-SEED")
    given = arguments.parse_args()
    folder = given.out or OUT.parent / f"conversations-{given.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    least, most = (round(m * 60 * RATE / WINDOW) for m in given.minutes)
    simulator = Simulator(Corpus(), dict(real=0.7, quick=0.3), given.seed, heldout=True, windows=most, noise=(10, 25),
                          corpora={"librispeech", "arabic_commands"})
    written = 0
    while written < given.count:
        simulator.last(int(simulator.rng.integers(least, most + 1)))
        samples, labels, _ = simulator.scene()
        labels = labels[labels.any(1)]
        if 2 <= len(labels) <= 8:
            write(folder, f"sim{written:02d}", samples, labels)
            written += 1
