"""Makes those of cases/ that ONNX Runtime can answer: what neither the backend cases nor the zoo have.
(cases/gradient comes from PyTorch.)

Run in .venv:  .venv/bin/python tests/conformance/make_cases.py
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper as h, numpy_helper

HERE = Path(__file__).resolve().parent
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def info(name, element=FLOAT, shape=None):
    return h.make_tensor_value_info(name, element, shape)


def by_onnxruntime(model, feeds):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def write(name, graph, opset, feeds, functions=(), ir=8):
    imports = [h.make_opsetid("", opset), h.make_opsetid("my", 1)]
    model = h.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=ir)
    folder = HERE / "cases" / name / "test_data_set_0"
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder.parent / "model.onnx")
    outputs = dict(zip([value.name for value in graph.output], by_onnxruntime(model, feeds)))
    for kind, values in (("input", feeds), ("output", outputs)):
        for i, (key, array) in enumerate(values.items()):
            data = numpy_helper.from_array(np.asarray(array), key).SerializeToString()
            (folder / f"{kind}_{i}.pb").write_bytes(data)


def scan_of_lengths(direction):
    """Running sums of sequences of three lengths, forwards or from their ends."""
    body = h.make_graph(
        [h.make_node("Add", ["sum", "x"], ["next"]), h.make_node("Mul", ["next", "x"], ["shown"])],
        "body",
        [info("sum", shape=[2]), info("x", shape=[2])],
        [info("next", shape=[2]), info("shown", shape=[2])],
    )
    scan = h.make_node(
        "Scan", ["lengths", "start", "sequences"], ["last", "all"], body=body, num_scan_inputs=1, directions=[direction]
    )
    graph = h.make_graph(
        [scan],
        "scan",
        [info("lengths", INT64, [3]), info("start", shape=[3, 2]), info("sequences", shape=[3, 4, 2])],
        [info("last", shape=[3, 2]), info("all", shape=[3, 4, 2])],
    )
    random = np.random.default_rng(1)
    feeds = {
        "lengths": np.array([4, 1, 3]),
        "start": random.normal(size=(3, 2)).astype(np.float32),
        "sequences": random.normal(size=(3, 4, 2)).astype(np.float32),
    }
    write(f"scan_8_lengths_{'backward' if direction else 'forward'}", graph, 8, feeds, ir=3)


def sparse_weights():
    values = numpy_helper.from_array(np.array([2, -3, 5], np.float32), "w")
    places = numpy_helper.from_array(np.array([1, 4, 11]), "places")
    pairs = numpy_helper.from_array(np.array([[0, 1], [1, 0], [2, 3]]), "pairs")
    nodes = [
        h.make_node("Constant", [], ["c"], sparse_value=h.make_sparse_tensor(values, pairs, [3, 4])),
        h.make_node("MatMul", ["x", "w"], ["p"]),
        h.make_node("MatMul", ["x", "c"], ["q"]),
    ]
    graph = h.make_graph(
        nodes,
        "sparse",
        [info("x", shape=[2, 3])],
        [info("p", shape=[2, 4]), info("q", shape=[2, 4])],
        sparse_initializer=[h.make_sparse_tensor(values, places, [3, 4])],
    )
    x = np.random.default_rng(2).normal(size=(2, 3)).astype(np.float32)
    write("sparse_weights", graph, 17, {"x": x})


def overloaded_functions():
    def function(overload, nodes):
        return h.make_function("my", "F", ["p"], ["o"], nodes, [h.make_opsetid("", 17)], overload=overload)

    functions = [
        function("", [h.make_node("Abs", ["p"], ["o"])]),
        function("twice", [h.make_node("Add", ["p", "p"], ["o"])]),
    ]
    nodes = [
        h.make_node("F", ["x"], ["a"], domain="my"),
        h.make_node("F", ["x"], ["b"], domain="my", overload="twice"),
    ]
    graph = h.make_graph(nodes, "overloads", [info("x", shape=[3])], [info("a", shape=[3]), info("b", shape=[3])])
    x = np.array([-1, 2, -3], np.float32)
    write("overloaded_functions", graph, 17, {"x": x}, functions, ir=10)


scan_of_lengths(0)
scan_of_lengths(1)
sparse_weights()
overloaded_functions()
