"""Operators one at a time, of com.microsoft and ai.onnx.ml mostly, with the attributes and optional inputs that exports do
not happen to use: what ONNX Runtime makes of them, on seeded random inputs."""

import itertools

import numpy as np
import onnx
from onnx import helper

import cases

RANDOM = np.random.default_rng(5)
TREES = "ai.onnx.ml"
FUSED = "com.microsoft"


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def integers(low, high, shape, kind=np.int64):
    return RANDOM.integers(low, high, shape).astype(kind)


def f32(value):
    return np.float32(value)


def write(folder, domain, op, version, inputs, outputs, attributes, sets=1, tolerance=cases.CLOSE):
    """inputs: {name: array} in order, None where one is left out; those in `constant` become initializers, and
    outputs in `hidden` none of the graph's."""
    attributes = dict(attributes)
    constant, hidden = attributes.pop("constant", ()), attributes.pop("hidden", ())
    given = {name: np.asarray(value) for name, value in inputs.items() if value is not None}
    names = [name if value is not None else "" for name, value in inputs.items()]
    while names and not names[-1]:
        names.pop()
    kind = lambda value: helper.np_dtype_to_tensor_dtype(value.dtype)
    shown = [helper.make_tensor_value_info(n, kind(v), v.shape) for n, v in given.items() if n not in constant]
    fixed = [onnx.numpy_helper.from_array(v, n) for n, v in given.items() if n in constant]
    node = helper.make_node(op, names, outputs, domain=domain, **attributes)
    made = [onnx.ValueInfoProto(name=name) for name in outputs if name and name not in hidden]
    graph = helper.make_graph([node], op, shown, made, fixed)
    imports = [helper.make_opsetid("", 21)] + ([helper.make_opsetid(domain, version)] if domain else [])
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    onnx.save(model, folder / "model.onnx")
    types = {value.name: value.type for value in cases.open_session(folder / "model.onnx").get_outputs()}
    numbers = {"float": 1, "float16": 10, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "string": 8, "double": 11}
    for value in model.graph.output:
        value.type.tensor_type.elem_type = numbers[types[value.name][len("tensor(") : -1]]
    onnx.save(model, folder / "model.onnx")
    cases.write_case(folder, [{name: v for name, v in given.items() if name not in constant}], tolerance)


# --- classical models ----------------------------------------------------------------------------------------------


def random_trees(count, features, classes, signed, all_classes):
    """Attributes of trees of depth 2 over random features; leaves of each class or of class 0 alone."""
    nodes = {key: [] for key in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")}
    leaves = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}
    modes = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
    for tree in range(count):
        for node in range(7):
            leaf = node > 2
            nodes["treeids"].append(tree)
            nodes["nodeids"].append(node)
            nodes["featureids"].append(int(RANDOM.integers(features)))
            nodes["values"].append(float(f32(RANDOM.normal())))
            nodes["modes"].append("LEAF" if leaf else modes[int(RANDOM.integers(4 if tree else 6))])
            nodes["truenodeids"].append(0 if leaf else 2 * node + 1)
            nodes["falsenodeids"].append(0 if leaf else 2 * node + 2)
            if leaf:
                for k in range(classes) if all_classes else [0]:
                    leaves["treeids"].append(tree)
                    leaves["nodeids"].append(node)
                    leaves["ids"].append(k)
                    leaves["weights"].append(float(f32(RANDOM.normal() if signed else RANDOM.random() / count)))
    missing = [int(value) for value in RANDOM.integers(0, 2, 7 * count)]
    return {f"nodes_{key}": value for key, value in nodes.items()} | {
        "nodes_missing_value_tracks_true": missing
    }, leaves


def rows(count=40, features=5):
    values = floats(count, features)
    values[RANDOM.random(values.shape) < 0.1] = np.nan
    return values


