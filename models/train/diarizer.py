"""A small diarizer and its error rate: enough to choose a threshold and to see what a model is worth in use.

The shipped diarizer is written in C and does more. This one: windows of 3 s every second, hard powerset decisions for
which voices count, agglomerative clustering (average linkage on cosine distance, two voices of one window held apart),
clusters of less than a twelfth of the voices given to the nearest large one, then for every frame the mean over the windows of the probability that a speaker talks, active above one half.
"""

import numpy as np
import onnxruntime
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import squareform

from features import inputs
from network import ALONE, FRAMES, MEMBER

HOP, WINDOW, STEP = 16000, 48000, 320
ENOUGH = 20                     # frames alone (0.4 s) that make a voice worth clustering
SMALL = 0.08                    # share of the voices below which a cluster is no speaker
APART = 4.0                     # distance of two voices of the same window: beyond any threshold
MEMBER, ALONE = MEMBER.numpy(), ALONE.numpy()


def unit(vector):
    return vector / np.linalg.norm(vector)


class Model:
    def __init__(self, path, threads=1):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.metadata = self.session.get_modelmeta().custom_metadata_map

    def __call__(self, windows):
        """[N,48000] int16 -> probabilities [N,150,7], voices [N,3,128]."""
        parts = []
        for i in range(0, len(windows), 16):
            values = inputs(self.metadata["motet.input"], windows[i:i + 16] / 32768)
            parts.append(self.session.run(["activity", "voices"], {self.session.get_inputs()[0].name: values}))
        activity, voices = (np.concatenate(p) for p in zip(*parts))
        return np.exp(activity), voices


def local(model, samples):
    """Every window of a recording: start frames, membership probabilities [N,150,3], frames alone [N,3], voices."""
    count = 1 + max(0, -(-(len(samples) - WINDOW) // HOP))
    padded = np.zeros((count - 1) * HOP + WINDOW, np.int16)
    padded[:len(samples)] = samples
    probabilities, voices = model(np.stack([padded[i * HOP:i * HOP + WINDOW] for i in range(count)]))
    alone = ALONE[probabilities.argmax(2)].sum(1)
    return np.arange(count) * (HOP // STEP), probabilities @ MEMBER, alone, voices


def cluster(voices, windows, threshold, count=None):
    """Labels 0...k-1 of voices; `windows` tells which window each comes from; `count` overrides the threshold."""
    if len(voices) < 2:
        return np.zeros(len(voices), int)
    distance = 1 - voices @ voices.T
    distance[windows[:, None] == windows] = APART
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(np.maximum(distance, 0), checks=False), "average")
    labels = fcluster(tree, count, "maxclust") if count else fcluster(tree, threshold, "distance")
    labels = np.unique(labels, return_inverse=True)[1]
    large = np.bincount(labels) >= max(2, SMALL * len(voices))
    if count or not large.any():
        return labels
    centres = np.stack([unit(voices[labels == k].sum(0)) for k in np.flatnonzero(large)])
    stray = ~large[labels]
    labels[stray] = np.flatnonzero(large)[(voices[stray] @ centres.T).argmax(1)]
    return np.unique(labels, return_inverse=True)[1]


def assemble(starts, member, alone, voices, frames, threshold, count=None):
    """-> [speakers, frames] bool at 20 ms."""
    window, slot = np.nonzero(alone >= ENOUGH)
    labels = cluster(voices[window, slot], window, threshold, count)
    if len(labels) == 0:
        return np.zeros((0, frames), bool)
    centres = np.stack([unit(voices[window, slot][labels == k].sum(0)) for k in range(labels.max() + 1)])
    who = dict(zip(zip(window.tolist(), slot.tolist()), labels))
    score, seen = np.zeros((len(centres), starts[-1] + FRAMES)), np.zeros(starts[-1] + FRAMES)
    for w, start in enumerate(starts):
        seen[start:start + FRAMES] += 1
        for k in range(voices.shape[1]):
            if (member[w, :, k] > 0.5).any():
                speaker = who.get((w, k))
                if speaker is None:                                  # too short for clustering: the nearest one not taken
                    likeness = centres @ voices[w, k]
                    likeness[[who[w, j] for j in range(voices.shape[1]) if (w, j) in who]] = -2
                    speaker = likeness.argmax()
                score[speaker, start:start + FRAMES] += member[w, :, k]
    return (score / seen)[:, :frames] > 0.5


def errors(reference, hypothesis):
    """[speakers, frames] bools -> frames of missed, false alarm, confusion, reference speech (collar 0, overlap scored)."""
    both = reference.astype(int) @ hypothesis.T.astype(int)
    rows, columns = linear_sum_assignment(-both)
    correct = np.zeros(reference.shape[1], int)
    for r, c in zip(rows, columns):
        correct += reference[r] & hypothesis[c]
    r, h = reference.sum(0), hypothesis.sum(0)
    return np.array([np.maximum(r - h, 0).sum(), np.maximum(h - r, 0).sum(), (np.minimum(r, h) - correct).sum(), r.sum()])
