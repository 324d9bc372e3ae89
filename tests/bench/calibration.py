"""Does the confidence of turns mean anything? Of turns of each confidence, the share of their time in which the
reference has the speaker that theirs is mapped to.

    .venv/bin/python tests/bench/calibration.py build/release/motet FOLDER [--fit] [--plot FILE.png] [OPTION...]

FOLDER holds .flac and .rttm; the options go to `motet diarize`. Printed: ten classes of confidence with their time, mean
and share, and the expected calibration error (Guo et al. 2017, weighted by time). --fit also prints the logistic
regression of right time on the logits of the windows' share and on the margin of voices: what src/diarize/evidence.c
may hold.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from scipy.optimize import linear_sum_assignment, minimize

FRAME = 0.01


def frames(turns, names, length):
    grid = np.zeros((len(names), length), bool)
    for start, end, name in turns:
        grid[names.index(name), round(start / FRAME):round(end / FRAME)] = True
    return grid


def read_rttm(path):
    lines = [line.split() for line in path.read_text().splitlines() if line.startswith("SPEAKER")]
    return [(float(x[3]), float(x[3]) + float(x[4]), x[7]) for x in lines]


def turns_of(found, reference):
    """Rows: seconds, seconds that are right, confidence, similarity, rival's similarity, share of the votes."""
    turns = [(t["start"], t["end"], t["speaker"]) for t in found["turns"]]
    length = round(max([t[1] for t in turns + reference], default=0) / FRAME) + 1
    ours, theirs = sorted({t[2] for t in turns}), sorted({t[2] for t in reference})
    mine, right = frames(turns, ours, length), frames(reference, theirs, length)
    common = mine.astype(np.float32) @ right.T.astype(np.float32)
    mapped = dict(zip(*linear_sum_assignment(-common)))
    for turn in found["turns"]:
        at = slice(round(turn["start"] / FRAME), round(turn["end"] / FRAME))
        who = mapped.get(ours.index(turn["speaker"]))
        good = right[who, at].sum() * FRAME if who is not None else 0
        rival = turn["rival_similarity"]
        yield turn["end"] - turn["start"], good, turn["confidence"], turn["similarity"], -1 if rival is None else rival, turn["share"]


def collect(motet, folder, options):
    rows = []
    with tempfile.TemporaryDirectory() as out:
        files = sorted(str(p) for p in folder.glob("*.flac"))
        subprocess.run([motet, "diarize", "-q", "-f", "json", "-o", out, *options, *files], check=True)
        for path in sorted(pathlib.Path(out).glob("*.json")):
            rows += turns_of(json.loads(path.read_text()), read_rttm(folder / f"{path.stem}.rttm"))
    return np.array(rows)


def table(rows):
    seconds, good, confidence = rows[:, 0], rows[:, 1], rows[:, 2]
    classes = np.minimum((confidence * 10).astype(int), 9)
    error, points = 0, []
    print("confidence      turns   seconds   mean   right")
    for c in range(10):
        of = classes == c
        if not of.any():
            continue
        time = seconds[of].sum()
        mean, share = (confidence * seconds)[of].sum() / time, good[of].sum() / time
        error += time * abs(mean - share) / seconds.sum()
        points.append((mean, share, time))
        print(f"{c / 10:.1f} to {(c + 1) / 10:.1f}  {of.sum():9d} {time:9.1f} {mean:6.2f}  {share:6.2f}")
    print(f"expected calibration error {error:.3f} over {seconds.sum():.0f} s, of which {good.sum() / seconds.sum():.3f} right")
    return points


def features(rows):
    share = np.clip(rows[:, 5], 0.01, 0.99)
    return np.stack([np.ones(len(rows)), np.log(share / (1 - share)), rows[:, 3], rows[:, 3] - rows[:, 4]], 1)


def fit(rows):
    x, seconds, good = features(rows), rows[:, 0], rows[:, 1]

    def loss(w):
        z = x @ w
        return (seconds * np.logaddexp(0, z) - good * z).sum() / seconds.sum() + 1e-4 * (w[1:] ** 2).sum()

    w = minimize(loss, np.zeros(x.shape[1])).x
    print("fitted: bias, logit of share, similarity, margin:", " ".join(f"{v:.3f}" for v in w))
    fitted = rows.copy()
    fitted[:, 2] = 1 / (1 + np.exp(-x @ w))
    table(fitted)
    return w


def plot(points, path):
    import matplotlib.pyplot as plt

    mean, share, time = map(np.array, zip(*points))
    plt.plot([0, 1], [0, 1], "k:")
    plt.scatter(mean, share, s=600 * time / time.sum() + 5)
    plt.xlabel("confidence")
    plt.ylabel("share of the time that is right")
    plt.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("motet")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--plot")
    given, options = parser.parse_known_args()
    rows = collect(given.motet, given.folder, options)
    if not len(rows):
        sys.exit("no turns")
    points = table(rows)
    if given.fit:
        fit(rows)
    if given.plot:
        plot(points, given.plot)


if __name__ == "__main__":
    main()
