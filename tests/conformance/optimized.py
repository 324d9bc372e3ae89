#!/usr/bin/env python3
"""Is what `motet model optimize` writes standard ONNX? ONNX Runtime must load every optimised file whose original it
loads, onnx.checker must pass it where it passes the original, and both must compute the same.

    .venv/bin/python tests/conformance/optimized.py build/release/motet FOLDER OR MODEL...
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
         "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(int16)": np.int16, "tensor(int8)": np.int8,
         "tensor(uint8)": np.uint8, "tensor(uint16)": np.uint16, "tensor(uint32)": np.uint32,
         "tensor(uint64)": np.uint64, "tensor(bool)": np.bool_}


def session(path):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]), None
    except Exception as error:
        return None, str(error).splitlines()[0][:300]


def stored_inputs(path, names):
    """Of a case in the layout of the backend tests, None where there are none."""
    feed = {}
    for i, name in enumerate(names):
        file = path.parent / "test_data_set_0" / f"input_{i}.pb"
        if not file.exists():
            return None
        feed[name] = onnx.numpy_helper.to_array(onnx.load_tensor(str(file)))
    return feed


def random_inputs(inputs):
    random = np.random.default_rng(0)
    feed = {}
    for value in inputs:
        if value.type not in TYPES:
            return None
        shape = [d if isinstance(d, int) else 2 for d in value.shape]
        feed[value.name] = random.integers(0, 2, shape).astype(TYPES[value.type])
        if np.issubdtype(TYPES[value.type], np.floating):
            feed[value.name] = random.standard_normal(shape).astype(TYPES[value.type])
    return feed


def same(a, b):
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if not isinstance(a, np.ndarray) or a.dtype.kind not in "fc":
        return np.array_equal(a, b)
    return a.dtype == b.dtype and a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-5, equal_nan=True)


def check(motet, path, written):
    """None when all is well, "" when there is nothing to compare, else what is wrong."""
    original, _ = session(path)
    if original is None:
        return ""
    run = subprocess.run([motet, "model", "optimize", path, written], capture_output=True, text=True)
    if run.returncode:
        return run.stderr.strip()
    optimised, error = session(written)
    if optimised is None:
        return error
    try:
        onnx.checker.check_model(str(path))
    except Exception:
        pass
    else:
        onnx.checker.check_model(str(written))
    if [v.name for v in original.get_outputs()] != [v.name for v in optimised.get_outputs()]:
        return "other outputs"
    try:
        names = [v.name for v in original.get_inputs()]
        feed = stored_inputs(path, names) or random_inputs(original.get_inputs())
        expected = original.run(None, feed)
    except Exception:
        return ""
    got = optimised.run(None, {k: v for k, v in feed.items() if k in {i.name for i in optimised.get_inputs()}})
    return None if all(same(a, b) for a, b in zip(expected, got)) else "other numbers"


def main():
    motet = sys.argv[1]
    models = [file for root in map(pathlib.Path, sys.argv[2:])
              for file in ([root] if root.is_file() else sorted(root.rglob("*.onnx")))]
    good = wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for path in models:
            if "Random" in path.read_bytes()[:4096].decode("latin-1") or "bernoulli" in str(path):
                continue
            try:
                problem = check(motet, path, pathlib.Path(folder) / "optimised.onnx")
            except Exception as error:
                problem = f"{type(error).__name__}: {str(error)[:300]}"
            if problem:
                print(f"WRONG {path}: {problem}")
                wrong += 1
            good += problem is None
    print(f"{good} optimised models compute the same in ONNX Runtime, {wrong} do not")
    return 1 if wrong or not good else 0


if __name__ == "__main__":
    sys.exit(main())
