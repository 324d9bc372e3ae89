"""What a model scores on people and noises it has never met. Runs the exported file with ONNX Runtime.

    python models/train/evaluate.py models/motet-cnn.onnx
    python models/train/evaluate.py models/third-party/campplus.onnx       # a network for voices alone: verification alone

    verification   3 s of one voice against 3 s of another, held-out speakers: equal error rate. Pairs are within a corpus
                   (the microphone is no help) and, last line, over all real speakers. Two pieces of a speaker never come
                   from one recording where there are several; LibriSpeech has one each, cut in separate pieces.
                   "dry": the piece as recorded; "mixed": through the simulator's rooms, noises (held out too) and channels.
    windows        held-out simulated windows: powerset accuracy, local error rate (missed + false alarm + confusion over
                   speech, slots matched in each window), speech F1.
    conversations  40 held-out simulated minutes through diarizer.py, for a range of its own thresholds
                   (average linkage; motet.threshold is of centroids and chosen with the program, scripts/eval.sh).
                   Then real ones, $MOTET_DATA/conversations, and the synthetic one of samples/,
                   scored with that choice and with the right number of speakers given.
"""

import argparse

import kaldi_native_fbank
import numpy as np
import soundfile
from scipy.optimize import linear_sum_assignment

import diarizer
from corpus import DATA, RATE, STEP, TREE, Corpus
from network import MEMBER
from simulate import FRAMES, IGNORE, WINDOW, Simulator

CONVERSATIONS = dict(real=0.6, quick=0.4)


def equal_error_rate(same, different):
    scores = np.concatenate([same, different])
    truth = np.concatenate([np.ones(len(same)), np.zeros(len(different))])[np.argsort(scores)]
    rejected = np.cumsum(truth) / len(same)
    accepted = 1 - np.cumsum(1 - truth) / len(different)
    i = np.argmin(np.abs(rejected - accepted))
    return (rejected[i] + accepted[i]) / 2


class Embedding:
    """Somebody else's network for voices (motet.role embedding, motet.input kaldi-fbank), as verification calls a model."""

    def __init__(self, model):
        self.session, self.metadata = model.session, model.metadata
        self.options = kaldi_native_fbank.FbankOptions()
        self.options.frame_opts.dither = 0
        self.options.frame_opts.window_type = self.metadata["motet.fbank.window"]
        self.options.mel_opts.num_bins = int(self.metadata["motet.fbank.bins"])

    def voice(self, samples):
        bank = kaldi_native_fbank.OnlineFbank(self.options)
        bank.accept_waveform(RATE, (samples / 32768 * float(self.metadata["motet.fbank.scale"])).tolist())
        bank.input_finished()
        rows = np.stack([bank.get_frame(i) for i in range(bank.num_frames_ready)])
        found = self.session.run(None, {self.session.get_inputs()[0].name: (rows - rows.mean(0))[None]})[0][0]
        return found / np.linalg.norm(found)

    def __call__(self, windows):
        return np.zeros((len(windows), 1, len(MEMBER))), np.stack([self.voice(w) for w in windows])[:, None]


def main_voice(model, windows):
    """The vector of the slot that talks most: what a user of the file would take for a window of one speaker."""
    probabilities, voices = model(windows)
    return voices[np.arange(len(voices)), (probabilities @ MEMBER.numpy()).sum(1).argmax(1)]


