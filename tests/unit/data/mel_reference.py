"""Writes mel_reference.npy: what models/train/features.py makes of the signal that tests/unit/test_mel.c makes too.

    python tests/unit/data/mel_reference.py      # needs numpy

A rising tone over noise, then noise alone, a loud click, and digital silence: 120 frames.
"""

import pathlib
import sys

import numpy as np

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parents[2] / "models" / "train"))
import features  # noqa: E402

SAMPLES, TONE, SOUND, CLICK = 19200, 9600, 16000, 14000


def noise(count):
    """The generator of Numerical Recipes, its upper 24 bits as -0.5 .. 0.5."""
    state, values = 1, np.empty(count)
    for i in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        values[i] = (state >> 8) / 2**24 - 0.5
    return values


def signal():
    t = np.arange(SAMPLES) / features.RATE
    samples = 0.05 * noise(SAMPLES)
    samples[:TONE] += 0.4 * np.sin(2 * np.pi * (100 * t + 5000 * t * t)[:TONE])
    samples[CLICK] = 1
    samples[SOUND:] = 0
    return samples.astype(np.float32)


if __name__ == "__main__":
    np.save(here / "mel_reference.npy", features.log_mel(signal()))
