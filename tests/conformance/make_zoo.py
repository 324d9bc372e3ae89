"""Exports networks the way people do and stores what ONNX Runtime makes of them: out/zoo/NAME in the backend layout.

Run in .venv:  .venv/bin/python tests/conformance/make_zoo.py [--out out/zoo] [NAME...]

wav2vec2-base and distilhubert are built from their published configurations with seeded random weights (nothing is
downloaded), and go through both of torch's exporters, at the oldest opset that matters (17; the dynamo exporter writes
18 and cannot go below) and at the newest one each reaches. Every file is dynamic in batch and length; test_data_set_0 is
3 s of seeded noise, test_data_set_1 two recordings of 1.5 s. The newest dynamo files keep their weights beside them.
A case that exists is left alone, so a broken run can be taken up again.
"""

import argparse
import os
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import torch
import transformers

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = """# Distance from ONNX Runtime: direction, and the largest difference in standard deviations of the output.
cosine 0.99999
max_abs_over_std 1e-3
"""
NEWEST = range(26, 17, -1)  # opsets to try; one that the exporter's converter fails on, ONNX Runtime refuses


class LastHiddenState(torch.nn.Module):
    """The one output that users of these encoders take."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_values):
        return self.model(input_values, return_dict=False)[0]


def wav2vec2_base():
    torch.manual_seed(1)
    return transformers.Wav2Vec2Model(transformers.Wav2Vec2Config())


def distilhubert():
    torch.manual_seed(2)
    return transformers.HubertModel(transformers.HubertConfig(num_hidden_layers=2, feat_proj_layer_norm=False))


def lively(model):
    """Fresh weights leave biases at 0 and norms at 1, and hide whoever drops them: move every vector a little."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += 0.1 * torch.randn_like(parameter)
    return LastHiddenState(model).eval()


def noise(seed, batch, samples):
    """Noise with a swell, unit variance: the normalised waveform that these networks expect."""
    random = np.random.default_rng(seed)
    swell = 1 + 0.8 * np.sin(2 * np.pi * np.arange(samples) / 16000 * 3)
    wave = random.standard_normal((batch, samples)) * swell
    return (wave / wave.std()).astype(np.float32)


def export_legacy(model, path, opset):
    axes = {"input_values": {0: "batch", 1: "samples"}, "last_hidden_state": {0: "batch", 1: "frames"}}
    torch.onnx.export(
        model,
        (torch.from_numpy(noise(0, 1, 48000)),),
        str(path),
        dynamo=False,
        opset_version=opset,
        input_names=["input_values"],
        output_names=["last_hidden_state"],
        dynamic_axes=axes,
    )


def export_dynamo(model, path, opset, external_data):
    axes = {0: torch.export.Dim("batch", min=1, max=64), 1: torch.export.Dim("samples", min=4000, max=480000)}
    torch.onnx.export(
        model,
        (torch.from_numpy(noise(0, 2, 48000)),),
        str(path),
        dynamo=True,
        opset_version=opset,
        external_data=external_data,
        input_names=["input_values"],
        output_names=["last_hidden_state"],
        dynamic_shapes={"input_values": axes},
        verbose=False,
    )


def open_session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def store(path, name, array):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name).SerializeToString())


def write_case(folder, sets):
    """Runs model.onnx of `folder` on every set of inputs and stores both; sets: dicts of name to array."""
    session = open_session(folder / "model.onnx")
    outputs = [value.name for value in session.get_outputs()]
    for number, feeds in enumerate(sets):
        data = folder / f"test_data_set_{number}"
        for index, value in enumerate(session.get_inputs()):
            store(data / f"input_{index}.pb", value.name, feeds[value.name])
        for index, array in enumerate(session.run(outputs, feeds)):
            store(data / f"output_{index}.pb", outputs[index], array)
    (folder / "tolerance").write_text(TOLERANCE)


def make(out, name, build):
    """Builds the case in a folder beside the final one, so that what is there is whole."""
    final, folder = out / name, out / f".{name}"
    if final.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    build(folder)
    folder.rename(final)
    opset = max(entry.version for entry in onnx.load(final / "model.onnx", load_external_data=False).opset_import)
    size = sum(file.stat().st_size for file in final.rglob("*") if file.is_file())
    print(f"{name}: opset {opset}, {size / 1e6:.0f} MB", flush=True)


def make_speech_encoder(out, name, model_of, wanted):
    speech = [{"input_values": noise(11, 1, 48000)}, {"input_values": noise(12, 2, 24000)}]
    model = None
    for exporter, opsets, label in [
        ("legacy", [17], "op17"),
        ("legacy", NEWEST, "newest"),
        ("dynamo", [18], "op18"),
        ("dynamo", NEWEST, "newest"),
    ]:
        case = f"{name}-{exporter}-{label}"
        if (out / case).exists() or not wanted(case):
            continue
        model = model or lively(model_of())

        def build(folder):
            for opset in opsets:
                try:
                    if exporter == "legacy":
                        export_legacy(model, folder / "model.onnx", opset)
                    else:
                        export_dynamo(model, folder / "model.onnx", opset, external_data=label == "newest")
                    write_case(folder, speech)
                    return
                except Exception as error:  # the exporters name no type for "too new for me"
                    reason = str(error).strip().split("\n")[0]
                    print(f"{case}: not at opset {opset}: {reason[:160]}", file=sys.stderr, flush=True)
            raise SystemExit(f"{case}: no opset works")

        make(out, case, build)


def make_motet_cnn(out):
    """Our own network, on noise and on the log-mel of a real recording when there is one."""
    source = ROOT / "models" / "motet-cnn.onnx"
    if not source.exists():
        return
    shutil.rmtree(out / "motet-cnn", ignore_errors=True)  # small and often retrained: made afresh every time

    def build(folder):
        shutil.copy(source, folder / "model.onnx")
        value = open_session(source).get_inputs()[0]
        frames = value.shape[1] if isinstance(value.shape[1], int) else 300
        random = np.random.default_rng(3)
        sets = [{value.name: random.normal(-8, 4, (2, frames, value.shape[2])).astype(np.float32)}]
        real = recording_features(frames, value.shape[2])
        if real is not None:
            sets.append({value.name: real})
        write_case(folder, sets)

    make(out, "motet-cnn", build)


def recording_features(frames, bins):
    path = Path(os.environ.get("MOTET_DATA", ROOT / ".." / "shared" / "data")) / ".." / "models/silero_vad/test.wav"
    if not path.exists():
        return None
    import soundfile

    sys.path.insert(0, str(ROOT / "models" / "train"))
    import features

    samples, _ = soundfile.read(path, dtype="float32", frames=480 * frames)
    mel = np.asarray(features.log_mel(samples), np.float32)
    assert mel.shape[1] == bins
    windows = len(mel) // frames
    return mel[: windows * frames].reshape(windows, frames, bins)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "zoo")
    parser.add_argument("names", nargs="*", help="only the cases whose names begin so")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")

    def wanted(name):
        return not arguments.names or any(name.startswith(start) for start in arguments.names)

    arguments.out.mkdir(parents=True, exist_ok=True)
    make_speech_encoder(arguments.out, "distilhubert", distilhubert, wanted)
    make_speech_encoder(arguments.out, "wav2vec2-base", wav2vec2_base, wanted)
    if wanted("motet-cnn"):
        make_motet_cnn(arguments.out)


main()
