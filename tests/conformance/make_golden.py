"""Makes golden/: what ONNX Runtime says to real recordings, step by step, for test_streams.c.

Run in .venv:  .venv/bin/python tests/conformance/make_golden.py [FOLDER OF MODELS]

Detectors that carry state are only right when a whole stream is: an error of one step feeds the next. So the five
Silero exports hear test.wav from end to end in steps of 512 samples, and the FireRed detectors 4 s of its features. The
outputs are stored as TensorProto files, the one format that the runner beside this file reads anyway.

Silero's Python wrapper puts the last 64 samples (32 at 8 kHz) of the step before in front of each step; the exports
do not do it themselves, and all five expect it.
"""

import os
import sys
import wave
from pathlib import Path

import numpy as np
import onnx.numpy_helper
import onnxruntime

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
SILERO = [
    "silero_vad",
    "silero_vad_16k_op15",
    "silero_vad_half",
    "silero_vad_op18_ifless",
    "silero_vad_openvino_16k",
]
STATE_EVERY = 125  # steps: 15 states of 2 x 128 over the minute
FIRERED_SECONDS = 4
FIRERED_STEPS = [1, 2, 5, 16, 3, 40]  # frames a step, in turn


def open_session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    # Plain kernels in the file's own order: the optimiser may fuse, and float16 weights are then folded differently.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def store(name, array):
    tensor = onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
    (GOLDEN / f"{name}.pb").write_bytes(tensor.SerializeToString())


def read_wave(path):
    with wave.open(str(path)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16000, 1, 2)
        return np.frombuffer(sound.readframes(sound.getnframes()), np.int16).astype(np.float32) / 32768


def stream_silero(session, samples, rate):
    """Probabilities [steps] and every STATE_EVERY-th state [n, 2, 128]."""
    step, context = (512, 64) if rate == 16000 else (256, 32)
    names = {value.name for value in session.get_inputs()}
    state = np.zeros((2, 1, 128), np.float32)
    before = np.zeros(context, np.float32)
    probabilities, states = [], []
    for i in range(len(samples) // step):
        block = samples[i * step : (i + 1) * step]
        feeds = {"input": np.concatenate([before, block])[None], "state": state}
        if "sr" in names:
            feeds["sr"] = np.array(rate, np.int64)
        output, state = session.run(["output", "stateN"], feeds)
        before = block[-context:]
        probabilities.append(output[0, 0])
        if (i + 1) % STATE_EVERY == 0:
            states.append(state[:, 0])
    return np.array(probabilities, np.float32), np.stack(states)


def mean_and_deviation(path):
    """The CMVN statistics of a Kaldi text or binary matrix: sums, sums of squares, count."""
    data = path.read_bytes()
    at = data.index(b"\0B") + 2
    kind = data[at : at + 3]
    rows, columns = (int.from_bytes(data[at + 4 + 5 * k : at + 8 + 5 * k], "little") for k in range(2))
    values = np.frombuffer(data, "<f8" if kind == b"DM " else "<f4", rows * columns, at + 13).reshape(rows, columns)
    count = values[0, -1]
    mean = values[0, :-1] / count
    return mean, np.sqrt(np.maximum(values[1, :-1] / count - mean**2, 1e-20))


def filter_bank(samples):
    """Kaldi's 80-bin log-mel at 25 / 10 ms, near enough: the result is stored, so only its character matters."""
    count = (len(samples) - 400) // 160 + 1
    frames = np.stack([samples[160 * i : 160 * i + 400] for i in range(count)]).astype(np.float64) * 32768
    frames -= frames.mean(1, keepdims=True)
    frames[:, 1:] -= 0.97 * frames[:, :-1]
    frames *= np.hanning(400) ** 0.85
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    mel = 1127 * np.log1p(np.arange(257) * 16000 / 512 / 700)
    edges = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(8000 / 700), 82)
    rising = (mel - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - mel) / np.diff(edges)[1:, None]
    return np.log(np.maximum(power @ np.maximum(0, np.minimum(rising, falling)).T, 1.2e-7))


def main():
    data = Path(os.environ.get("MOTET_DATA", HERE.parents[1] / ".." / "shared" / "data"))
    models = Path(sys.argv[1]) if len(sys.argv) > 1 else data / ".." / "models"
    GOLDEN.mkdir(exist_ok=True)
    samples = read_wave(models / "silero_vad" / "test.wav")

    for name in SILERO:
        session = open_session(models / "silero_vad" / f"{name}.onnx")
        probabilities, states = stream_silero(session, samples, 16000)
        store(f"{name}.output", probabilities)
        store(f"{name}.state", states)
        print(f"{name}: {len(probabilities)} steps, speech in {np.mean(probabilities > 0.5):.0%}")
        if name in ("silero_vad", "silero_vad_op18_ifless"):  # both branches of their outermost If
            probabilities, states = stream_silero(session, samples[::2], 8000)
            store(f"{name}.8k.output", probabilities)
            store(f"{name}.8k.state", states)
            print(f"{name} at 8 kHz: speech in {np.mean(probabilities > 0.5):.0%}")

    firered = models / "firered_vad"
    mean, deviation = mean_and_deviation(firered / "cmvn.ark")
    features = ((filter_bank(samples[: FIRERED_SECONDS * 16000]) - mean) / deviation).astype(np.float32)[None]
    store("firered.features", features)
    for name in ["vad", "aed", "stream_vad"]:
        session = open_session(firered / f"fireredvad_{name}.onnx")
        outputs = session.run(None, {"feat": features})
        store(f"firered.{name}.probs", outputs[0])
        if len(outputs) > 1:  # the eight caches, in one tensor [8, 1, 128, frames]
            store(f"firered.{name}.caches", np.stack(outputs[1:]))
        print(f"firered {name}: {features.shape[1]} frames, {[o.shape for o in outputs]}, up to {outputs[0].max():.3f}")

    session = open_session(firered / "fireredvad_stream_vad_with_cache.onnx")
    caches = np.zeros((8, 1, 128, 19), np.float32)
    probabilities, at, turn = [], 0, 0
    while at < features.shape[1]:
        frames = features[:, at : at + FIRERED_STEPS[turn % len(FIRERED_STEPS)]]
        probs, caches = session.run(["probs", "caches_out"], {"feat": frames, "caches_in": caches})
        probabilities.append(probs)
        at += frames.shape[1]
        turn += 1
    store("firered.stream_vad_with_cache.probs", np.concatenate(probabilities, axis=1))
    store("firered.stream_vad_with_cache.caches", caches)
    print(f"firered stream_vad_with_cache: {turn} steps, up to {max(p.max() for p in probabilities):.3f}")


main()