def pieces(corpus, number, rng):
    """Up to six 3 s pieces of a speaker that are mostly speech: samples, recording."""
    found = []
    files = corpus.of_speaker[number]
    for recording, (start, length) in enumerate(files):
        spots = np.arange(start, start + length - WINDOW + 1, WINDOW)
        good = [s for s in spots if corpus.speech[s // STEP:(s + WINDOW) // STEP].mean() > 0.5]
        limit = 1 if len(files) >= 6 else 3
        found += [(corpus.samples[s:s + WINDOW], recording if len(files) > 1 else s)
                  for s in rng.permutation(good)[:limit].astype(int)]
    return [found[i] for i in rng.permutation(len(found))[:6]]


def verification(model, corpus):
    rng = np.random.default_rng(5)
    simulator = Simulator(corpus, {"solo": 1}, 5, heldout=True, windows=1)
    windows, speaker, recording, group = [], [], [], []
    for number in range(corpus.training, len(corpus.names)):
        for samples, where in pieces(corpus, number, rng):
            windows.append(samples)
            speaker.append(number)
            recording.append(where)
            group.append(corpus.corpora[number])
    speaker, recording, group = map(np.array, (speaker, recording, group))
    mixed = []
    for samples in windows:
        track = samples / np.sqrt(np.square(samples.astype(np.float32)).mean())
        track = simulator.heard(track.astype(np.float32), simulator.random_room(), 0, True)
        mixed.append(simulator.channel(track / np.sqrt(np.square(track).mean()), np.ones((1, WINDOW // STEP), bool)))
    upper = np.triu(np.ones((len(speaker), len(speaker)), bool), 1)
    same = upper & (speaker[:, None] == speaker) & (recording[:, None] != recording)
    different = upper & (speaker[:, None] != speaker)
    near = group[:, None] == group
    real = group != "synthetic"
    for condition, sound in (("dry", windows), ("mixed", mixed)):
        voices = main_voice(model, np.stack(sound))
        score = voices @ voices.T
        for name in dict.fromkeys(group):
            inside = near & (group == name)
            print(f"verification  {condition:6s} {name:18s} EER {equal_error_rate(score[same & inside], score[different & inside]):6.1%}"
                  f"   ({len(set(speaker[group == name]))} speakers, {np.count_nonzero(same & inside)} same pairs)")
        for name, chosen in (("within corpora", near), ("all real", real[:, None] & real)):
            print(f"verification  {condition:6s} {name:18s} EER"
                  f" {equal_error_rate(score[same & chosen & real], score[different & chosen & real]):6.1%}")


def windows(model, corpus):
    simulator = Simulator(corpus, dict(real=0.55, quick=0.4, empty=0.05), 6, heldout=True)
    samples, classes = (np.concatenate(p) for p in list(zip(*(simulator.windows() for _ in range(200))))[:2])
    probabilities, _ = model(samples)
    decided = probabilities.argmax(2)
    total, right, speech = np.zeros(4), [], np.zeros(3)
    table = MEMBER.numpy().astype(bool)
    for truth, guess in zip(classes, decided):
        heard = truth != IGNORE
        reference, hypothesis = table[truth[heard]].T, table[guess[heard]].T
        total += diarizer.errors(reference, hypothesis)
        agree = (reference[:, None] == hypothesis).sum(2)
        order = linear_sum_assignment(-agree)[1]
        right.append((reference == hypothesis[order]).all(0))
        r, h = reference.any(0), hypothesis.any(0)
        speech += np.count_nonzero(r & h), np.count_nonzero(r), np.count_nonzero(h)
    missed, false, confused = total[:3] / total[3]
    print(f"windows       {len(samples)} held-out: frames with the right set {np.concatenate(right).mean():.1%}, local error "
          f"{missed + false + confused:.1%} (missed {missed:.1%} false {false:.1%} confused {confused:.1%}), "
          f"speech F1 {2 * speech[0] / (speech[1] + speech[2]):.3f}")


def report(name, results, truth):
    total = sum(e for e, _ in results)
    missed, false, confused = total[:3] / total[3]
    right = np.mean([n == t for (_, n), t in zip(results, truth)])
    print(f"{name}  DER {missed + false + confused:6.1%}  (missed {missed:5.1%} false {false:5.1%} confused {confused:5.1%})"
          f"  right number {right:.0%}")
    return missed + false + confused


def simulated(model, corpus, count=40):
    """[(local results, reference [speakers, 20 ms frames])] of held-out minutes."""
    simulator = Simulator(corpus, CONVERSATIONS, 8, heldout=True, windows=20)
    found = []
    while len(found) < count:
        samples, labels, _ = simulator.scene()
        labels = labels[labels.any(1)]
        if 1 <= len(labels) <= 6:
            found.append((diarizer.local(model, samples), labels[:, ::2]))
    return found


def conversations(model, corpus):
    found = simulated(model, corpus)
    truth = [len(reference) for _, reference in found]
    best = {}
    for threshold in np.arange(0.3, 0.96, 0.05):
        results = []
        for part, reference in found:
            hypothesis = diarizer.assemble(*part, reference.shape[1], threshold)
            results.append((diarizer.errors(reference, hypothesis), len(hypothesis)))
        best[threshold] = report(f"conversations simulated, threshold {threshold:.2f}", results, truth)
    return min(best, key=best.get)


def read_rttm(path, frames):
    """[speakers, 10 ms frames]."""
    rows = {}
    for line in path.read_text().splitlines():
        field = line.split()
        if field[:1] == ["SPEAKER"]:
            row = rows.setdefault(field[7], np.zeros(frames, bool))
            row[round(float(field[3]) * 100):round((float(field[3]) + float(field[4])) * 100)] = True
    return np.stack(list(rows.values()))


def recordings(model, folder, name, threshold):
    """Scores every FLAC of a folder against the RTTM beside it."""
    automatic, told, truth, speech = [], [], [], np.zeros(3)
    for path in sorted(folder.glob("*.flac")):
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == RATE
        frames = len(samples) // STEP
        reference = read_rttm(path.with_suffix(".rttm"), frames)
        part = diarizer.local(model, samples)
        truth.append(len(reference))
        for results, count in ((automatic, None), (told, len(reference))):
            hypothesis = diarizer.assemble(*part, -(-frames // 2), threshold, count).repeat(2, 1)[:, :frames]
            results.append((diarizer.errors(reference, hypothesis), len(hypothesis)))
        r, h = reference.any(0), hypothesis.any(0)
        speech += np.count_nonzero(r & h), np.count_nonzero(r), np.count_nonzero(h)
        report(f"{name:13s} {path.stem:16s}", automatic[-1:], truth[-1:])
    report(f"{name:13s} all, threshold {threshold:.2f}", automatic, truth)
    report(f"{name:13s} all, number given  ", told, truth)
    print(f"{name:13s} speech F1 {2 * speech[0] / (speech[1] + speech[2]):.3f}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("model")
    arguments.add_argument("--threshold", type=float, help="for real recordings, in place of the best simulated one")
    given = arguments.parse_args()
    network, voices = diarizer.Model(given.model), Corpus()
    if network.metadata["motet.role"] == "embedding":
        verification(Embedding(network), voices)
        raise SystemExit
    verification(network, voices)
    windows(network, voices)
    chosen = conversations(network, voices)
    recordings(network, DATA / "conversations", "development", given.threshold or chosen)
    recordings(network, TREE / "samples", "sample", given.threshold or chosen)
