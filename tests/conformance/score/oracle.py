#!/usr/bin/env python3
"""What motet score should say, computed by others.

For the pyannote convention pyannote.metrics itself is asked. For the md-eval convention the definition (md-eval-22 as
dscore runs it) is written out here in the plainest way: every time is a whole number of milliseconds, a recording is a
row of cells of 1 ms, and whatever is counted is counted cell by cell, so nothing is shared with the sweep in src/score.
JER by dscore's frames of 10 ms is computed as dscore does it, in floating point: frame i is at 0.01 * i.

    oracle.py golden FOLDER              writes reference.rttm, hypothesis.rttm, regions.uem and expected.tsv
    oracle.py check MOTET [FIRST LAST]   runs MOTET score on new pairs, one set for each seed (default 1 to 5)
"""

import csv
import io
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings

import numpy as np
from scipy.optimize import linear_sum_assignment

PAIRS = 200
GOLDEN_SEED = 40
TOLERANCE = 1e-6
# convention, collar in ms, overlap skipped, UEM used
SETTINGS = [(c, *rest) for c in ("md-eval", "pyannote")
            for rest in ((0, False, False), (250, False, True), (500, True, False), (0, True, True))]
TIMES = ("scored", "missed", "false_alarm", "confusion", "missed_speech", "false_alarm_speech")


# --- pairs -------------------------------------------------------------------------------------------------------

def conversation(rng, speakers, length, grid):
    """Turns [speaker, begin, end) in ms, on multiples of `grid`."""
    turns, now = [], rng.randrange(0, 3000)
    while now < length:
        speaker = rng.randrange(speakers)
        duration = min(12000, 200 + rng.expovariate(1 / 2200))
        turns.append((speaker, now, now + duration))
        kind = rng.random()
        if kind < 0.1: # goes on at once, or starts again too early
            turns.append((speaker, now + duration * rng.choice((1, 1, 0.7)), now + duration * 1.6))
        now += duration + (rng.expovariate(1 / 700) if kind < 0.75 else -rng.random() * duration)
    return [(s, round(b / grid) * grid, round(e / grid) * grid) for s, b, e in turns]


def diarized(rng, reference, speakers, grid):
    """What a diarizer might make of the reference: boundaries moved, turns lost, relabelled, invented."""
    labels = [rng.randrange(speakers + 2) if rng.random() < 0.25 else s for s in range(speakers)]
    jitter, wrong = rng.choice((0, 40, 300)), rng.choice((0, 0.05, 0.3))
    turns = []
    for speaker, begin, end in reference:
        if rng.random() < 0.08: continue
        label = rng.randrange(speakers + 1) if rng.random() < wrong else labels[speaker]
        turns.append((label, begin + rng.gauss(0, jitter), end + rng.gauss(0, jitter)))
        if rng.random() < 0.06:
            turns.append((rng.randrange(speakers + 2), end, end + rng.random() * 2000))
    turns = [(s, max(0, round(b / grid) * grid), round(e / grid) * grid) for s, b, e in turns]
    return [t for t in turns if t[2] > t[1]]


def make_pair(rng):
    speakers, length = rng.randint(1, 6), rng.choice((6000, 15000, 25000))
    grid = rng.choice((1, 1, 10))
    reference = [t for t in conversation(rng, speakers, length, grid) if t[2] > t[1]]
    kind = rng.random()
    if kind < 0.03: hypothesis = []
    elif kind < 0.12: hypothesis = conversation(rng, rng.randint(1, 5), length, grid)
    else: hypothesis = diarized(rng, reference, speakers, rng.choice((1, 1, 10)))
    hypothesis = [t for t in hypothesis if t[2] > t[1]]
    cut = sorted(rng.sample(range(0, length + 4000), 4))
    regions = [(cut[0], cut[1]), (cut[2], cut[3])] if rng.random() < 0.5 else [(cut[0], cut[3])]
    return {"reference": reference, "hypothesis": hypothesis, "regions": regions}


