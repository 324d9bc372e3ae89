"""All speech in one flat cache: samples, speech labels and an index, for training processes to map and share.

    python models/train/corpus.py            # makes out/train/cache (about 4 GB, ten minutes on two cores); does nothing when it is there

Sources are the corpora under $MOTET_DATA/speakers (default ../shared/data beside the tree) and the invented voices of
synthetic.py. Real speakers that evaluate.py is to meet as strangers are drawn once, with a seed, into heldout.txt; they
and the synthetic voices of the sample conversation get split "heldout", and training never sees them.

A voice played at 0.9 or 1.1 times its speed has another pitch and another vocal tract: training takes such copies as
speakers of their own (Yamamoto et al., 2019), which makes three out of each.

Speech labels, one per 10 ms. Silero VAD (MIT) hears the clean source and says where speech is, in steps of 32 ms; frame
energy refines its borders. Pauses under 0.2 s stay speech, specks under 50 ms go: whether a longer pause is bridged depends on who
speaks next, which the diarizer knows (--min-gap) and a window may not.

The cache: samples.i16 and speech.u8 (one label per 160 samples; each file starts on a multiple of 160), index.npz with one
row a file: start and length in samples, speaker (a class number for training speakers, in speakers.txt), split.
"""

import csv
import multiprocessing
import os
from pathlib import Path

import numpy as np
import onnxruntime
import scipy.signal
import soundfile

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
DATA = Path(os.environ.get("MOTET_DATA", TREE.parent / "shared" / "data"))
OUT = TREE / "out" / "train"
CACHE = OUT / "cache"
VAD = DATA.parent / "models" / "silero_vad" / "silero_vad.onnx"

RATE, STEP = 16000, 160
SPEEDS = {"": (1, 1), "-slow": (10, 9), "-fast": (10, 11)}      # up, down of the resampler
HELD_BACK = {"librispeech": 25, "arabic_commands": 6, "speechocean762": 10, "speech_commands": 15,
             "alphanumeric-duke": 5, "dspspeech20": 3, "commonvoice-hsb": 2}


def draw_heldout(rows):
    """The list in heldout.txt, drawn when the file is not there."""
    path = HERE / "heldout.txt"
    if not path.exists():
        rng = np.random.default_rng(20)
        chosen = []
        for corpus, count in HELD_BACK.items():
            names = sorted({r["speaker"] for r in rows if r["corpus"] == corpus})
            chosen += sorted(rng.choice(names, count, replace=False))
        path.write_text("".join(f"{name}\n" for name in chosen))
    return set(path.read_text().split())


