"""A teacher of voices: what an encoder that heard thousands of speakers thinks of ours.

Resemblyzer (PyPI; Apache-2.0; weights trained by its authors on VoxCeleb and LibriSpeech with the generalised end-to-end
loss of Wan et al., 2018) tells clean voices apart better than our 925 speakers can teach, and is lost in rooms and
noise. So it listens to the clean sources, once, and the network learns to say the same of what is left of them after the
simulator: every training speaker gets a target, the mean of the teacher's vectors over pieces of 1.6 s, less the mean of
all speakers, unit length.

    python models/train/teacher.py          # out/train/cache/teacher.npy [training speakers, 256]; does nothing when there

The file of weights is read from the installed package; the package itself, and what it imports, is not.
"""

import importlib.util
import pathlib

import numpy as np
import torch
from torch import nn

from corpus import CACHE, RATE, Corpus

PIECE, STEP, FFT, BINS, VECTOR = 160, 160, 400, 40, 256     # a piece is 160 frames of 10 ms
PIECES = 24                                                 # at most so many of a speaker
LEVEL = 10 ** (-30 / 20)                                    # quieter sound is raised to -30 dBFS
TARGETS = CACHE / "teacher.npy"


def slaney_filters():
    """[40,201]: triangles of unit area on Slaney's mel scale (straight below 1 kHz, logarithmic above), 0 to 8 kHz."""
    linear, break_mel, step = 200 / 3, 15.0, np.log(6.4) / 27
    mel = np.linspace(0, break_mel + np.log(RATE / 2 / 1000) / step, BINS + 2)
    edges = np.where(mel < break_mel, mel * linear, 1000 * np.exp(step * (mel - break_mel)))
    frequencies = np.arange(FFT // 2 + 1) * RATE / FFT
    left, centre, right = (e[:, None] for e in (edges[:-2], edges[1:-1], edges[2:]))
    triangles = np.minimum((frequencies - left) / (centre - left), (right - frequencies) / (right - centre))
    return (np.maximum(0, triangles) * 2 / (right - left)).astype(np.float32)


class Teacher(nn.Module):
    """Three LSTMs over 40 mel energies (not logarithms), the last state through a linear layer and ReLU."""

    def __init__(self):
        super().__init__()
        self.lstm, self.linear = nn.LSTM(BINS, VECTOR, 3, batch_first=True), nn.Linear(VECTOR, VECTOR)
        folder = importlib.util.find_spec("resemblyzer").submodule_search_locations[0]
        state = torch.load(pathlib.Path(folder) / "pretrained.pt", map_location="cpu", weights_only=False)["model_state"]
        self.load_state_dict({k: v for k, v in state.items() if k.startswith(("lstm", "linear"))})
        self.filters, self.window = torch.from_numpy(slaney_filters()), torch.hann_window(FFT)

    @torch.no_grad()
    def forward(self, samples):
        """[N, 25600] in [-1,1] -> [N,256] of unit length."""
        samples = samples * (LEVEL / (samples.square().mean(1, keepdim=True).sqrt() + 1e-9)).clamp(min=1)
        spectrum = torch.stft(samples, FFT, STEP, FFT, self.window, pad_mode="constant", return_complex=True)
        mel = (self.filters @ spectrum.abs().square()).transpose(1, 2)[:, :PIECE]
        return nn.functional.normalize(torch.relu(self.linear(self.lstm(mel)[1][0][-1])), dim=1)


def pieces(corpus, speaker, rng):
    """Pieces of a speaker that hold speech for at least 60 %."""
    length = PIECE * STEP
    spots = [s for start, count in corpus.of_speaker[speaker] for s in range(start, start + count - length + 1, length)]
    good = [s for s in spots if corpus.speech[s // STEP:s // STEP + PIECE].mean() > 0.6] or spots
    if not good:                                            # nothing is that long: the longest file, repeated
        start, count = max(corpus.of_speaker[speaker], key=lambda f: f[1])
        return np.resize(corpus.samples[start:start + count], (1, length))
    return np.stack([corpus.samples[s:s + length] for s in rng.permutation(good)[:PIECES]])


def targets():
    corpus, teacher, rng = Corpus(), Teacher(), np.random.default_rng(3)
    vectors = np.zeros((corpus.training, VECTOR), np.float32)
    for speaker in range(corpus.training):
        heard = torch.from_numpy(pieces(corpus, speaker, rng).astype(np.float32) / 32768)
        vectors[speaker] = nn.functional.normalize(teacher(heard).mean(0), dim=0).numpy()
    vectors -= vectors.mean(0)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    if not TARGETS.exists():
        np.save(TARGETS, targets())