def make_pairs(seed):
    rng = random.Random(seed)
    return {f"p{i:03}": make_pair(rng) for i in range(PAIRS)}


def seconds(ms):
    return f"{ms / 1000:.3f}".rstrip("0").rstrip(".")


def write_rttm(path, pairs, side, prefix):
    with open(path, "w") as out:
        for name, pair in pairs.items():
            for speaker, begin, end in pair[side]:
                out.write(f"SPEAKER {name} 1 {seconds(begin)} {seconds(end - begin)} <NA> <NA> "
                          f"{prefix}{speaker} <NA> <NA>\n")


def write_uem(path, pairs):
    with open(path, "w") as out:
        for name, pair in pairs.items():
            for begin, end in pair["regions"]:
                out.write(f"{name} 1 {seconds(begin)} {seconds(end)}\n")


# --- shared by both conventions ----------------------------------------------------------------------------------

def merged(turns):
    """Turns of one speaker that overlap become one; those that touch stay two."""
    result = []
    for speaker, begin, end in sorted(turns):
        if result and result[-1][0] == speaker and begin < result[-1][2]:
            result[-1][2] = max(result[-1][2], end)
        else:
            result.append([speaker, begin, end])
    return result


def whole(pair, uem):
    if uem: return pair["regions"]
    turns = pair["reference"] + pair["hypothesis"]
    return [(min(t[1] for t in turns), max(t[2] for t in turns))]


def rate(errors, total):
    return errors / total if total > 0 else float(errors > 0)


def map_speakers(together):
    """The pairing with the greatest common time, and whether another one is as good: then what follows from it is not
    defined, and the oracle says nothing."""
    def solve(table):
        pairing = [(r, h) for r, h in zip(*linear_sum_assignment(-table)) if table[r, h] > 0]
        return pairing, sum(table[r, h] for r, h in pairing)
    pairing, best = solve(together)
    for r, h in pairing:
        without = together.copy()
        without[r, h] = 0
        if solve(without)[1] > best - 1e-6: return pairing, True
    return pairing, False


# --- md-eval and dscore ------------------------------------------------------------------------------------------

def cells(spans, size):
    row = np.zeros(size, bool)
    for begin, end in spans: row[max(0, begin):max(0, end)] = True
    return row


def rows(turns, size):
    speakers = sorted({t[0] for t in turns})
    return np.array([cells([t[1:] for t in turns if t[0] == s], size) for s in speakers], bool).reshape(-1, size)


def md_eval(pair, collar, skip_overlap, uem):
    reference, hypothesis = merged(pair["reference"]), merged(pair["hypothesis"])
    size = max([t[2] for t in reference + hypothesis] + [r[1] for r in pair["regions"]]) + 1
    inside = cells(whole(pair, uem), size)
    ref, hyp = rows(reference, size), rows(hypothesis, size)
    ref, hyp = ref[(ref & inside).any(1)] & inside, hyp[(hyp & inside).any(1)] & inside

    pairing, tie = map_speakers(ref.astype(int) @ hyp.T.astype(int))

    scored = inside.copy()
    for _, turn_begin, turn_end in reference:
        for region_begin, region_end in whole(pair, uem):
            begin, end = max(turn_begin, region_begin), min(turn_end, region_end)
            if begin >= end or not collar: continue
            for boundary in (begin, end): scored[max(0, boundary - collar):boundary + collar] = False
    if skip_overlap: scored &= ref.sum(0) < 2

    n_ref, n_hyp = ref[:, scored].sum(0), hyp[:, scored].sum(0)
    n_map = sum(((ref[r] & hyp[h])[scored] for r, h in pairing), np.zeros(int(scored.sum()), int))
    times = (n_ref.sum(), np.maximum(n_ref - n_hyp, 0).sum(), np.maximum(n_hyp - n_ref, 0).sum(),
             (np.minimum(n_ref, n_hyp) - n_map).sum(), ((n_ref > 0) & (n_hyp == 0)).sum(),
             ((n_ref == 0) & (n_hyp > 0)).sum())
    score = dict(zip(TIMES, (int(t) / 1000 for t in times))) | {"speaker_errors": dscore_jer(pair, uem)}
    if tie and (scored != inside).any(): score["confusion"] = math.nan
    return score


