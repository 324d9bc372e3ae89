"""A checkpoint becomes an ONNX file: weights folded, graph checked against torch, description written inside.

    python models/train/export.py out/train/turns.pt models/motet-cnn.onnx --threshold 0.63
    python models/train/export.py out/train/w2v.pt models/motet-w2v.onnx --network w2v --threshold 0.55

Batch norms vanish (into convolutions by the exporter, into the pooling's linear layer here), the batch stays free, all
other dimensions are constants. The metadata is the table of models/README.md. ONNX Runtime must agree with torch within
1e-4 on noise, silence and both, or nothing is written.
"""

import argparse
import io
import warnings

import numpy as np
import onnx
import onnxruntime
import torch

import features
import network

METADATA = {
    "format": 1, "licence": "CC-BY-4.0", "role": "diarizer", "sample_rate": features.RATE, "window": network.WINDOW,
    "frame_step": network.WINDOW // network.FRAMES, "activity": "powerset", "speakers": network.SPEAKERS, "overlap": 2,
    "voice": network.VOICE,
}
LOG_MEL = {
    "mel.bins": features.BINS, "mel.frame_length": features.LENGTH, "mel.frame_step": features.STEP,
    "mel.fft": features.FFT, "mel.low_hz": f"{features.LOW:g}", "mel.high_hz": f"{features.HIGH:g}",
    "mel.floor": "1e-7",
}

INPUT_NAMES = {"log-mel": "features", "waveform": "waveform"}


def folded(model):
    """The same function with pool.norm inside pool.project."""
    pool = model.pool
    scale = (pool.norm.running_var + pool.norm.eps).rsqrt()
    with torch.no_grad():
        pool.project.bias -= pool.project.weight @ (pool.norm.running_mean * scale)
        pool.project.weight *= scale
    return model


def probe(count=5):
    """Windows that look like the world: noise of several levels, silence, speech-like bursts over silence."""
    rng = np.random.default_rng(1)
    audio = rng.normal(0, 1, (count, network.WINDOW)) * np.logspace(-4, -1, count)[:, None]
    audio[1] = 0
    audio[2, 20000:] = 0
    audio[3] *= np.sin(np.arange(network.WINDOW) / 3000) > 0
    return audio


def export(model, path, version, threshold, similarity):
    model = folded(model.eval())
    windows, name = features.inputs(model.INPUT, probe()), INPUT_NAMES[model.INPUT]
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.from_numpy(windows),), buffer, dynamo=False, opset_version=17,
                          input_names=[name], output_names=["activity", "voices"],
                          dynamic_axes={tensor: {0: "N"} for tensor in (name, "activity", "voices")})
        expected = model(torch.from_numpy(windows))
    proto = onnx.load_from_string(buffer.getvalue())
    metadata = {"name": model.NAME, "version": version, "input": model.INPUT, **METADATA, "threshold": f"{threshold:g}",
                "similarity": f"{similarity:g}"}
    for key, value in (metadata | (LOG_MEL if model.INPUT == "log-mel" else {})).items():
        proto.metadata_props.add(key=f"motet.{key}", value=str(value))
    shapes = {"activity": (network.FRAMES, len(network.CLASSES)), "voices": (network.SPEAKERS, network.VOICE)}
    for output in proto.graph.output:                                   # the exporter leaves some of these unnamed
        for dim, size in zip(output.type.tensor_type.shape.dim[1:], shapes[output.name]):
            dim.dim_value = size
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for part in (windows, windows[:1]):
        for mine, theirs in zip(expected, session.run(None, {name: part})):
            worst = np.abs(mine.numpy()[:len(part)] - theirs).max()
            if not worst <= 1e-4:
                raise SystemExit(f"ONNX Runtime differs from torch by {worst}")
    onnx.save(proto, path)
    print(f"{path}: {len(proto.graph.node)} nodes, differs from torch by at most {worst:.1e}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("checkpoint")
    arguments.add_argument("output")
    arguments.add_argument("--network", choices=network.NETWORKS, default="cnn")
    arguments.add_argument("--version", default="0.1")
    arguments.add_argument("--threshold", type=float, required=True)
    arguments.add_argument("--similarity", type=float, default=0.6)
    given = arguments.parse_args()
    model = network.NETWORKS[given.network]()
    model.load_state_dict(torch.load(given.checkpoint, weights_only=True)["average"])
    export(model, given.output, given.version, given.threshold, given.similarity)