def tree_cases():
    transforms = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"]
    for classes, signed, whole, base in itertools.product((2, 3), (False, True), (False, True), (0, 1)):
        if classes == 3 and not whole:
            continue
        for transform in transforms:
            nodes, leaves = random_trees(6, 5, classes, signed, whole)
            attributes = nodes | {f"class_{key}": value for key, value in leaves.items()}
            attributes |= {"classlabels_int64s": list(range(10, 10 + classes)), "post_transform": transform}
            if base and not (classes == 2 and whole):
                attributes["base_values"] = [0.3] * (classes if classes > 2 else 1)
            name = f"tree-classifier-{classes}-{'signed' if signed else 'positive'}-{'all' if whole else 'one'}-{base}-{transform}"
            # Where both of two classes have weights, ONNX Runtime's labels are 0 and 1 whatever the file says, and 1
            # whenever the second score is above 0: not the top class, so only the scores are compared.
            attributes["hidden"] = ("Y",) if classes == 2 and whole else ()
            yield name, TREES, "TreeEnsembleClassifier", 3, {"X": rows()}, ["Y", "Z"], attributes
    for targets, aggregate, base in itertools.product((1, 2), ("SUM", "AVERAGE", "MIN", "MAX"), (0, 1)):
        nodes, leaves = random_trees(6, 5, targets, True, True)
        attributes = nodes | {f"target_{key}": value for key, value in leaves.items()}
        attributes |= {"n_targets": targets, "aggregate_function": aggregate}
        if base:
            attributes["base_values"] = [0.25, -0.5][:targets]
        yield f"tree-regressor-{targets}-{aggregate}-{base}", TREES, "TreeEnsembleRegressor", 3, {"X": rows()}, [
            "Y"
        ], attributes
    nodes, leaves = random_trees(6, 5, 1, True, True)
    wide = lambda values: helper.make_tensor("", onnx.TensorProto.DOUBLE, [len(values)], values)
    attributes = nodes | {
        "nodes_values_as_tensor": wide(nodes["nodes_values"]),
        "target_weights_as_tensor": wide(leaves["weights"]),
    }
    attributes["n_targets"] = 1
    del attributes["nodes_values"]
    attributes |= {f"target_{key}": leaves[key] for key in ("treeids", "nodeids", "ids")}
    yield "tree-regressor-double", TREES, "TreeEnsembleRegressor", 3, {"X": rows().astype(np.float64)}, [
        "Y"
    ], attributes


def ensemble_cases():
    tensor = lambda values, kind: helper.make_tensor("", kind, [len(values)], values)
    attributes = dict(
        n_targets=2,
        aggregate_function=1,
        post_transform=0,
        tree_roots=[0, 2],
        nodes_featureids=[0, 1, 2],
        nodes_modes=tensor([0, 6, 3], onnx.TensorProto.UINT8),
        nodes_splits=tensor([0.1, 0.0, -0.4], onnx.TensorProto.FLOAT),
        nodes_truenodeids=[1, 0, 2],
        nodes_trueleafs=[0, 1, 1],
        nodes_falsenodeids=[3, 1, 0],
        nodes_falseleafs=[1, 1, 1],
        leaf_targetids=[0, 1, 0, 1],
        leaf_weights=tensor([1.5, -2.0, 0.25, 4.0], onnx.TensorProto.FLOAT),
        membership_values=tensor([1.0, 2.0, np.nan], onnx.TensorProto.FLOAT),
    )
    x = integers(-1, 4, (30, 3)).astype(np.float32)
    for aggregate in range(4):
        yield f"tree-ensemble-{aggregate}", TREES, "TreeEnsemble", 5, {"X": x}, ["Y"], attributes | {
            "aggregate_function": aggregate
        }


def linear_cases():
    x = floats(9, 4)
    for transform in ("NONE", "LOGISTIC", "SOFTMAX"):
        one = dict(coefficients=floats(4).tolist(), intercepts=[0.1], post_transform=transform)
        three = dict(coefficients=floats(12).tolist(), intercepts=floats(3).tolist(), post_transform=transform)
        yield f"linear-classifier-one-{transform}", TREES, "LinearClassifier", 1, {"X": x}, ["Y", "Z"], one | {
            "classlabels_ints": [4, 7]
        }
        yield f"linear-classifier-three-{transform}", TREES, "LinearClassifier", 1, {"X": x}, ["Y", "Z"], three | {
            "classlabels_strings": ["a", "b", "c"]
        }
        yield f"linear-regressor-{transform}", TREES, "LinearRegressor", 1, {"X": x}, ["Y"], three | {"targets": 3}


def svm_cases():
    x = floats(9, 4)
    kernels = {"LINEAR": [0.0, 0, 0], "POLY": [0.2, 0.5, 2], "RBF": [0.3, 0, 0], "SIGMOID": [0.1, 0.2, 0]}
    for kernel, parameters in kernels.items():
        common = dict(kernel_type=kernel, kernel_params=[float(p) for p in parameters])
        vectors = dict(support_vectors=floats(24).tolist())
        yield f"svm-regressor-{kernel}", TREES, "SVMRegressor", 1, {"X": x}, ["Y"], common | vectors | dict(
            coefficients=floats(6).tolist(), n_supports=6, rho=[0.2]
        )
        for classes, per_class in ((2, [2, 4]), (3, [1, 2, 3])):
            pairs = classes * (classes - 1) // 2
            attributes = (
                common
                | vectors
                | dict(
                    coefficients=floats(6 * (classes - 1)).tolist(),
                    rho=floats(pairs).tolist(),
                    vectors_per_class=per_class,
                    classlabels_ints=list(range(classes)),
                )
            )
            yield f"svm-classifier-{kernel}-{classes}", TREES, "SVMClassifier", 1, {"X": x}, ["Y", "Z"], attributes
            probable = dict(prob_a=(-np.abs(floats(pairs))).tolist(), prob_b=floats(pairs).tolist())
            yield f"svm-classifier-{kernel}-{classes}-probabilities", TREES, "SVMClassifier", 1, {"X": x}, [
                "Y",
                "Z",
            ], attributes | probable
    linear = dict(
        kernel_params=[0.0, 0.0, 0.0], coefficients=floats(12).tolist(), rho=[0.1], classlabels_strings=["x", "y", "z"]
    )
    yield "svm-classifier-without-vectors", TREES, "SVMClassifier", 1, {"X": x}, ["Y", "Z"], linear