def in_seconds(turns):
    """As dscore reads RTTM: onset and duration, added in double precision."""
    return [(s, b / 1000, b / 1000 + (e - b) / 1000) for s, b, e in turns]


def frame_rows(turns, regions):
    """Speakers that are heard in the regions x frames of the regions."""
    starts = 0.01 * np.arange(int(max(e for _, e in regions) / 0.01))
    kept = np.zeros(len(starts), bool)
    for begin, end in regions: kept[(starts >= begin) & (starts < end)] = True
    speakers = sorted({s for s, b, e in turns if any(b < region_end and e > region_begin
                                                     for region_begin, region_end in regions)})
    result = np.zeros((len(speakers), len(starts)), bool)
    for speaker, onset, offset in turns:
        if speaker in speakers: result[speakers.index(speaker), (starts >= onset) & (starts < offset)] = True
    return result[:, kept].astype(int)


def dscore_jer(pair, uem):
    reference, hypothesis = in_seconds(pair["reference"]), in_seconds(pair["hypothesis"])
    turns = reference + hypothesis
    regions = [(b / 1000, e / 1000) for b, e in pair["regions"]] if uem else \
        [(min(t[1] for t in turns), max(t[2] for t in turns))]
    ref, hyp = frame_rows(reference, regions), frame_rows(hypothesis, regions)
    both = ref @ hyp.T
    either = ref.sum(1)[:, None] + hyp.sum(1)[None, :] - both
    errors = 1 - both / np.maximum(either, 1)
    result = [1.0] * len(ref)
    for r, h in zip(*linear_sum_assignment(errors)): result[r] = errors[r, h]
    return result


# --- pyannote.metrics --------------------------------------------------------------------------------------------

def annotation(turns):
    from pyannote.core import Annotation, Segment
    result = Annotation()
    for i, (speaker, begin, end) in enumerate(merged(turns)):
        result[Segment(begin / 1000, end / 1000), i] = str(speaker)
    return result


def pyannote(pair, collar, skip_overlap, uem):
    from pyannote.core import Segment, Timeline
    from pyannote.metrics.detection import DetectionErrorRate
    from pyannote.metrics.diarization import DiarizationErrorRate, JaccardErrorRate
    options = {"collar": collar / 1000, "skip_overlap": skip_overlap}
    reference, hypothesis = annotation(pair["reference"]), annotation(pair["hypothesis"])
    regions = Timeline([Segment(b / 1000, e / 1000) for b, e in whole(pair, uem)])
    der = DiarizationErrorRate(**options).compute_components(reference, hypothesis, uem=regions)
    speech = DetectionErrorRate(**options).compute_components(reference, hypothesis, uem=regions)
    jer = JaccardErrorRate(**options).compute_components(reference, hypothesis, uem=regions)
    heard = DiarizationErrorRate(**options).uemify(reference, hypothesis, uem=regions, **options)
    tie = heard[0].labels() and heard[1].labels() and map_speakers(heard[0] * heard[1])[1]
    count, errors = int(jer["speaker count"]), math.nan if tie else jer["speaker error"]
    times = (der["total"], der["missed detection"], der["false alarm"], der["confusion"], speech["miss"],
             speech["false alarm"])
    return dict(zip(TIMES, times)) | {"speaker_errors": [errors / count] * count if count else []}


# --- all pairs, all settings -------------------------------------------------------------------------------------

