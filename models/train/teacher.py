"""A teacher of voices: what an encoder that heard far more speakers thinks of ours.

CAM++ (models/third-party; weights by 3D-Speaker, Apache-2.0; here as floats) tells clean voices apart better than our
925 speakers can teach. So it listens to the clean sources, once, and the network learns to say the same of what is left of
them after the simulator: every training speaker gets a target, the mean of the teacher's vectors over pieces of 3 s, less
the mean of all speakers, unit length.

    python models/third-party/export.py     # out/third-party/campplus.onnx
    python models/train/teacher.py          # out/train/cache/teacher.npy [training speakers, 192]; does nothing when there
"""

import multiprocessing
import sys

import kaldi_native_fbank
import numpy as np
import onnxruntime

from corpus import CACHE, RATE, STEP, TREE, Corpus

PIECE, VECTOR = 300, 192                                    # a piece is 300 frames of 10 ms
PIECES = 10                                                 # at most so many of a speaker
TARGETS = CACHE / "teacher.npy"
MODEL = TREE / "out" / "third-party" / "campplus.onnx"


class Teacher:
    """[N] samples in [-1,1] -> [192] of unit length. Features as the file's description says: Kaldi's, less their mean."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.options = kaldi_native_fbank.FbankOptions()
        self.options.frame_opts.dither = 0
        self.options.mel_opts.num_bins = 80

    def __call__(self, samples):
        bank = kaldi_native_fbank.OnlineFbank(self.options)
        bank.accept_waveform(RATE, samples.tolist())
        bank.input_finished()
        features = np.stack([bank.get_frame(i) for i in range(bank.num_frames_ready)])
        vector = self.session.run(None, {self.session.get_inputs()[0].name: (features - features.mean(0))[None]})[0][0]
        return vector / np.linalg.norm(vector)


def pieces(corpus, speaker, rng):
    """Pieces of a speaker that hold speech for at least 60 %."""
    length = PIECE * STEP
    spots = [s for start, count in corpus.of_speaker[speaker] for s in range(start, start + count - length + 1, length)]
    good = [s for s in spots if corpus.speech[s // STEP:s // STEP + PIECE].mean() > 0.6] or spots
    if not good:                                            # nothing is that long: the longest file, repeated
        start, count = max(corpus.of_speaker[speaker], key=lambda f: f[1])
        return np.resize(corpus.samples[start:start + count], (1, length))
    return np.stack([corpus.samples[s:s + length] for s in rng.permutation(good)[:PIECES]])


def listen(speakers):
    """The targets of a few speakers, before the mean of all is taken off. Runs in a worker process."""
    corpus, teacher, vectors = Corpus(), Teacher(MODEL), np.zeros((len(speakers), VECTOR), np.float32)
    for vector, speaker in zip(vectors, speakers):
        for piece in pieces(corpus, speaker, np.random.default_rng([3, speaker])):
            vector += teacher(piece.astype(np.float32) / 32768)
        vector /= np.linalg.norm(vector)
    return vectors


def targets():
    groups = np.array_split(np.arange(Corpus().training), 100)
    vectors = []
    with multiprocessing.Pool() as pool:
        for done, part in enumerate(pool.imap(listen, groups)):
            vectors.append(part)
            print(f"teacher: {done + 1} % of the speakers", file=sys.stderr, flush=True)
    vectors = np.concatenate(vectors)
    vectors -= vectors.mean(0)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    if not TARGETS.exists():
        np.save(TARGETS, targets())