def feature_cases():
    words = np.array([["b", "a"], ["", "zz"], ["c", "b"]], object)
    x = floats(3, 4)
    yield "label-encoder-1", TREES, "LabelEncoder", 1, {"X": words}, ["Y"], dict(
        classes_strings=["a", "b", "c"], default_int64=-7
    )
    yield "label-encoder-1-back", TREES, "LabelEncoder", 1, {"X": integers(-1, 4, (3, 3))}, ["Y"], dict(
        classes_strings=["a", "b", "c"], default_string="none"
    )
    yield "label-encoder-2", TREES, "LabelEncoder", 2, {"X": words}, ["Y"], dict(
        keys_strings=["a", "b"], values_floats=[0.5, 2.5]
    )
    yield "label-encoder-2-floats", TREES, "LabelEncoder", 2, {"X": np.array([1, np.nan, 2.5], np.float32)}, [
        "Y"
    ], dict(keys_floats=[float("nan"), 1.0], values_strings=["nan", "one"])
    tensor = lambda name, values, kind: helper.make_tensor(name, kind, [len(values)], values)
    yield "label-encoder-4", TREES, "LabelEncoder", 4, {"X": np.array([3, 5, 9], np.int64)}, ["Y"], dict(
        keys_tensor=tensor("", [3, 5], onnx.TensorProto.INT64),
        values_tensor=tensor("", [1.5, 2.5], onnx.TensorProto.DOUBLE),
        default_tensor=tensor("", [-1.0], onnx.TensorProto.DOUBLE),
    )
    mapping = dict(cats_strings=["a", "b", "c"], cats_int64s=[5, 6, 7])
    yield "category-mapper", TREES, "CategoryMapper", 1, {"X": words}, ["Y"], mapping | {"default_int64": -3}
    yield "category-mapper-back", TREES, "CategoryMapper", 1, {"X": integers(4, 9, (2, 5))}, ["Y"], mapping | {
        "default_string": "?"
    }
    yield "feature-vectorizer", TREES, "FeatureVectorizer", 1, {"A": x, "B": floats(3, 2)}, ["Y"], dict(
        inputdimensions=[4, 2]
    )
    for norm in ("MAX", "L1", "L2"):
        yield f"normalizer-{norm}", TREES, "Normalizer", 1, {"X": np.vstack([x, np.zeros((1, 4), np.float32)])}, [
            "Y"
        ], dict(norm=norm)
    yield "scaler-one", TREES, "Scaler", 1, {"X": x}, ["Y"], dict(offset=[0.5], scale=[2.0])
    yield "scaler-int64", TREES, "Scaler", 1, {"X": integers(0, 9, (3, 2))}, ["Y"], dict(
        offset=[0.5, 1], scale=[2.0, 3]
    )
    yield "imputer-int64", TREES, "Imputer", 1, {"X": integers(0, 3, (4, 2))}, ["Y"], dict(
        imputed_value_int64s=[7, 8], replaced_value_int64=1
    )
    yield "array-feature-extractor", TREES, "ArrayFeatureExtractor", 1, {
        "X": floats(2, 3, 5),
        "Y": np.array([4, 0, 0], np.int64),
    }, ["Z"], {}
    yield "array-feature-extractor-words", TREES, "ArrayFeatureExtractor", 1, {
        "X": words,
        "Y": np.array([[1]], np.int64),
    }, ["Z"], {}
    yield "one-hot-encoder", TREES, "OneHotEncoder", 1, {"X": words}, ["Y"], dict(cats_strings=["b", "a"])
    yield "binarizer", TREES, "Binarizer", 1, {"X": x}, ["Y"], dict(threshold=0.1)


# --- fused operators ------------------------------------------------------------------------------------------------