def finish(score):
    """DER and JER in percent. NaN is what the oracle cannot tell: a tie, or no reference speaker to take the mean of."""
    errors = score.pop("speaker_errors")
    score["der"] = 100 * rate(score["missed"] + score["false_alarm"] + score["confusion"], score["scored"])
    score["jer"] = 100 * sum(errors) / len(errors) if errors else math.nan
    return score


def expect(pairs, setting):
    convention, *options = setting
    scores = {name: (md_eval if convention == "md-eval" else pyannote)(pair, *options) for name, pair in pairs.items()}
    pooled = {key: sum(s[key] for s in scores.values()) for key in TIMES}
    pooled["speaker_errors"] = [e for s in scores.values() for e in s["speaker_errors"]]
    return {name: finish(score) for name, score in (scores | {"": pooled}).items()}


def write_golden(folder):
    pairs = make_pairs(GOLDEN_SEED)
    folder = pathlib.Path(folder)
    write_rttm(folder / "reference.rttm", pairs, "reference", "s")
    write_rttm(folder / "hypothesis.rttm", pairs, "hypothesis", "h")
    write_uem(folder / "regions.uem", pairs)
    columns = TIMES + ("der", "jer")
    with open(folder / "expected.tsv", "w") as out:
        for convention, collar, skip, uem in SETTINGS:
            scores = expect(pairs, (convention, collar, skip, uem))
            out.write(f"# {convention} {collar / 1000:g} {'skipped' if skip else 'scored'} {'uem' if uem else 'all'}\n")
            for name, score in scores.items():
                values = ("-" if math.isnan(score[c]) else f"{score[c]:.7f}".rstrip("0").rstrip(".") for c in columns)
                out.write("\t".join((name or "*", *values)) + "\n")


def run_motet(motet, folder, setting):
    convention, collar, skip, uem = setting
    command = [motet, "score", folder / "reference.rttm", folder / "hypothesis.rttm", "--format", "csv",
               "--collar", str(collar / 1000), "--collar-convention", convention]
    command += ["--skip-overlap"] * skip + ["--uem", folder / "regions.uem"] * uem
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {row["file"]: row for row in csv.DictReader(io.StringIO(done.stdout))}


def compare(found, expected, where):
    worst = 0.0
    for name, score in expected.items():
        for key, value in score.items():
            if math.isnan(value): continue
            column = key + ("_percent" if key in ("der", "jer") else "_s")
            apart = abs(float(found[name][column]) - value) / (100 if key in ("der", "jer") else 1)
            worst = max(worst, apart)
            if apart > TOLERANCE:
                print(f"{where} {name or 'all files'}: {key} {found[name][column]}, expected {value:.7f}")
    if len(found) != len(expected): print(f"{where}: {len(found)} rows, expected {len(expected)}")
    return worst if len(found) == len(expected) else math.inf


def check(motet, first, last):
    worst = 0.0
    for seed in range(first, last + 1):
        pairs = make_pairs(seed)
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            write_rttm(folder / "reference.rttm", pairs, "reference", "s")
            write_rttm(folder / "hypothesis.rttm", pairs, "hypothesis", "h")
            write_uem(folder / "regions.uem", pairs)
            for setting in SETTINGS:
                where = f"seed {seed}, {setting}"
                worst = max(worst, compare(run_motet(motet, folder, setting), expect(pairs, setting), where))
    print(f"{(last - first + 1) * PAIRS} pairs, {len(SETTINGS)} settings each: "
          f"at most {worst:.2e} apart (seconds, fractions)")
    return 0 if worst <= TOLERANCE else 1


def main(arguments):
    warnings.simplefilter("ignore")
    if len(arguments) == 2 and arguments[0] == "golden": return write_golden(arguments[1])
    if len(arguments) in (2, 4) and arguments[0] == "check":
        first, last = (int(a) for a in arguments[2:]) if len(arguments) == 4 else (1, 5)
        return check(arguments[1], first, last)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
