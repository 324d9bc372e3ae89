"""A quantised network taken apart: the same nodes, each fed with what ONNX Runtime had there, each compared.

End to end, one float an ulp away may round to another integer. Here nothing carries over from node to node, so integers
must be equal and floats close: every edge between two nodes becomes an input, every value an output."""

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime

import cases


def inner_graphs(node):
    return any(
        attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for attribute in node.attribute
    )


def every_value(model, feeds):
    """Each value that a node of `model` makes, by name, as ONNX Runtime computes it without rewriting the graph."""
    shown = onnx.ModelProto.FromString(model.SerializeToString())
    have = {value.name for value in shown.graph.output}
    for node in shown.graph.node:
        shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output if name and name not in have)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


def undefined(node, values):
    """A cast of what no integer can be (a logarithm of 0, which a Where leaves out later): any result will do."""
    if node.op_type != "Cast" or values[node.output[0]].dtype.kind not in "iu" or node.input[0] not in values:
        return False
    source = values[node.input[0]]
    return source.dtype.kind == "f" and not (np.abs(source) < 2.0**31).all()


def typed(name, array):
    return onnx.helper.make_tensor_value_info(
        name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim
    )


def write_steps(source, folder, feeds):
    """The case `folder` from the model file `source`, on one set of inputs."""
    model = onnx.load(source)
    values = {**feeds, **every_value(model, feeds)}
    graph = model.graph
    if any(inner_graphs(node) for node in graph.node):
        raise ValueError("a graph within the graph: its nodes cannot be taken apart")
    known = {tensor.name for tensor in graph.initializer}
    for node in graph.node:  # constants stay what they are
        if node.op_type == "Constant":
            known.add(node.output[0])
            graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values[node.output[0]]), node.output[0]))
    nodes = [node for node in graph.node if node.op_type != "Constant" and not undefined(node, values)]
    inputs, outputs = {}, {}
    for node in nodes:
        for i, name in enumerate(node.input):
            if name and name not in known:
                node.input[i] = f"{name}/fed"
                inputs[f"{name}/fed"] = values[name]
        outputs |= {name: values[name] for name in node.output if name}
    for kept, fresh in ((graph.node, nodes), (graph.value_info, [])):
        del kept[:]
        kept.extend(fresh)
    for kept, named in ((graph.input, inputs), (graph.output, outputs)):
        del kept[:]
        kept.extend(typed(name, array) for name, array in named.items())
    onnx.save(model, folder / "model.onnx")
    cases.write_set(folder, 0, inputs.items(), outputs.items())
    recurrent = any(node.op_type == "DynamicQuantizeLSTM" for node in nodes)
    (folder / "tolerance").write_text(cases.RECURRENT if recurrent else cases.CLOSE)


ROUNDING = ("DynamicQuantizeLinear", "QuantizeLinear")


def has_segments(source):
    """Whether floats become integers between nodes, and only there: some operators round within themselves."""
    types = {node.op_type for node in onnx.load(source).graph.node}
    return bool(types & set(ROUNDING)) and not types & {"DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}


def write_segments(source, folder, sets):
    """The same on every set of inputs, with cuts only where floats become integers: what leads from one rounding to the next stays together, so
    that an engine may fuse it, and the floats that are about to be rounded are compared."""
    model = onnx.load(source)
    graph = model.graph
    every = [{**feeds, **every_value(model, feeds)} for feeds in sets]
    rounding = [node for node in graph.node if node.op_type in ROUNDING]
    known = {tensor.name for tensor in graph.initializer}
    cut = {name for node in rounding for name in node.output if name}
    kept = [node for node in graph.node if node not in rounding]
    for node in kept:
        for i, name in enumerate(node.input):
            if name in cut:
                node.input[i] = f"{name}/fed"
    made = {name for node in kept for name in node.output}
    read = {name for node in kept for name in node.input}
    ends = [node.input[0] for node in rounding] + [value.name for value in graph.output]
    outputs = list(dict.fromkeys(name for name in ends if name in made and name not in known))
    inputs = [value.name for value in graph.input if value.name in read]
    inputs += [name for name in read if name.endswith("/fed")]
    for values in every:
        values |= {f"{name}/fed": values[name] for name in cut}
    for part, fresh in ((graph.node, kept), (graph.value_info, [])):
        copies = list(fresh)
        del part[:]
        part.extend(copies)
    for part, names in ((graph.input, inputs), (graph.output, outputs)):
        del part[:]
        part.extend(typed(name, every[0][name]) for name in names)
    onnx.save(model, folder / "model.onnx")
    for number, values in enumerate(every):
        cases.write_set(folder, number, [(n, values[n]) for n in inputs], [(n, values[n]) for n in outputs])
    (folder / "tolerance").write_text(cases.SEGMENT)
