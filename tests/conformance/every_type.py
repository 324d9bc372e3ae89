"""Which of the types that the standard names for an operator do run: the node cases of the installed onnx release, made
again in every type that the operator's schema allows.

    every_type.py MOTET OUT CASES...      CASES: folders of make_node_cases.py and of the zoo; OUT is made afresh

For each operator the case with the most inputs is taken, and for each type variable of its schema every element type:
inputs and outputs of that variable are converted, the others stay. What is expected comes from onnx's reference
evaluator; where that cannot do a type, only shape and type of the outputs are looked at. Printed is a line for each
operator that does not run in all its types, with the reasons, and a total. Exit code 1 when a type is refused, or the
result differs, that is not among REFUSED and DIFFERENT.
"""

import re
import shutil
import subprocess
import sys
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
from onnx import helper, numpy_helper

# Types by name as in schemas, "tensor(float16)", and as numbers.
TYPES = {f"tensor({name.lower()})": number for name, number in onnx.TensorProto.DataType.items() if number}
# An attribute that names the type of the output.
TYPE_ATTRIBUTES = ("to", "dtype", "output_dtype", "output_datatype")
# Where the attributes of the case, or another input, settle the type.
SETTLED = {
    ("Bernoulli", "T1"),
    ("BitCast", "T1"),
    ("BitCast", "T2"),
    ("CategoryMapper", "T1"),
    ("DequantizeLinear", "T2"),
    ("Imputer", "T"),
    ("LabelEncoder", "T1"),
    ("LabelEncoder", "T2"),
    ("MelWeightMatrix", "T1"),
    ("OneHotEncoder", "T"),
    ("OptionalGetElement", "O"),
    ("TfIdfVectorizer", "T"),
}
# Types that the schemas allow and motet refuses.
REFUSED = {
    "Col2Im": "complex.*|string",  # sums of strings
    "GridSample": "complex.*|string",  # weighted means of strings
    "Resize": "complex.*|string",
    "NonZero": "complex.*",
    "Unique": "complex.*",
    "ScatterND": "bool|complex.*|string",  # the case takes the larger of two
    "ImageDecoder": ".*",
    "QLinearMatMul": "float8.*",
}
# What the standard leaves open.
DIFFERENT = {
    "Cast": "uint.*|string",  # of negative floats; "-3" or "-3.0"
    "CastLike": "uint.*|string",
    "DequantizeLinear": "float6.*",  # zero points of small floats, which are to be 0
    "GridSample": "u?int.*",  # rounding of weighted means
}
DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview")


def plain_node(model):
    """The node of a model of one node, without graphs within."""
    if len(model.graph.node) != 1 or model.functions or model.graph.initializer:
        return None
    node = model.graph.node[0]
    return None if any(a.type in (a.GRAPH, a.GRAPHS) for a in node.attribute) else node


def read_tensors(folder, kind, values):
    """The tensors of a data set; None when a value is no tensor."""
    arrays = []
    for i, value in enumerate(values):
        if not value.type.HasField("tensor_type"):
            return None
        tensor = onnx.TensorProto.FromString((folder / f"{kind}_{i}.pb").read_bytes())
        arrays.append(numpy_helper.to_array(tensor))
    return arrays


def find_cases(roots):
    """By operator: (inputs given, smaller first) the best case."""
    best = {}
    for folder in sorted(path.parent for root in roots for path in root.rglob("model.onnx")):
        if "_expanded" in folder.name:
            continue
        model = onnx.load(folder / "model.onnx")
        node = plain_node(model)
        if node is None or node.domain not in DOMAINS:
            continue
        inputs = read_tensors(folder / "test_data_set_0", "input", model.graph.input)
        outputs = read_tensors(folder / "test_data_set_0", "output", model.graph.output)
        if inputs is None or outputs is None:
            continue
        size = sum(array.size for array in inputs)
        rank = (sum(map(bool, node.input)), -size)
        key = (node.domain, node.op_type)
        if key not in best or rank > best[key][0]:
            best[key] = (rank, folder.name, model, inputs, outputs)
    return best


def convert(array, element):
    """The values in another type, as far as it has them."""
    if element == onnx.TensorProto.STRING:
        return np.array([str(x) for x in array.reshape(-1)], object).reshape(array.shape)
    to = helper.tensor_dtype_to_np_dtype(element)
    if array.dtype.kind in "OUS":
        array = np.array([len(str(x)) for x in array.reshape(-1)], np.float32).reshape(array.shape)
    if array.dtype == to:
        return array
    values = array.astype(np.float64) if array.dtype.kind != "c" else array.real.astype(np.float64)
    if to.kind in "iu" or element in (21, 22, 25, 26):
        low, high = {21: (0, 15), 22: (-8, 7), 25: (0, 3), 26: (-2, 1)}.get(element) or (
            np.iinfo(to).min,
            np.iinfo(to).max,
        )
        if array.dtype.kind == "f" or str(array.dtype).startswith(("bfloat", "float")):
            values = np.round(values * 3)
        return np.clip(values, max(low, -100), min(high, 100)).astype(to)
    return values.astype(to)


def element_of(array):
    return onnx.TensorProto.STRING if array.dtype.kind in "OUS" else helper.np_dtype_to_tensor_dtype(array.dtype)


