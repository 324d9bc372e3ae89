#!/usr/bin/env python3
"""How near can anybody come to ONNX Runtime on a whole INT8 model? A float an ulp away now and then rounds to the next
integer, and such steps add up from layer to layer. So every INT8 file of the zoo runs twice: through motet, and through
ONNX Runtime again with its float weights and inputs moved by at most one ulp. Both are held against the stored outputs of
ONNX Runtime, 1e-3 standard deviations of each output; motet must be as near in as many files.

    .venv/bin/python tests/conformance/rounding.py build/release/motet out/zoo"""
import json
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

BAR = 1e-3
random = np.random.default_rng(1)


def an_ulp_away(array):
    way = random.integers(-1, 2, array.shape)
    moved = np.nextafter(array, np.where(way > 0, np.inf, -np.inf).astype(np.float32))
    return np.where(way == 0, array, moved).astype(np.float32)


def moved_session(path):
    """Scales stay, which would move every integer they scale the same way."""
    model = onnx.load(str(path))
    constants = [a.t for n in model.graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value"]
    for tensor in [*model.graph.initializer, *constants]:
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) > 1 and "scale" not in tensor.name.lower():
            tensor.CopyFrom(numpy_helper.from_array(an_ulp_away(numpy_helper.to_array(tensor)), tensor.name))
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def stored(folder, kind):
    files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda file: int(file.stem.split("_")[1]))
    return [numpy_helper.to_array(onnx.load_tensor(str(file))) for file in files]


def apart(case):
    """Of ONNX Runtime an ulp away, and the least deviation of an output."""
    session = moved_session(case / "model.onnx")
    largest, least = 0.0, np.inf
    for folder in sorted(case.glob("test_data_set_*")):
        inputs = [an_ulp_away(x) if x.dtype == np.float32 else x for x in stored(folder, "input")]
        got = session.run(None, dict(zip([i.name for i in session.get_inputs()], inputs)))
        for a, b in zip(got, stored(folder, "output")):
            if b.dtype.kind == "f":
                largest = max(largest, np.abs(a.astype(np.float64) - b).max() / b.std())
                least = min(least, b.std())
    return largest, least


def motet_apart(motet, case):
    run = subprocess.run([motet, "model", "test", "--json", case], capture_output=True, text=True)
    return json.loads(run.stdout)["results"][0]["max_abs"]


def main():
    motet, zoo = sys.argv[1], pathlib.Path(sys.argv[2])
    files = theirs = ours = 0
    for case in sorted(file.parent for file in zoo.glob("*/tolerance") if "cosine 0.98" in file.read_text()):
        moved, deviation = apart(case)
        away = motet_apart(motet, case)
        away = np.inf if away is None else away / deviation
        files, theirs, ours = files + 1, theirs + (moved <= BAR), ours + (away <= BAR)
        print(f"{case.name}: ONNX Runtime an ulp away {moved:.2g}, motet {away:.2g}")
    print(f"within {BAR:g} of ONNX Runtime: motet in {ours} of {files} INT8 files, itself an ulp away in {theirs}")
    return 1 if files == 0 or ours < theirs else 0


if __name__ == "__main__":
    sys.exit(main())
