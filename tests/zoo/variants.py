"""What people do to an exported file: quantise it, and let ONNX Runtime rewrite it."""

import logging
import shutil

import onnx
import onnxruntime
from onnxruntime import GraphOptimizationLevel as Level
from onnxruntime import quantization as q

import cases
import steps

logging.disable(logging.WARNING)  # the quantiser's advice


def rewrite(source, target, level):
    """Saves what ONNX Runtime runs at that level of its optimiser."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def dynamic(source, target, weights, per_channel):
    extra = {"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT}
    q.quantize_dynamic(source, target, weight_type=weights, per_channel=per_channel, extra_options=extra)


class Calibration(q.CalibrationDataReader):
    def __init__(self, feeds):
        self.feeds = iter(feeds)

    def get_next(self):
        return next(self.feeds, None)


def static(source, target, feeds, form, activations, per_channel):
    prepared = target.with_name("prepared.onnx")
    rewrite(source, prepared, Level.ORT_ENABLE_BASIC)
    q.quantize_static(
        prepared,
        target,
        Calibration(feeds),
        quant_format=form,
        activation_type=activations,
        weight_type=q.QuantType.QInt8,
        per_channel=per_channel,
    )
    prepared.unlink()


def weights_of_four_bits(source, target):
    """Matrices in blocks of 32, as language models come: MatMulNBits."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(onnx.load(source), block_size=32, is_symmetric=False)
    quantizer.process()
    quantizer.model.save_model_to_file(str(target))


def fused(source, target, heads):
    """What ONNX Runtime's optimiser for transformers makes: Attention, EmbedLayerNormalization."""
    from onnxruntime.transformers import optimizer

    optimizer.optimize_model(str(source), "bert", num_heads=heads, hidden_size=0).save_model_to_file(str(target))


# name of the variant -> function(source, target, feeds); the quantised ones build on the plain export
QUANTISED = {
    "dynamic-qint8": lambda s, t, f: dynamic(s, t, q.QuantType.QInt8, False),
    "dynamic-qint8-perchannel": lambda s, t, f: dynamic(s, t, q.QuantType.QInt8, True),
    "dynamic-quint8": lambda s, t, f: dynamic(s, t, q.QuantType.QUInt8, False),
    "dynamic-quint8-perchannel": lambda s, t, f: dynamic(s, t, q.QuantType.QUInt8, True),
    "qdq": lambda s, t, f: static(s, t, f, q.QuantFormat.QDQ, q.QuantType.QUInt8, True),
    "qoperator": lambda s, t, f: static(s, t, f, q.QuantFormat.QOperator, q.QuantType.QUInt8, False),
}
REWRITTEN = {"basic": Level.ORT_ENABLE_BASIC, "extended": Level.ORT_ENABLE_EXTENDED}
REWRITTEN_QUANTISED = ("dynamic-qint8", "qdq")


def make_variants(zoo, family, base, wanted):
    """Every variant of the plain export in zoo/`base`; the quantised ones once more in zoo-steps and
    zoo-segments, taken apart."""
    source = zoo / base / "model.onnx"
    feeds = [family.feeds(0), family.feeds(1)]
    apart, segments = zoo.with_name(f"{zoo.name}-steps"), zoo.with_name(f"{zoo.name}-segments")

    def quantised(name, write):
        def whole(folder):
            write(folder / "model.onnx")
            cases.write_case(folder, feeds, cases.QUANTISED, Level.ORT_DISABLE_ALL)

        if wanted(name):
            cases.make(zoo / name, whole)
            file = zoo / name / "model.onnx"
            cases.make(apart / name, lambda folder: steps.write_steps(file, folder, feeds[1]))
            if steps.has_segments(file):
                cases.make(segments / name, lambda folder: steps.write_segments(file, folder, feeds))

    def rewritten(name, write):
        def whole(folder):
            write(folder / "model.onnx")
            cases.write_case(folder, feeds)

        if wanted(name):
            cases.make(zoo / name, whole)

    for label, level in REWRITTEN.items():
        rewritten(f"{family.name}-{label}", lambda target: rewrite(source, target, level))
    rewritten(f"{family.name}-4bit", lambda target: weights_of_four_bits(source, target))
    if family.heads:
        name = f"{family.name}-fused"
        rewritten(name, lambda target: fused(source, target, family.heads))
        quantised(
            f"{name}-dynamic", lambda target: dynamic(zoo / name / "model.onnx", target, q.QuantType.QInt8, False)
        )
    for label, write in QUANTISED.items():
        if label not in family.skip:
            quantised(f"{family.name}-{label}", lambda target: write(source, target, feeds))
    for label in REWRITTEN_QUANTISED:
        start = zoo / f"{family.name}-{label}" / "model.onnx"
        if start.exists():
            quantised(
                f"{family.name}-{label}-extended", lambda target: rewrite(start, target, Level.ORT_ENABLE_EXTENDED)
            )
