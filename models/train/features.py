"""The log-mel front end, exactly as models/README.md defines it: the twin of src/dsp/mel.c.

    python models/train/features.py speech.wav features.npy      # reference for a test of the C version: [frames,80] float32

Frame i is the 400 samples from 160 i - 120 to 160 i + 280 of the stream, zeros outside it, so that it is centred on the
10 ms that it stands for. `log_mel` is the definition (numpy, float64 inside); `LogMel` is the same in torch for batches
of windows, in float32, for training. A window of 48000 samples is a stream of its own: 300 frames.
"""

import sys

import numpy as np

RATE, BINS, LENGTH, STEP, FFT = 16000, 80, 400, 160, 512
LOW, HIGH, FLOOR = 20.0, 7600.0, 1e-7
LEAD = (LENGTH - STEP) // 2     # samples that a frame reaches back before its 10 ms


def hann():
    """The periodic window: one period of a raised cosine over 400 samples."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(LENGTH) / LENGTH)


def triangles():
    """[257,80] weights: equally spaced on the HTK mel scale, straight in Hz, peak 1."""
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (np.linspace(mel(LOW), mel(HIGH), BINS + 2) / 2595) - 1)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    f = np.arange(FFT // 2 + 1)[:, None] * RATE / FFT
    return np.maximum(0, np.minimum((f - left) / (centre - left), (right - f) / (right - centre)))


def log_mel(samples):
    """Samples in [-1,1] -> [len // 160, 80] float32."""
    count = len(samples) // STEP
    padded = np.zeros(count * STEP + LENGTH)
    kept = np.asarray(samples, np.float64)[:count * STEP + LENGTH - LEAD]
    padded[LEAD:LEAD + len(kept)] = kept
    frames = np.lib.stride_tricks.sliding_window_view(padded, LENGTH)[:count * STEP:STEP]
    power = np.abs(np.fft.rfft(frames * hann(), FFT)) ** 2
    return np.log(np.maximum(power @ triangles(), FLOOR)).astype(np.float32)


def inputs(kind, windows):
    """Windows [N,48000] in [-1,1] as a network wants them whose `motet.input` is `kind`, float32."""
    return np.stack([log_mel(w) for w in windows]) if kind == "log-mel" else np.asarray(windows, np.float32)


class LogMel:
    """[N,48000] float32 tensor -> [N,300,80]."""

    def __init__(self):
        import torch
        self.torch = torch
        self.window = torch.from_numpy(hann().astype(np.float32))
        self.filters = torch.from_numpy(triangles().astype(np.float32))

    def __call__(self, samples):
        count = samples.shape[1] // STEP
        padded = self.torch.nn.functional.pad(samples, (LEAD, LENGTH - STEP - LEAD))
        frames = padded.unfold(1, LENGTH, STEP)[:, :count]
        spectrum = self.torch.fft.rfft(frames * self.window, FFT)
        power = spectrum.real.square() + spectrum.imag.square()
        return self.torch.log(self.torch.clamp(power @ self.filters, min=FLOOR))


if __name__ == "__main__":
    import soundfile
    if len(sys.argv) != 3:
        sys.exit("usage: features.py AUDIO OUTPUT.npy   (16 kHz mono)")
    audio, rate = soundfile.read(sys.argv[1], dtype="float32")
    if rate != RATE or audio.ndim != 1:
        sys.exit(f"{sys.argv[1]}: {rate} Hz, {audio.ndim} dimensions; wanted 16000 Hz mono")
    np.save(sys.argv[2], log_mel(audio))
