"""A case on disk, in the layout of the ONNX backend tests: model.onnx, test_data_set_N with what goes in and what ONNX
Runtime makes of it, and how far from that a result may lie."""

import shutil

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime

# Networks: the direction, and the largest difference in standard deviations of the output.
WHOLE = "cosine 0.99999\nmax_abs_over_std 1e-3\n"
# INT8 networks as a whole: a float that lies an ulp beside ONNX Runtime's may round to the next integer, and what that
# makes grows from layer to layer. What is exact is asked node by node and from one rounding to the next (steps.py).
QUANTISED = "cosine 0.98\n"
# Each node on ONNX Runtime's own inputs, and scikit-learn's models: as numpy's allclose. Integers are exact everywhere.
CLOSE = "rtol 1e-3\natol 1e-5\n"
# From one rounding to the next, floats only.
SEGMENT = "max_abs_over_std 1e-3\n"
# As CLOSE where a recurrent operator rounds its own state to 8 bits at every step, within one node.
RECURRENT = "rtol 1e-3\natol 5e-4\n"


def open_session(path, level=None):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if level is not None:
        options.graph_optimization_level = level
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def store(path, name, value):
    path.parent.mkdir(exist_ok=True)
    array = np.asarray(value)
    if array.dtype.kind in "US":
        array = array.astype(object)
    path.write_bytes(onnx.numpy_helper.from_array(np.array(array, order="C"), name).SerializeToString())


def write_set(folder, number, inputs, outputs):
    """inputs, outputs: (name, array) in the model's order."""
    data = folder / f"test_data_set_{number}"
    for kind, values in (("input", inputs), ("output", outputs)):
        for index, (name, array) in enumerate(values):
            store(data / f"{kind}_{index}.pb", name, array)


def write_case(folder, feeds, tolerance=WHOLE, level=None):
    """Runs model.onnx of `folder` on every set of inputs and stores both; feeds: dicts of name to array."""
    session = open_session(folder / "model.onnx", level)
    names = [value.name for value in session.get_outputs()]
    for number, values in enumerate(feeds):
        inputs = [(value.name, values[value.name]) for value in session.get_inputs()]
        got = session.run(names, {name: array for name, array in inputs})
        tensors = [(name, value) for name, value in zip(names, got) if isinstance(value, np.ndarray)]
        write_set(folder, number, inputs, tensors)  # sequences of maps, which ZipMap makes, come last and are left out
    (folder / "tolerance").write_text(tolerance)


def make(folder, build):
    """Calls build(folder) on a folder beside the final one, so that what is there is whole; a case that exists is left
    alone, so that a broken run can be taken up again. Folders whose names begin with a dot are no cases."""
    if folder.exists():
        return
    beside = folder.with_name(f".{folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    build(beside)
    beside.rename(folder)
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    opset = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder.parent.name}/{folder.name}: opset {opset}, {size / 1e6:.1f} MB", flush=True)
