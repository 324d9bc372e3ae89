#!/usr/bin/env python3
"""Is what `motet model quantize` writes standard ONNX that computes what motet says? onnx.checker must pass it, ONNX
Runtime must load it, with its own rewriting and without, and agree with motet on it; and both must be as near to the
float model as was asked.

    .venv/bin/python tests/conformance/quantised.py build/release/motet MODEL...

Rounding to bytes turns one ulp into a whole step here and there, and steps add up from layer to layer. So agreement is a
cosine, too: 0.9995, or a quarter of what quantising itself costs where that is more."""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

from optimized import random_inputs, stored_inputs

ASKED = 0.99
AGREEMENT = 0.0005
PART = 0.25


def session(path, level):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = level
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def cosine(a, b):
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return 1.0 if np.array_equal(a, b) else a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def motet(*arguments):
    run = subprocess.run([sys.argv[1], "model", *map(str, arguments)], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr.strip() or run.stdout.strip())


def worst(expected, got):
    return min(cosine(a, b) for a, b in zip(expected, got))


def size(path):
    """With the weights beside it."""
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


# By method of `motet model quantize`: the node that brings to bytes what layers are fed.
METHODS = {"dynamic": "DynamicQuantizeLinear", "percentile": "QuantizeLinear"}


def check(path, folder, method):
    """What is wrong, or None; prints a line of figures."""
    original = session(path, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    inputs = original.get_inputs()
    feed = stored_inputs(path, [v.name for v in inputs]) or random_inputs(inputs)
    expected = original.run(None, feed)
    given = []
    for i, (name, array) in enumerate(feed.items()):
        np.save(folder / f"{i}.npy", array)
        given += ["--input", f"{name}={folder / f'{i}.npy'}"]
    written = folder / "quantised.onnx"
    motet("quantize", *given, "--method", method, "--min-cosine", ASKED, "--runs", 1, path, written)
    onnx.checker.check_model(str(written))
    nodes = {node.op_type for node in onnx.load(str(written)).graph.node}
    if METHODS[method] not in nodes:
        return "nothing is quantised"
    names = [v.name for v in original.get_outputs()]
    outputs = [x for i, name in enumerate(names) for x in ("--output", f"{name}={folder / f'out{i}.npy'}")]
    motet("run", *given, *outputs, written)
    ours = [np.load(folder / f"out{i}.npy") for i in range(len(names))]
    plain = session(written, ort.GraphOptimizationLevel.ORT_DISABLE_ALL).run(None, feed)
    full = session(written, ort.GraphOptimizationLevel.ORT_ENABLE_ALL).run(None, feed)
    near, alike, rewritten = worst(expected, plain), worst(plain, ours), worst(full, ours)
    print(f"{path}, {method}: {size(path) / 1e6:.1f} -> {size(written) / 1e6:.1f} MB; cosines: ONNX Runtime to "
          f"float {near:.6f}, motet to float {worst(expected, ours):.6f}, motet to ONNX Runtime {alike:.6f}, to its "
          f"rewritten graph {rewritten:.6f}")
    if min(near, worst(expected, ours)) < ASKED - 0.001:
        return "not as near to the float model as was asked"
    allowed = max(AGREEMENT, PART * (1 - near))
    return None if 1 - min(alike, rewritten) <= allowed else "motet and ONNX Runtime do not agree"


def main():
    wrong = 0
    cases = [(pathlib.Path(path), method) for path in sys.argv[2:] for method in METHODS]
    for path, method in cases:
        with tempfile.TemporaryDirectory() as folder:
            try:
                problem = check(path, pathlib.Path(folder), method)
            except Exception as error:
                problem = f"{type(error).__name__}: {str(error)[:300]}"
        if problem:
            print(f"WRONG {path}, {method}: {problem}")
            wrong += 1
    print(f"{len(cases) - wrong} of {len(cases)} quantised models agree with ONNX Runtime")
    return 1 if wrong or len(sys.argv) < 3 else 0


if __name__ == "__main__":
    sys.exit(main())