def product_cases():
    a, b = floats(2, 3, 4, 5), floats(2, 3, 5, 6)
    turn = lambda x, *axes: np.ascontiguousarray(x.transpose(axes))
    for ta, tb, ba, bb in itertools.product((0, 1), repeat=4):
        left = turn(a, 0, 1, 3, 2) if ta else a
        right = turn(b, 0, 1, 3, 2) if tb else b
        left = turn(left, 2, 0, 1, 3) if ba else left
        right = turn(right, 2, 0, 1, 3) if bb else right
        attributes = dict(transA=ta, transB=tb, transBatchA=ba, transBatchB=bb, alpha=0.3)
        yield f"fused-matmul-{ta}{tb}{ba}{bb}", FUSED, "FusedMatMul", 1, {"A": left, "B": right}, ["Y"], attributes
    for activation in ("Relu", "LeakyRelu", "Tanh", "Sigmoid"):
        yield f"fused-gemm-{activation}", FUSED, "FusedGemm", 1, {
            "A": floats(3, 4),
            "B": floats(4, 5),
            "C": floats(5),
        }, ["Y"], dict(activation=activation, activation_alpha=0.2, alpha=1.5, beta=0.5)
    yield "fused-gemm-Selu", FUSED, "FusedGemm", 1, {
        "A": floats(3, 4),
        "B": floats(4, 5),
        "C": floats(5),
    }, ["Y"], dict(activation="Selu", activation_alpha=1.5, activation_gamma=1.1)
    image, weights = floats(2, 4, 9, 8), floats(6, 2, 3, 3)
    for activation, parameters in (
        ("Relu", []),
        ("LeakyRelu", [0.3]),
        ("Clip", [-0.5, 0.7]),
        ("HardSigmoid", [0.3, 0.4]),
    ):
        attributes = dict(activation=activation, group=2, pads=[1, 0, 1, 2], strides=[2, 1])
        if parameters:
            attributes["activation_params"] = parameters
        inputs = {"X": image, "W": weights, "B": floats(6)}
        yield f"fused-conv-{activation}", FUSED, "FusedConv", 1, inputs, ["Y"], attributes
    inputs = {"X": image, "W": weights, "B": floats(6), "Z": floats(2, 6, 9, 8)}
    yield "fused-conv-sum", FUSED, "FusedConv", 1, inputs, ["Y"], dict(activation="Relu", group=2, pads=[1, 1, 1, 1])
    x = 3 * floats(2, 5, 7)
    yield "gelu", FUSED, "Gelu", 1, {"X": x}, ["Y"], {}
    yield "bias-gelu", FUSED, "BiasGelu", 1, {"A": x, "B": floats(7)}, ["Y"], {}
    yield "fast-gelu", FUSED, "FastGelu", 1, {"X": x}, ["Y"], {}
    yield "fast-gelu-bias", FUSED, "FastGelu", 1, {"X": x, "bias": floats(7)}, ["Y"], {}
    yield "quick-gelu", FUSED, "QuickGelu", 1, {"X": x}, ["Y"], {}
    yield "quick-gelu-alpha", FUSED, "QuickGelu", 1, {"X": x}, ["Y"], dict(alpha=0.7)


def norm_cases():
    x = floats(2, 5, 8)
    names = ["input", "skip", "gamma", "beta", "bias"]
    for skip in (floats(2, 5, 8), floats(1, 5, 8), floats(5, 8)):
        for extra in ([], [floats(8)], [floats(8), floats(8)]):
            inputs = dict(zip(names, [x, skip, floats(8), *extra]))
            name = f"skip-layer-norm-{skip.ndim}{skip.shape[0]}-{len(extra)}"
            yield name, FUSED, "SkipLayerNormalization", 1, inputs, ["Y", "", "", "S"], dict(epsilon=1e-5)
    for extra in ([], [floats(8)]):
        inputs = dict(zip(["input", "skip", "gamma", "bias"], [x, floats(2, 5, 8), floats(8), *extra]))
        yield f"skip-rms-norm-{len(extra)}", FUSED, "SkipSimplifiedLayerNormalization", 1, inputs, [
            "Y",
            "",
            "",
            "S",
        ], {}
    yield "simplified-layer-norm", "", "SimplifiedLayerNormalization", 21, {"X": x, "scale": floats(8)}, ["Y"], dict(
        axis=-1
    )
    mask = (np.arange(5) < np.array([[5], [3]])).astype(np.int32)
    inputs = {
        "ids": integers(0, 11, (2, 5), np.int32),
        "segments": integers(0, 2, (2, 5), np.int32),
        "words": floats(11, 8),
        "positions": floats(9, 8),
        "segment": floats(2, 8),
        "gamma": floats(8),
        "beta": floats(8),
        "mask": mask,
    }
    yield "embed-layer-norm", FUSED, "EmbedLayerNormalization", 1, inputs, ["Y", "M", "S"], dict(epsilon=1e-6)
    yield "embed-layer-norm-positions", FUSED, "EmbedLayerNormalization", 1, inputs | {
        "segments": None,
        "segment": None,
        "mask": None,
        "position_ids": integers(0, 9, (2, 5), np.int32),
    }, ["Y", "M"], {}