class Silero:
    """Probability of speech for every 32 ms; many signals at once, one state each."""

    CHUNK, CONTEXT = 512, 64

    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(VAD), options, providers=["CPUExecutionProvider"])

    def __call__(self, signals):
        chunks = -(-max(len(s) for s in signals) // self.CHUNK)
        audio = np.zeros((len(signals), self.CONTEXT + chunks * self.CHUNK), np.float32)
        for row, signal in zip(audio, signals):
            row[self.CONTEXT:self.CONTEXT + len(signal)] = signal
        state = np.zeros((2, len(signals), 128), np.float32)
        result = np.empty((len(signals), chunks), np.float32)
        for i in range(chunks):
            piece = audio[:, i * self.CHUNK:(i + 1) * self.CHUNK + self.CONTEXT]
            output, state = self.session.run(None, {"input": piece, "state": state, "sr": np.array(RATE, np.int64)})
            result[:, i] = output[:, 0]
        return result


def runs(labels):
    """[start, end) of every run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], labels.astype(np.int8), [0]])))
    return edges.reshape(-1, 2)


def speech_labels(signal, probability):
    """10 ms labels from Silero's 32 ms probabilities and the energy of the frames."""
    frames = len(signal) // STEP
    heard = np.convolve(probability > 0.4, np.ones(5), "same") > 0            # 64 ms to either side, for energy to trim
    heard = heard[np.minimum(np.arange(frames) * STEP // Silero.CHUNK, len(heard) - 1)]
    power = np.square(signal[:frames * STEP].reshape(frames, STEP)).mean(1)
    level = 10 * np.log10(power + 1e-10)
    level = np.convolve(level, np.ones(3) / 3, "same")
    floor, peak = np.percentile(level, 5), np.percentile(level, 95)
    labels = heard & (level > max(peak - 38, floor + 0.25 * (peak - floor)))
    for start, end in runs(~labels):
        if end - start < 20 and start > 0 and end < frames:
            labels[start:end] = True
    for start, end in runs(labels):
        if end - start < 5:
            labels[start:end] = False
    return labels


def load_batch(paths):
    """Decode and label a few files: [(samples float32, labels bool)]. Runs in a worker process."""
    signals = []
    for path in paths:
        audio, rate = soundfile.read(path, dtype="float32")
        assert rate == RATE and audio.ndim == 1, path
        signals.append(audio[:len(audio) // STEP * STEP])
    vad = Silero()                                                            # it hears little in quiet recordings
    loud = [s * np.float32(0.5 / (np.abs(s).max() + 1e-9)) for s in signals]
    return [(s, speech_labels(s, p)) for s, p in zip(signals, vad(loud))]


def build():
    import synthetic
    with open(DATA / "speakers.tsv") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    heldout = draw_heldout(rows)
    files = [(r["corpus"], r["speaker"], DATA / r["path"], r["speaker"] in heldout) for r in rows]
    files += [("synthetic", name, path, held) for name, path, held in synthetic.speak(OUT / "synthetic")]
    files.sort(key=lambda f: os.path.getsize(f[2]))                           # batches of like lengths waste no padding
    batches = [files[i:i + 32] for i in range(0, len(files), 32)]
    CACHE.mkdir(parents=True, exist_ok=True)
    index, names, position = [], {}, 0
    with open(CACHE / "samples.i16", "wb") as samples, open(CACHE / "speech.u8", "wb") as speech, \
            multiprocessing.Pool(2) as pool:
        results = pool.imap(load_batch, [[f[2] for f in batch] for batch in batches])
        for batch, result in zip(batches, results):
            for (corpus, speaker, path, held), (audio, labels) in zip(batch, result):
                if labels.mean() < 0.1:
                    print(f"left out, hardly any speech: {path.name}", flush=True)
                    continue
                for suffix, (up, down) in SPEEDS.items():
                    if held and suffix:
                        continue
                    copy = scipy.signal.resample_poly(audio, up, down) if suffix else audio
                    copy = copy[:len(copy) // STEP * STEP]
                    where = np.minimum(np.arange(len(copy) // STEP) * down // up, len(labels) - 1)
                    np.clip(np.rint(copy * 32767), -32768, 32767).astype(np.int16).tofile(samples)
                    labels[where].astype(np.uint8).tofile(speech)
                    number = names.setdefault((corpus, speaker + suffix, held), len(names))
                    index.append((position, len(copy), number))
                    position += len(copy)
    # training speakers get the numbers 0 ... n-1, the held-out ones follow
    keys = list(names)
    order = sorted(range(len(keys)), key=lambda i: (keys[i][2], keys[i]))
    rank = {old: new for new, old in enumerate(order)}
    index = np.array([(start, length, rank[number]) for start, length, number in index], np.int64)
    training = sum(not key[2] for key in keys)
    (CACHE / "speakers.txt").write_text("".join(f"{keys[i][0]}\t{keys[i][1]}\n" for i in order))
    np.savez(CACHE / "index.npz", files=index, training=training)
    print(f"{position / RATE / 3600:.1f} h, {training} training speakers, {len(keys) - training} held out")


class Corpus:
    """The cache, mapped."""

    def __init__(self):
        index = np.load(CACHE / "index.npz")
        self.files, self.training = index["files"], int(index["training"])
        self.samples = np.memmap(CACHE / "samples.i16", np.int16, "r")
        self.speech = np.memmap(CACHE / "speech.u8", np.uint8, "r")
        lines = (CACHE / "speakers.txt").read_text().splitlines()
        self.corpora, self.names = zip(*(line.split("\t") for line in lines))
        by_speaker = np.argsort(self.files[:, 2], kind="stable")
        starts = np.searchsorted(self.files[by_speaker, 2], np.arange(len(self.names) + 1))
        self.of_speaker = [self.files[by_speaker[a:b], :2] for a, b in zip(starts, starts[1:])]


if __name__ == "__main__":
    if not (CACHE / "index.npz").exists():
        build()
