#!/usr/bin/env python3
"""Writes the seeds of tests/fuzz/corpus/session: small models that between them use every part of the file format.

    python3 make_corpus.py FOLDER        # needs the package onnx
"""
import pathlib
import sys

import numpy as np
from onnx import TensorProto, helper as h, numpy_helper, save

folder = pathlib.Path(sys.argv[1])
FLOAT = TensorProto.FLOAT
x = h.make_tensor_value_info("x", FLOAT, ["batch", 3])
weights = [
    numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "w"),
    numpy_helper.from_array(np.arange(9, dtype=np.float16).reshape(3, 3), "half"),
    h.make_tensor("two", FLOAT, [], [2.0]),
    h.make_tensor("axes", TensorProto.INT64, [1], [1]),
    h.make_tensor("yes", TensorProto.BOOL, [], [True]),
    h.make_tensor("word", TensorProto.STRING, [1], [b"motet"]),
]


def any_value(name):
    return h.make_tensor_value_info(name, FLOAT, None)


def write(name, nodes, outputs=("y",), opset=17, functions=()):
    graph = h.make_graph(nodes, name, [x], [any_value(o) for o in outputs], weights)
    imports = [h.make_opsetid("", opset), h.make_opsetid("my", 1)]
    save(h.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=8), folder / f"{name}.onnx")


def branch(name, nodes, output):
    return h.make_graph(nodes, name, [], [any_value(output)])


write("arithmetic", [
    h.make_node("Add", ["x", "w"], ["a"]),
    h.make_node("Constant", [], ["three"], value_float=3.0),
    h.make_node("Mul", ["three", "two"], ["six"]),
    h.make_node("Mul", ["a", "six"], ["b"]),
    h.make_node("Cast", ["half"], ["m"], to=FLOAT),
    h.make_node("MatMul", ["b", "m"], ["c"]),
    h.make_node("Softmax", ["c"], ["y"], axis=-1)])

write("shapes", [
    h.make_node("Shape", ["x"], ["s"]),
    h.make_node("Constant", [], ["zero"], value_ints=[0]),
    h.make_node("Gather", ["s", "zero"], ["rows"], axis=0),
    h.make_node("Concat", ["rows", "axes", "s"], ["t"], axis=0),
    h.make_node("ConstantOfShape", ["t"], ["o"], value=h.make_tensor("", FLOAT, [1], [1.0])),
    h.make_node("Unsqueeze", ["x", "axes"], ["u"]),
    h.make_node("Slice", ["u", "zero", "axes", "axes"], ["v"]),
    h.make_node("Transpose", ["v"], ["p"], perm=[2, 0, 1]),
    h.make_node("Split", ["x"], ["q", "", "r"], axis=1)], outputs=("o", "p", "q"), opset=13)

inner = branch("inner", [h.make_node("Add", ["captured", "x"], ["i"])], "i")
other = branch("other", [h.make_node("Identity", ["x"], ["i"])], "i")
outer = branch("outer", [
    h.make_node("Mul", ["x", "two"], ["captured"]),
    h.make_node("Equal", ["two", "two"], ["also"]),
    h.make_node("If", ["also"], ["j"], then_branch=inner, else_branch=other)], "j")
write("branches", [
    h.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
    h.make_node("Greater", ["sum", "two"], ["large"]),
    h.make_node("If", ["large"], ["k"], name="choice", then_branch=outer, else_branch=branch("plain", [], "x")),
    h.make_node("Dropout", ["k"], ["y"])])

function = h.make_function("my", "Leaky", ["p", "q"], ["o"], [
    h.make_node("LeakyRelu", ["p"], ["t"]),
    h.make_node("Add", ["t", "q"], ["o"])], [h.make_opsetid("", 17)], ["slope"])
function.node[0].attribute.add(name="alpha", ref_attr_name="slope", type=1)
write("function", [
    h.make_node("Leaky", ["x", "two"], ["a"], domain="my", slope=0.5),
    h.make_node("Leaky", ["a", "w"], ["y"], domain="my")], functions=[function])

body = h.make_graph(
    [h.make_node("Identity", ["go"], ["on"]), h.make_node("Add", ["v", "x"], ["n"])], "body",
    [h.make_tensor_value_info("i", TensorProto.INT64, []), h.make_tensor_value_info("go", TensorProto.BOOL, []),
     any_value("v")], [h.make_tensor_value_info("on", TensorProto.BOOL, []), any_value("n")])
write("loop", [
    h.make_node("Constant", [], ["times"], value_int=3),
    h.make_node("Loop", ["times", "yes", "x"], ["y"], body=body)])