def attention_cases():
    batch, length, hidden, heads, past = 2, 5, 16, 4, 3
    base = {"input": floats(batch, length, hidden), "weights": floats(hidden, 48), "bias": floats(48)}
    ends = np.array([5, 3], np.int32)
    seen = (np.arange(length) < ends[:, None]).astype(np.int32)
    masks = {
        "none": None,
        "ends": ends,
        "ends-starts": np.array([5, 3, 1, 0], np.int32),
        "keys": seen,
        "pairs": np.repeat(seen[:, None], length, 1) * np.tril(np.ones((length, length), np.int32)),
    }
    for name, mask in masks.items():
        for causal in (0, 1):
            attributes = dict(num_heads=heads, unidirectional=causal)
            yield f"attention-{name}-{causal}", FUSED, "Attention", 1, base | {"mask": mask}, ["Y"], attributes
    before = floats(2, batch, heads, past, 4)
    yield "attention-past", FUSED, "Attention", 1, base | {"mask": None, "past": before}, ["Y", "P"], dict(
        num_heads=heads, unidirectional=1
    )
    yield "attention-bias", FUSED, "Attention", 1, base | {
        "mask": seen,
        "past": None,
        "extra": floats(1, heads, length, length),
    }, ["Y"], dict(num_heads=heads, scale=0.3)
    yield "attention-sizes", FUSED, "Attention", 1, base, ["Y"], dict(num_heads=heads, qkv_hidden_sizes=[12, 12, 24])
    scales = {"xs": f32(0.02), "ws": np.abs(floats(48)) / 50 + f32(0.001), "mask": None}
    quantised = {
        "x": integers(0, 256, (batch, length, hidden), np.uint8),
        "w": integers(-127, 128, (hidden, 48), np.int8),
        "b": floats(48),
    }
    zeros = {"xz": np.uint8(117), "wz": np.zeros(48, np.int8)}
    yield "qattention", FUSED, "QAttention", 1, quantised | scales | zeros, ["Y"], dict(
        num_heads=heads, constant=("w", "ws", "wz")
    )


def multi_head_cases():
    batch, length, keys, heads, size = 2, 5, 7, 4, 4
    width = heads * size
    q, k, v = floats(batch, length, width), floats(batch, keys, width), floats(batch, keys, 2 * width)
    attributes = dict(num_heads=heads)
    run = lambda name, inputs, outputs=("Y",), **more: (
        name,
        FUSED,
        "MultiHeadAttention",
        1,
        inputs,
        list(outputs),
        attributes | more,
    )
    plain = {"q": q, "k": k, "v": v}
    seen = (np.arange(keys) < np.array([[7], [4]])).astype(np.int32)
    yield run("multi-head", plain)
    yield run("multi-head-scale", plain, scale=0.2)
    yield run("multi-head-bias", plain | {"b": floats(4 * width)})
    yield run("multi-head-keys", plain | {"b": None, "m": seen})
    yield run("multi-head-extra", plain | {"b": None, "m": None, "e": floats(1, heads, length, keys)})
    yield run("multi-head-extra-keys", plain | {"b": None, "m": seen, "e": floats(batch, 1, length, keys)})
    yield run(
        "multi-head-cross", {"q": q, "k": floats(batch, heads, keys, size), "v": floats(batch, heads, keys, size)}
    )
    own = {
        "q": q,
        "k": floats(batch, length, width),
        "v": floats(batch, length, width),
        "b": None,
        "m": None,
        "e": None,
    }
    yield run("multi-head-causal", own, unidirectional=1)
    before = {"pk": floats(batch, heads, 3, size), "pv": floats(batch, heads, 3, size)}
    yield run("multi-head-past", own | before, ("Y", "PK", "PV"), unidirectional=1)


def rotary_caches(positions, half):
    angle = np.arange(positions)[:, None] / (10.0 ** (np.arange(half) / half))
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def rotary_cases():
    cosine, sine = rotary_caches(20, 4)
    x, positions = floats(2, 5, 24), np.stack([np.arange(5) + 3, np.arange(5)])
    for interleaved in (0, 1):
        base = {"x": x, "p": positions, "c": cosine, "s": sine}
        yield f"rotary-{interleaved}", FUSED, "RotaryEmbedding", 1, base, ["Y"], dict(interleaved=interleaved)
        yield f"rotary-offset-{interleaved}", FUSED, "RotaryEmbedding", 1, base | {"p": np.array([7])}, ["Y"], dict(
            interleaved=interleaved
        )
        yield f"rotary-heads-{interleaved}", FUSED, "RotaryEmbedding", 1, base | {"x": floats(2, 3, 5, 8)}, ["Y"], dict(
            interleaved=interleaved
        )
        yield f"rotary-part-{interleaved}", FUSED, "RotaryEmbedding", 1, base, ["Y"], dict(
            interleaved=interleaved, num_heads=2, rotary_embedding_dim=8
        )