def variant(schema, case, variable, element):
    """The case with `variable` as `element`: model, inputs, outputs as they were, converted."""
    _, _, model, inputs, outputs = case
    model = onnx.ModelProto.FromString(model.SerializeToString())
    node = model.graph.node[0]

    def type_strings(names, formals):
        found = {}
        for i, name in enumerate(names):
            formal = formals[min(i, len(formals) - 1)] if formals else None
            if name and formal is not None:
                found.setdefault(name, formal.type_str)
        return found

    strings = type_strings(node.input, schema.inputs) | type_strings(node.output, schema.outputs)
    touched = False

    def change(values, arrays):
        nonlocal touched
        changed = []
        for value, array in zip(values, arrays):
            if strings.get(value.name) == variable:
                array = convert(array, element)
                value.type.tensor_type.elem_type = element
                touched = True
            changed.append(array)
        return changed

    inputs = change(model.graph.input, inputs)
    only_out = not touched
    outputs = change(model.graph.output, outputs)
    named = [a for a in node.attribute if a.name in TYPE_ATTRIBUTES]
    if only_out:
        if not named:
            return None  # the attributes of this case settle the type
        named[0].i = element
    for attribute in node.attribute:  # a value of the same type, as of ConstantOfShape
        if only_out and attribute.type == attribute.TENSOR:
            return None
    return (model, inputs, outputs) if touched else None


def write(folder, model, inputs, outputs, exact):
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    onnx.save(model, folder / "model.onnx")
    for kind, values, arrays in (("input", model.graph.input, inputs), ("output", model.graph.output, outputs)):
        for i, (value, array) in enumerate(zip(values, arrays)):
            element = value.type.tensor_type.elem_type
            array = np.asarray(array)
            if element != onnx.TensorProto.STRING and array.dtype != helper.tensor_dtype_to_np_dtype(element):
                array = array.astype(helper.tensor_dtype_to_np_dtype(element))
            (data / f"{kind}_{i}.pb").write_bytes(numpy_helper.from_array(array, value.name).SerializeToString())
    (folder / "tolerance").write_text("rtol 1e-2\natol 1e-2\n" if exact else "max_abs 1e300\n")


def expect(model, inputs, outputs):
    """What the reference evaluator makes of it, or the outputs as they were."""
    feeds = {value.name: array for value, array in zip(model.graph.input, inputs)}
    try:
        made = onnx.reference.ReferenceEvaluator(model).run(None, feeds)
        for value, array in zip(model.graph.output, made):
            if element_of(np.asarray(array)) != value.type.tensor_type.elem_type:
                return outputs, False
        return made, True
    except Exception:  # it has many gaps, and no type for them
        return outputs, False


def make(roots, out):
    """Writes every variant; returns name -> (operator, variable, type, exact), and operators without a case."""
    made, without = {}, []
    found = find_cases(roots)
    newest = {}
    for schema in onnx.defs.get_all_schemas():
        if schema.domain in DOMAINS and not schema.deprecated:
            newest[schema.domain, schema.name] = schema
    for key, schema in sorted(newest.items()):
        if key not in found:
            without.append(".".join(filter(None, key)))
            continue
        for constraint in schema.type_constraints:
            for text in constraint.allowed_type_strs:
                if text not in TYPES or (schema.name, constraint.type_param_str) in SETTLED:
                    continue
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    try:
                        changed = variant(schema, found[key], constraint.type_param_str, TYPES[text])
                    except (TypeError, ValueError, KeyError) as error:
                        print(f"{schema.name} {text}: cannot be made: {error}", file=sys.stderr)
                        continue
                    if changed is None:
                        continue
                    model, inputs, outputs = changed
                    outputs, exact = expect(model, inputs, outputs)
                    name = f"{schema.name}-{constraint.type_param_str}-{text[7:-1]}"
                    try:
                        write(out / name, model, inputs, outputs, exact)
                    except (TypeError, ValueError, NotImplementedError) as error:
                        print(f"{name}: cannot be written: {error}", file=sys.stderr)
                        shutil.rmtree(out / name)
                        continue
                    made[name] = (schema.name, constraint.type_param_str, text[7:-1], exact)
    return made, without


def listed(table, operator, element):
    return re.fullmatch(table.get(operator, ""), element) is not None


def show(title, table):
    for operator, items in sorted(table.items()):
        print(f"{title} {operator}: {', '.join(f'{variable}={element}' for variable, element, _ in items)}")
        print(f"        {items[0][2][:300]}")


def main():
    motet, out, roots = sys.argv[1], Path(sys.argv[2]), [Path(root) for root in sys.argv[3:]]
    shutil.rmtree(out, ignore_errors=True)
    made, without = make(roots, out)
    run = subprocess.run([motet, "model", "test", "--failures", f"types={out}"], capture_output=True, text=True)
    refused, by_choice, wrong, open_to_choice = (defaultdict(list) for _ in range(4))
    for name, reason in re.findall(r"^FAIL  types/(\S+): (.*)$", run.stdout, re.M):
        operator, variable, element, exact = made[name]
        if "differ" not in reason and "expected \"" not in reason:
            table = by_choice if listed(REFUSED, operator, element) else refused
        elif exact:
            table = open_to_choice if listed(DIFFERENT, operator, element) else wrong
        else:
            continue
        table[operator].append((variable, element, reason))
    show("REFUSED", refused)
    show("WRONG", wrong)
    show("left out", by_choice)
    show("otherwise", open_to_choice)
    if without:
        print(f"no case of one node: {' '.join(without)}")
    count = lambda table: sum(map(len, table.values()))
    print(
        f"{len(made) - count(refused) - count(by_choice)} of {len(made)} types of {len({m[0] for m in made.values()})} "
        f"operators run; of {sum(m[3] for m in made.values())} with a reference {count(wrong)} are wrong"
    )
    sys.exit(count(refused) + count(wrong) > 0 or not made)


main()
