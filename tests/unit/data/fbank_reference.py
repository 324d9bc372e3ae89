"""Writes fbank_reference.npy: what kaldi-native-fbank and NeMo's formulas make of the signal of mel_reference.py.

    python tests/unit/data/fbank_reference.py      # needs numpy, torch, transformers, kaldi-native-fbank

Rows: every fourth frame of Kaldi's bank as WeSpeaker has it (Hamming, 16-bit range), of Kaldi's as 3D-Speaker has it
(Povey, [-1, 1]), and of NeMo's FilterbankFeatures (torch.stft and the Slaney bank of transformers).
"""

import pathlib

import kaldi_native_fbank
import numpy as np
import torch
from transformers.audio_utils import mel_filter_bank

from mel_reference import signal

RATE, BINS = 16000, 80


def kaldi(samples, window):
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.window_type = window
    options.mel_opts.num_bins = BINS
    fbank = kaldi_native_fbank.OnlineFbank(options)
    fbank.accept_waveform(RATE, samples.tolist())
    fbank.input_finished()
    return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


def nemo(samples):
    x = torch.from_numpy(samples)
    x = torch.cat([x[:1], x[1:] - 0.97 * x[:-1]])
    window = torch.hann_window(400, periodic=False)
    spectrum = torch.stft(x, 512, 160, 400, window, center=True, pad_mode="constant", return_complex=True)
    bank = mel_filter_bank(257, BINS, 0, RATE / 2, RATE, norm="slaney", mel_scale="slaney")
    power = spectrum.abs().square().numpy()
    return np.log(bank.T @ power + 2**-24).T[:len(samples) // 160]


if __name__ == "__main__":
    samples = signal()
    banks = kaldi(samples * 32768, "hamming"), kaldi(samples, "povey"), nemo(samples)
    rows = np.concatenate([bank[::4] for bank in banks]).astype(np.float32)
    print([bank.shape for bank in banks], rows.shape)
    np.save(pathlib.Path(__file__).with_name("fbank_reference.npy"), rows)
