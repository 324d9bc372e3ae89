"""Exports networks the way people do and stores what ONNX Runtime makes of them: out/zoo/NAME in the backend layout.

Run in .venv:  .venv/bin/python tests/zoo/zoo.py [--out out/zoo] [NAME...]

The networks have seeded random weights (nothing is downloaded; the one real model comes from a package, see
sentences.py) and go through both of torch's exporters, at the oldest opset that matters (17; the dynamo exporter writes
18 and cannot go below) and at the newest that each reaches. Every file is free in batch and length and has two data sets
of different shapes. The plain export of each family is then quantised and rewritten by ONNX Runtime (variants.py), and
quantised networks are also stored taken apart (steps.py) in out/zoo-steps. Classical models come from scikit-learn
(classical.py). A case that exists is left alone, so a broken run can be taken up again.
"""

import argparse
import os
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

import cases
import classical
import networks
import operators
import sentences
import variants

ROOT = Path(__file__).resolve().parents[2]
NEWEST = range(26, 17, -1)  # opsets to try; one that the exporter's converter fails on, ONNX Runtime refuses


def export_legacy(family, model, path, opset):
    feeds = family.feeds(0)
    torch.onnx.export(
        model,
        tuple(torch.from_numpy(array) for array in feeds.values()),
        str(path),
        dynamo=False,
        opset_version=opset,
        input_names=list(feeds),
        output_names=family.outputs,
        dynamic_axes=family.axes | family.output_axes,
    )


def export_dynamo(family, model, path, opset, external_data=False):
    feeds = family.feeds(1 if next(iter(family.feeds(0).values())).shape[0] < 2 else 0)  # a batch of 1 would be fixed
    dims = {}

    def dim(name):
        low, high = family.ranges.get(name, (1, 64))
        return dims.setdefault(name, torch.export.Dim(name, min=low, max=high))

    shapes = tuple({axis: dim(name) for axis, name in family.axes[key].items()} for key in feeds)
    torch.onnx.export(
        model,
        tuple(torch.from_numpy(array) for array in feeds.values()),
        str(path),
        dynamo=True,
        opset_version=opset,
        external_data=external_data,
        input_names=list(feeds),
        output_names=family.outputs,
        dynamic_shapes=(shapes,) if isinstance(model, networks.Taking) else shapes,
        verbose=False,
    )


def make_exports(zoo, family, exports, wanted):
    """exports: (label, exporter, opsets to try, keep the weights in a file of their own)"""
    feeds = [family.feeds(0), family.feeds(1)]
    for label, exporter, opsets, external in exports:
        name = f"{family.name}-{label}"
        if (zoo / name).exists() or not wanted(name):
            continue
        model = family.build()  # a fresh one: the exporters leave their marks

        def build(folder):
            for opset in opsets:
                try:
                    if exporter == "legacy":
                        export_legacy(family, model, folder / "model.onnx", opset)
                    else:
                        export_dynamo(family, model, folder / "model.onnx", opset, external)
                    cases.write_case(folder, feeds)
                    return
                except Exception as error:  # the exporters name no type for "too new for me"
                    reason = str(error).strip().split("\n")[0]
                    print(f"{name}: not at opset {opset}: {reason[:300]}", file=sys.stderr, flush=True)
            raise RuntimeError(f"{name}: no opset works")

        cases.make(zoo / name, build)


def make_family(zoo, family, wanted):
    exports = [("dynamo-newest", "dynamo", NEWEST, False)] if family.dynamo else []
    if family.legacy:
        base = "legacy-op17"
        exports += [(base, "legacy", [17], False)]
    else:
        base = "dynamo-op18"
        exports += [(base, "dynamo", [18], False)]
    make_exports(zoo, family, exports, wanted)
    if (zoo / f"{family.name}-{base}").exists():
        variants.make_variants(zoo, family, f"{family.name}-{base}", wanted)


def make_full(zoo, family, wanted):
    exports = [
        ("legacy-op17", "legacy", [17], False),
        ("legacy-newest", "legacy", NEWEST, False),
        ("dynamo-op18", "dynamo", [18], False),
        ("dynamo-newest", "dynamo", NEWEST, True),
    ]
    make_exports(zoo, family, exports, wanted)


def make_motet_cnn(zoo):
    """Our own network, on noise and on the log-mel of a real recording when there is one."""
    source = ROOT / "models" / "motet-cnn.onnx"
    if not source.exists():
        return
    shutil.rmtree(zoo / "motet-cnn", ignore_errors=True)  # small and often retrained: made afresh every time

    def build(folder):
        shutil.copy(source, folder / "model.onnx")
        value = cases.open_session(source).get_inputs()[0]
        frames = value.shape[1] if isinstance(value.shape[1], int) else 300
        random = np.random.default_rng(3)
        sets = [{value.name: random.normal(-8, 4, (2, frames, value.shape[2])).astype(np.float32)}]
        real = recording_features(frames, value.shape[2])
        if real is not None:
            sets.append({value.name: real})
        cases.write_case(folder, sets)

    cases.make(zoo / "motet-cnn", build)


def recording_features(frames, bins):
    path = Path(os.environ.get("MOTET_DATA", ROOT / ".." / "shared" / "data")) / ".." / "models/silero_vad/test.wav"
    if not path.exists():
        return None
    import soundfile

    sys.path.insert(0, str(ROOT / "models" / "train"))
    import features

    samples, _ = soundfile.read(path, dtype="float32", frames=480 * frames)
    mel = np.asarray(features.log_mel(samples), np.float32)
    assert mel.shape[1] == bins
    windows = len(mel) // frames
    return mel[: windows * frames].reshape(windows, frames, bins)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "zoo")
    parser.add_argument("names", nargs="*", help="only the cases whose names begin so")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    zoo = arguments.out
    zoo.mkdir(parents=True, exist_ok=True)

    def wanted(name):
        return not arguments.names or any(name.startswith(start) for start in arguments.names)

    failed = 0

    def complain(name, error):
        nonlocal failed
        failed += 1
        print(f"FAILED {name}: {str(error)[:500]}", file=sys.stderr, flush=True)

    def attempt(name, what, *rest):
        try:
            what(*rest)
        except Exception as error:
            complain(name, error)

    for name, build in classical.CASES.items():
        if wanted(name):
            attempt(name, cases.make, zoo / name, build)
    for family in networks.FAMILIES:
        attempt(family.name, make_family, zoo, family, wanted)
    if wanted("operators"):
        operators.make(zoo.with_name(f"{zoo.name}-operators"), complain)
    if wanted("minilm-sentences"):
        attempt("minilm-sentences", sentences.make, zoo)
    if wanted("motet-cnn"):
        attempt("motet-cnn", make_motet_cnn, zoo)
    for family in networks.FULL:
        attempt(family.name, make_full, zoo, family, wanted)
    sys.exit(failed > 0)


main()
