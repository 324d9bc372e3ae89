"""Writes simulated conversations of held-out speakers as FLAC and RTTM, so that the program itself can be tuned and scored.

    python models/train/conversations.py --count 40 --seed 21      # into out/simulated/
    scripts/eval.sh build/release/motet out/simulated

The reference bridges a speaker's pauses under half a second, as hand-made ones do. Nobody in them is heard in training. Seed 21 is for choosing settings; use another one for a figure to report.
"""

import argparse
import pathlib

import numpy as np
import soundfile

from corpus import OUT, RATE, Corpus
from simulate import Simulator

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
    arguments.add_argument("--seed", type=int, default=21)
    arguments.add_argument("--windows", type=int, default=40, help="length, in windows of 3 s")
    arguments.add_argument("--out", type=pathlib.Path, default=OUT.parent / "simulated")
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    simulator = Simulator(Corpus(), dict(real=0.6, quick=0.4), given.seed, heldout=True, windows=given.windows)
    written = 0
    while written < given.count:
        samples, labels, _ = simulator.scene()
        labels = labels[labels.any(1)]
        if 1 <= len(labels) <= 8:
            write(given.out, f"sim{written:02d}", samples, labels)
            written += 1