def grouped_cases():
    heads, shared, size, length, cached = 4, 2, 16, 5, 6
    cosine, sine = rotary_caches(32, size // 2)
    for rotary, window, packed in itertools.product((0, 1), (-1, 3), (0, 1)):
        attributes = dict(num_heads=heads, kv_num_heads=shared, do_rotary=rotary, local_window_size=window)
        ends = {"ck": cosine, "sk": sine} if rotary else {}
        for step, batch, new, before in (("prompt", 2, length, 0), ("next", 2, 1, cached), ("more", 1, 3, cached)):
            width = (heads + 2 * shared) * size if packed else heads * size
            inputs = {"q": floats(batch, new, width)}
            for key in ("k", "v"):
                inputs[key] = None if packed else floats(batch, new, shared * size)
            for key in ("pk", "pv"):
                inputs[key] = floats(batch, shared, before, size)
            total = before + new
            inputs |= {"lengths": np.full(batch, total - 1, np.int32), "longest": np.int32(total)}
            if step != "more" and batch == 2 and before:
                inputs["lengths"] = np.array([total - 1, total - 3], np.int32)
            name = f"grouped-{step}-{rotary}-{window}-{packed}"
            yield name, FUSED, "GroupQueryAttention", 1, inputs | ends, ["Y", "PK", "PV"], attributes
    inputs = {"q": floats(1, 3, 64), "k": floats(1, 3, 32), "v": floats(1, 3, 32), "pk": None, "pv": None}
    inputs |= {"lengths": np.array([2], np.int32), "longest": np.int32(3)}
    attributes = dict(num_heads=heads, kv_num_heads=shared, softcap=2.0, scale=0.4)
    yield "grouped-softcap", FUSED, "GroupQueryAttention", 1, inputs, ["Y", "PK", "PV"], attributes
    attributes = dict(num_heads=heads, kv_num_heads=shared)
    halves = inputs | {key: inputs[key].astype(np.float16) for key in ("q", "k", "v")}
    yield "grouped-float16", FUSED, "GroupQueryAttention", 1, halves, ["Y", "PK", "PV"], attributes
    attributes = attributes | dict(causal=0)
    yield "grouped-not-causal", FUSED, "GroupQueryAttention", 1, inputs, ["Y", "PK", "PV"], attributes
    inputs = {"q": floats(2, 1, 64), "k": floats(2, 1, 32), "v": floats(2, 1, 32)}
    inputs |= {key: floats(2, shared, 6, size) for key in ("pk", "pv")}
    inputs |= {"lengths": np.array([6, 4], np.int32), "longest": np.int32(7)}
    yield "grouped-not-causal-next", FUSED, "GroupQueryAttention", 1, inputs, ["Y", "PK", "PV"], attributes


# --- quantised operators --------------------------------------------------------------------------------------------


def byte_tensor(kind, *shape):
    info = np.iinfo(kind)
    return integers(info.min, info.max + 1, shape, kind)


def quantised_product_cases():
    a = floats(2, 3, 16)
    for kind, columns, bias in itertools.product((np.uint8, np.int8), (0, 1), (0, 1)):
        shape = (7,) if columns else ()
        scale, zero = np.abs(RANDOM.normal(0, 0.02, shape)).astype(np.float32) + f32(1e-3), byte_tensor(kind, *shape)
        more = {"bias": floats(7)} if bias else {}
        weights = byte_tensor(kind, 16, 7)
        name = f"{np.dtype(kind).name}-{columns}-{bias}"
        fixed = dict(constant=("b", "zero"))
        yield f"dynamic-quantize-matmul-{name}", FUSED, "DynamicQuantizeMatMul", 1, {
            "a": a,
            "b": weights,
            "scale": scale,
            "zero": zero,
        } | more, ["Y"], fixed
        inputs = {
            "a": byte_tensor(np.uint8, 2, 3, 16),
            "b": weights,
            "as": f32(0.03),
            "scale": scale,
            "az": np.uint8(99),
            "zero": zero,
        }
        yield f"matmul-integer-to-float-{name}", FUSED, "MatMulIntegerToFloat", 1, inputs | more, ["Y"], fixed
        for transposed, result in itertools.product((0, 1), (0, 1)):
            inputs = {
                "a": byte_tensor(np.uint8, 3, 16),
                "as": f32(0.03),
                "az": np.uint8(99),
                "b": weights,
                "bs": scale,
                "bz": zero,
            }
            inputs["c"] = integers(-900, 900, 7, np.int32) if bias else None
            if transposed:
                inputs |= {"a": np.ascontiguousarray(inputs["a"].T), "b": np.ascontiguousarray(weights.T)}
            if result:
                inputs |= {"ys": f32(0.9), "yz": np.uint8(110)}
            attributes = dict(transA=transposed, transB=transposed, alpha=1.25, constant=("b", "bz"))
            yield f"qgemm-{name}-{transposed}-{result}", FUSED, "QGemm", 1, inputs, ["Y"], attributes


def qlinear_cases():
    for kind in (np.uint8, np.int8):
        label = np.dtype(kind).name
        zero = lambda: byte_tensor(kind, 1)[0]
        scale = lambda: f32(RANDOM.uniform(0.01, 0.1))
        for op in ("Add", "Mul"):
            for a, b in (((2, 3, 8), (2, 3, 8)), ((2, 3, 8), (8,)), ((2, 3, 8), ()), ((1,), (4, 5)), ((4, 1), (1, 5))):
                inputs = {
                    "a": byte_tensor(kind, *a),
                    "as": scale(),
                    "az": zero(),
                    "b": byte_tensor(kind, *b),
                    "bs": scale(),
                    "bz": zero(),
                }
                inputs |= {"cs": scale() * (1 if op == "Add" else 8), "cz": zero()}
                yield f"qlinear-{op}-{label}-{len(a)}{len(b)}", FUSED, f"QLinear{op}", 1, inputs, ["Y"], {}
        one = lambda *shape: {"x": byte_tensor(kind, *shape), "xs": scale(), "xz": zero(), "ys": scale(), "yz": zero()}
        yield f"qlinear-sigmoid-{label}", FUSED, "QLinearSigmoid", 1, one(5, 9) | {
            "ys": f32(1 / 256),
            "yz": kind(np.iinfo(kind).min),
        }, ["Y"], {}
        yield f"qlinear-leaky-relu-{label}", FUSED, "QLinearLeakyRelu", 1, one(5, 9), ["Y"], dict(alpha=0.2)
        for axis, opset in ((-1, 13), (1, 13), (1, 12)):
            inputs = one(3, 5, 9) | {"ys": f32(1 / 256), "yz": kind(np.iinfo(kind).min)}
            yield f"qlinear-softmax-{label}-{axis}-{opset}", FUSED, "QLinearSoftmax", 1, inputs, ["Y"], dict(
                axis=axis, opset=opset
            )
        yield f"qlinear-global-average-{label}", FUSED, "QLinearGlobalAveragePool", 1, one(2, 3, 5, 4), ["Y"], {}
        yield f"qlinear-global-average-last-{label}", FUSED, "QLinearGlobalAveragePool", 1, one(2, 5, 4, 3), [
            "Y"
        ], dict(channels_last=1)
        pool = dict(kernel_shape=[3, 2], pads=[1, 0, 1, 1], strides=[2, 1])
        yield f"qlinear-average-{label}", FUSED, "QLinearAveragePool", 1, one(2, 3, 7, 6), ["Y"], pool
        yield f"qlinear-average-last-{label}", FUSED, "QLinearAveragePool", 1, one(2, 7, 6, 3), ["Y"], pool | {
            "channels_last": 1
        }
        yield f"nhwc-max-pool-{label}", FUSED, "NhwcMaxPool", 1, {"x": byte_tensor(kind, 2, 7, 6, 3)}, ["Y"], pool
        parts = {}
        for i, width in enumerate((2, 1, 3)):
            parts |= {f"x{i}": byte_tensor(kind, 2, width, 3), f"s{i}": scale(), f"z{i}": zero()}
        yield f"qlinear-concat-{label}", FUSED, "QLinearConcat", 1, {"ys": scale(), "yz": zero()} | parts, ["Y"], dict(
            axis=1
        )
        choice = {"c": RANDOM.random((4, 5)) < 0.5, "x": byte_tensor(kind, 4, 5), "xs": scale(), "xz": zero()}
        choice |= {"y": byte_tensor(kind, 5), "ys": scale(), "yz": zero(), "rs": scale(), "rz": zero()}
        yield f"qlinear-where-{label}", FUSED, "QLinearWhere", 1, choice, ["Y"], {}
        image = {"x": byte_tensor(kind, 2, 7, 6, 3), "xs": scale(), "xz": zero(), "w": byte_tensor(np.int8, 4, 3, 3, 3)}
        image |= {
            "ws": f32(0.01),
            "wz": np.int8(0),
            "ys": f32(0.4),
            "yz": zero(),
            "b": integers(-200, 200, 4, np.int32),
        }
        attributes = dict(channels_last=1, pads=[1, 1, 1, 1], constant=("w", "ws", "wz"))
        yield f"qlinear-conv-last-{label}", FUSED, "QLinearConv", 1, image, ["Y"], attributes
        quantise = {"x": floats(3, 4), "s": f32(0.05), "z": zero()}
        yield f"quantize-{label}", FUSED, "QuantizeLinear", 1, quantise, ["Y"], {}
        back = {"x": byte_tensor(kind, 3, 4), "s": np.abs(floats(4)) + f32(0.01), "z": byte_tensor(kind, 4)}
        yield f"dequantize-{label}", FUSED, "DequantizeLinear", 1, back, ["Y"], dict(axis=1)


def blocked_cases():
    n, k, block = 70, 80, 32
    blocks = -(-k // block)
    for bits, zeros in itertools.product((2, 4, 8), ("none", "packed", "floats")):
        if (bits, zeros) == (8, "floats"):  # ONNX Runtime has no kernel for it
            continue
        inputs = {
            "a": floats(2, 3, k),
            "b": byte_tensor(np.uint8, n, blocks, block * bits // 8),
            "s": np.abs(floats(n * blocks)) * f32(0.1) + f32(0.01),
        }
        if zeros == "packed":
            inputs["z"] = byte_tensor(np.uint8, n * -(-blocks * bits // 8))
        elif zeros == "floats":
            inputs["z"] = floats(n * blocks) + f32(2 ** (bits - 1))
        attributes = dict(K=k, N=n, bits=bits, block_size=block, constant=("b", "s", "z"))
        yield f"matmul-nbits-{bits}-{zeros}", FUSED, "MatMulNBits", 1, inputs, ["Y"], attributes
    for bits, zeros in itertools.product((4, 8), (0, 1)):
        rows, width = 9, 64
        inputs = {
            "d": byte_tensor(np.uint8, rows, width * bits // 8),
            "i": integers(0, rows, (2, 4)),
            "s": floats(rows, width // 16),
        }
        if zeros:
            inputs["z"] = byte_tensor(np.uint8, rows, width // 16 * bits // 8)
        attributes = dict(bits=bits, block_size=16, gather_axis=0, quantize_axis=1, constant=("d", "s", "z"))
        yield f"gather-block-quantized-{bits}-{zeros}", FUSED, "GatherBlockQuantized", 1, inputs, ["Y"], attributes


def lstm_cases():
    steps, batch, width, hidden = 6, 2, 8, 5
    for kind, ways, columns in itertools.product((np.uint8, np.int8), (1, 2), (0, 1)):
        if kind == np.uint8 and columns:  # ONNX Runtime wants their zero points in one
            continue
        shape = (ways, 4 * hidden) if columns else (ways,)
        scale = lambda: np.abs(RANDOM.normal(0, 0.004, shape)).astype(np.float32) + f32(1e-3)
        zero = np.zeros(shape, kind) if kind == np.int8 else integers(120, 136, shape, kind)
        inputs = {
            "X": floats(steps, batch, width),
            "W": byte_tensor(kind, ways, width, 4 * hidden),
            "R": byte_tensor(kind, ways, hidden, 4 * hidden),
            "B": floats(ways, 8 * hidden),
            "lengths": None,
            "h": floats(ways, batch, hidden),
            "c": floats(ways, batch, hidden),
            "P": None,
            "Ws": scale(),
            "Wz": zero,
            "Rs": scale(),
            "Rz": zero,
        }
        attributes = dict(hidden_size=hidden, direction="bidirectional" if ways == 2 else "forward")
        attributes["constant"] = ("W", "R", "Ws", "Wz", "Rs", "Rz")
        name = f"dynamic-quantize-lstm-{np.dtype(kind).name}-{ways}-{columns}"
        yield name, FUSED, "DynamicQuantizeLSTM", 1, inputs, ["Y", "H", "C"], attributes


def pool_cases():
    """With ceil_mode, windows that reach beyond the end, also the first one."""
    for op, kernel, stride, pads, counted in (
        ("AveragePool", 10, 10, [0, 0], 0),
        ("AveragePool", 10, 10, [0, 0], 1),
        ("AveragePool", 8, 2, [0, 0], 0),
        ("AveragePool", 10, 3, [1, 0], 1),
        ("AveragePool", 12, 5, [3, 0], 1),
        ("AveragePool", 5, 5, [2, 1], 1),
        ("MaxPool", 16, 10, [0, 0], None),
        ("MaxPool", 5, 3, [1, 2], None),
        ("LpPool", 10, 10, [0, 0], None),
    ):
        shape = dict(kernel_shape=[kernel], strides=[stride], pads=pads, ceil_mode=1)
        if counted is not None:
            shape["count_include_pad"] = counted
        name = f"ceil-{op}-{kernel}-{stride}-{pads[0]}{pads[1]}-{counted or 0}"
        yield name, "", op, 21, {"x": floats(2, 3, 7)}, ["y"], shape


GENERATORS = [
    tree_cases,
    ensemble_cases,
    linear_cases,
    svm_cases,
    feature_cases,
    product_cases,
    norm_cases,
    attention_cases,
    multi_head_cases,
    rotary_cases,
    grouped_cases,
    quantised_product_cases,
    qlinear_cases,
    blocked_cases,
    lstm_cases,
    pool_cases,
]


def make(root, complain):
    """Writes every case below `root`; complain(name, error) where ONNX Runtime itself will not have one."""
    for generator in GENERATORS:
        for name, *what in generator():
            try:
                cases.make(root / name, lambda folder: write(folder, *what))
            except Exception as error:
                complain(name, error)
