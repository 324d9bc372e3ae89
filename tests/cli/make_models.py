"""Makes the small models of tests/cli/models that motet must refuse with a clear message. Needs the onnx package; the
models are in the tree, so tests do not run this."""
import os

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")

DIARIZER = {
    "motet.format": "1", "motet.name": "toy", "motet.version": "1", "motet.licence": "none", "motet.role": "diarizer",
    "motet.sample_rate": "16000", "motet.window": "48000", "motet.input": "waveform", "motet.frame_step": "320",
    "motet.activity": "multilabel", "motet.speakers": "2", "motet.voice": "4", "motet.threshold": "0.5",
}


def write(name, nodes, inputs, outputs, metadata, constants=()):
    graph = helper.make_graph(nodes, "toy", inputs, outputs, [numpy_helper.from_array(v, k) for k, v in constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    save(model, os.path.join(HERE, name + ".onnx"))


def value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


activity, voices = value("activity", [1, 150, 2]), value("voices", [1, 2, 4])
zeros = [("a", np.zeros((1, 150, 2), np.float32)), ("v", np.zeros((1, 2, 4), np.float32))]
answer = [helper.make_node("Identity", ["a"], ["activity"]), helper.make_node("Identity", ["v"], ["voices"])]

write("no_description", answer, [value("waveform", [1, 48000])], [activity, voices], {}, zeros)
write("wrong_input", answer, [value("waveform", [1, 4])], [activity, voices], DIARIZER, zeros)
write("no_voices", answer[:1], [value("waveform", [1, 48000])], [activity], DIARIZER, zeros)
write("bad_number", answer, [value("waveform", [1, 48000])], [activity, voices],
      DIARIZER | {"motet.window": "three seconds"}, zeros)
write("missing_operators",
      [helper.make_node("Frobnicate", ["a"], ["activity"]), helper.make_node("Defenestrate", ["v"], ["voices"], domain="org.example")],
      [value("waveform", [1, 48000])], [activity, voices], DIARIZER, zeros)
# Declares shapes that fit and comes out with others: only a run can tell.
write("wrong_at_run", [helper.make_node("Identity", ["v"], ["activity"]), helper.make_node("Identity", ["a"], ["voices"])],
      [value("waveform", ["n", "samples"])], [value("activity", ["n", "t", "k"]), value("voices", ["n", "k", "d"])],
      DIARIZER, zeros)
# Nobody ever speaks.
write("nobody", answer, [value("waveform", [1, 48000])], [activity, voices], DIARIZER, zeros)
# One frame as long as the window: no hop is shorter.
write("one_frame", [helper.make_node("Identity", ["a"], ["activity"]), answer[1]], [value("waveform", [1, 48000])],
      [value("activity", [1, 1, 2]), voices], DIARIZER | {"motet.frame_step": "48000"},
      [("a", np.ones((1, 1, 2), np.float32)), ("v", np.eye(4, dtype=np.float32)[None, :2])])


def branch(operator, output):
    return helper.make_graph([helper.make_node(operator, ["x"], [output])], output, [], [value(output, None)])


# Three operators that nobody has: in the main graph, in a branch, in a function.
function = helper.make_function("own", "Wrapped", ["p"], ["q"], [helper.make_node("Transmogrify", ["p"], ["q"])],
                                [helper.make_opsetid("", 17)])
graph = helper.make_graph(
    [helper.make_node("Frobnicate", ["x"], ["a"]),
     helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
     helper.make_node("Cast", ["sum"], ["yes"], to=TensorProto.BOOL),
     helper.make_node("If", ["yes"], ["b"], then_branch=branch("Defenestrate", "t"), else_branch=branch("Relu", "e")),
     helper.make_node("Wrapped", ["b"], ["c"], domain="own"),
     helper.make_node("Add", ["a", "c"], ["y"])], "three", [value("x", ["n"])], [value("y", ["n"])])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("own", 1)],
                       functions=[function], ir_version=8), os.path.join(HERE, "missing_three.onnx"))

# What models run, compare and check are tried on: y = 2 x + 1, once as that and once with another 1.
for name, one in ("line", 1), ("other_line", 1.01):
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "two"], ["d"]), helper.make_node("Add", ["d", "one"], ["y"])], "line",
        [value("x", ["n", 3])], [value("y", ["n", 3])],
        [numpy_helper.from_array(np.float32(2), "two"), numpy_helper.from_array(np.float32(one), "one")])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
                           producer_name="make_models.py"), os.path.join(HERE, name + ".onnx"))
# Declares [n, 4] where [n, 3] comes out.
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4
save(model, os.path.join(HERE, "wrong_declaration.onnx"))
# Two weights that are not what their shapes say, one of them in a file out of the folder.
model.graph.initializer[0].dims.append(7)
outside = model.graph.initializer[1]
outside.ClearField("raw_data")
outside.data_location = TensorProto.EXTERNAL
entry = outside.external_data.add()
entry.key, entry.value = "location", "../secret"
save(model, os.path.join(HERE, "wrong_weights.onnx"))

# A weight split into a sequence, which is no tensor, so that no constant can take its place; and a sequence that comes
# out.
graph = helper.make_graph(
    [helper.make_node("SplitToSequence", ["w"], ["halves"], axis=0),
     helper.make_node("Add", ["zero", "one"], ["second"]),
     helper.make_node("SequenceAt", ["halves", "second"], ["half"]),
     helper.make_node("Mul", ["x", "half"], ["y"]),
     helper.make_node("SplitToSequence", ["y"], ["columns"], axis=1, keepdims=0)], "split", [value("x", ["n", 3])],
    [value("y", ["n", 3]), helper.make_tensor_sequence_value_info("columns", TensorProto.FLOAT, None)],
    [numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "w"),
     numpy_helper.from_array(np.int64(0), "zero"), numpy_helper.from_array(np.int64(1), "one")])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
     os.path.join(HERE, "split.onnx"))
