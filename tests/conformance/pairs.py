"""Voices of other people's networks, as motet's chain makes them, against their front ends in Python and ONNX Runtime.

    .venv/bin/python tests/conformance/pairs.py build/release/motet

A segmentation that always hears one speaker, so that the voice of ten seconds is what the network says of all of them:
features by kaldi-native-fbank and by NeMo's formulas (tests/unit/data/fbank_reference.py), hidden states pooled. The
networks are the small exports of tests/cli/models, described by the sidecars that are shipped, and the CAM++ of
models/third-party, on bytes, where a float an ulp away may round to the next integer (1e-6 of noise on
its features moves the voice as far).
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import soundfile
from onnx import TensorProto, helper, numpy_helper

root = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "tests/unit/data"))
import fbank_reference  # noqa: E402

PAIRS = {"resnet34": "wespeaker-resnet34", "ecapa": "ecapa", "titanet": "titanet", "wav2vec2": "wav2vec2"}


def always_one(path):
    """[1, 1, 160000] -> [1, 589, 7]: class {1} whatever it hears."""
    says = np.full((1, 589, 7), -50, np.float32)
    says[:, :, 1] = 50
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["says"], ["y"])], "one", [value("x", TensorProto.FLOAT, [1, 1, 160000])],
        [value("y", TensorProto.FLOAT, [1, 589, 7])], [numpy_helper.from_array(says, "says")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    path.with_name("one.onnx.json").write_text((root / "models/sidecars/pyannote-segmentation-3.0.json").read_text())


def path(name):
    return root / (f"tests/cli/models/{name}.onnx" if name in PAIRS else f"models/third-party/{name}.onnx")


def wanted(name, samples):
    session = onnxruntime.InferenceSession(path(name))
    if name == "campplus":
        features = fbank_reference.kaldi(samples, "povey")
        return session.run(["voice"], {"features": (features - features.mean(0))[None].astype(np.float32)})[0].ravel()
    if name == "resnet34":
        features = fbank_reference.kaldi(samples * 32768, "hamming")
        return session.run(["embs"], {"feats": (features - features.mean(0))[None].astype(np.float32)})[0].ravel()
    if name == "titanet":
        x = fbank_reference.nemo(samples).T
        x = (x - x.mean(1, keepdims=True)) / (x.std(1, ddof=1, keepdims=True) + 1e-5)
        feeds = {"audio_signal": x[None].astype(np.float32), "length": np.array([x.shape[1]])}
        return session.run(["embs"], feeds)[0].ravel()
    if name == "wav2vec2":
        x = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
        return session.run(None, {"input_values": x[None].astype(np.float32)})[0][0].mean(0)
    return session.run(None, {"waveform": samples[None]})[0].ravel()


def main(motet):
    samples, rate = soundfile.read(root / "samples/conversation.flac", dtype="float32")
    samples = samples[:10 * rate]
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        soundfile.write(folder / "ten.wav", samples, rate, subtype="FLOAT")
        always_one(folder / "one.onnx")
        for model in [*PAIRS, "campplus"]:
            expected = wanted(model, samples)
            (folder / f"{model}.onnx").write_bytes(path(model).read_bytes())
            if model in PAIRS:
                keys = json.loads((root / f"models/sidecars/{PAIRS[model]}.json").read_text())
                (folder / f"{model}.onnx.json").write_text(json.dumps(keys | {"motet.voice": len(expected)}))
            subprocess.run([motet, "diarize", "-q", "-m", folder / "one.onnx", "-e", folder / f"{model}.onnx", "-o",
                            folder / "turns", "--export-voices", folder / model, folder / "ten.wav"], check=True)
            voice = np.array(json.loads((folder / model / "ten-SPEAKER_00.json").read_text())["vector"])
            cosine = voice @ expected / np.linalg.norm(voice) / np.linalg.norm(expected)
            near = cosine > (0.99999 if model in PAIRS else 0.999)
            failed |= not near
            print(f"{'ok' if near else 'FAILED':6}  {model:10} 1 - cosine {1 - cosine:.1e}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
