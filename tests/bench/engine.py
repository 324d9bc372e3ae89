"""motet's engine against ONNX Runtime, on the same files in the same minutes: medians and their ratio.

Run in .venv:  .venv/bin/python tests/bench/engine.py BUILD_FOLDER [--threads 2] [--rounds 7] [--cpu] [NAME...]

The two take turns, round by round, with a pause between them in which ONNX Runtime's threads stop spinning; the first
run of a round warms up and does not count. Wants out/zoo (tests/zoo/zoo.py) and $MOTET_DATA/../models,
and leaves out what is not there. A ratio below 1 means that motet is faster.

On a machine that has other work, --threads 1 --cpu compares the processor time of both, which the others hardly change
(with more threads it would count ONNX Runtime's spinning).
"""

import argparse
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime

ROOT = Path(__file__).resolve().parents[2]
MODELS = Path(os.environ.get("MOTET_DATA", ROOT / ".." / "shared" / "data")) / ".." / "models"
PAUSE = 0.05  # seconds
ROUND = 0.4  # seconds a side and round, about


# What ONNX Runtime's dynamic quantiser makes of a file: which operators, with which weights.
KINDS = {
    "int8 MatMul": (["MatMul"], "QInt8"),
    "int8 MatMul, Conv": (["MatMul", "Conv"], "QInt8"),
    "uint8 MatMul, Conv": (["MatMul", "Conv"], "QUInt8"),
}


def quantised(model, kind):
    """The quantised file beside the model, made when it is not there."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = model.with_name(f"{kind.replace(', ', '-').replace(' ', '-')}.onnx")
    if model.exists() and not path.exists():
        operators, weights = KINDS[kind]
        quantize_dynamic(model, path, op_types_to_quantize=operators, weight_type=getattr(QuantType, weights))
    return path


def cases():
    """(name, model, inputs by name)"""
    zoo = ROOT / "out" / "zoo"
    random = np.random.default_rng(1)
    noise = random.standard_normal((1, 48000)).astype(np.float32)
    cnn = ROOT / "models" / "motet-cnn.onnx"
    for batch in (1, 8):
        mel = random.normal(-8, 4, (batch, 300, 80)).astype(np.float32)
        yield f"motet-cnn, {batch} x 3 s", cnn, {"features": mel}
    step = {
        "input": (0.1 * random.standard_normal((1, 576))).astype(np.float32),
        "state": np.zeros((2, 1, 128), np.float32),
        "sr": np.array(16000, np.int64),
    }
    for name in ("silero_vad", "silero_vad_op18_ifless", "silero_vad_openvino_16k"):
        yield f"{name}, 32 ms", MODELS / "silero_vad" / f"{name}.onnx", step
    features = random.standard_normal((1, 300, 80)).astype(np.float32)
    yield "fireredvad_vad, 3 s", MODELS / "firered_vad" / "fireredvad_vad.onnx", {"feat": features}
    for name in ("distilhubert", "wav2vec2-base"):
        for export in ("legacy-op17", "dynamo-newest"):
            yield f"{name}-{export}, 3 s", zoo / f"{name}-{export}" / "model.onnx", {"input_values": noise}
    for kind in KINDS:
        for name in ("distilhubert", "wav2vec2-base"):
            yield f"{name} {kind}, 3 s", quantised(zoo / f"{name}-legacy-op17" / "model.onnx", kind), {
                "input_values": noise
            }


class Peer:
    """ONNX Runtime."""

    def __init__(self, model, feeds, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.feeds = {value.name: feeds[value.name] for value in self.session.get_inputs()}

    def runs(self, count):
        times = []
        for _ in range(count):
            start, cpu_start = time.perf_counter(), time.process_time()
            self.session.run(None, self.feeds)
            times.append((1e3 * (time.perf_counter() - start), 1e3 * (time.process_time() - cpu_start)))
        return times


class Motet:
    """bench_session, on the same inputs in the order that the model has them."""

    def __init__(self, program, model, feeds, threads):
        folder = ROOT / "out" / "bench"
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, array in feeds.items():
            paths.append(folder / f"{name}.pb")
            paths[-1].write_bytes(onnx.numpy_helper.from_array(array, name).SerializeToString())
        words = [str(program), "--threads", str(threads), str(model), *map(str, paths)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def runs(self, count):
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        times = [self.process.stdout.readline() for _ in range(count)]
        if not times[-1]:
            raise RuntimeError("bench_session gave up")
        return [tuple(map(float, time.split())) for time in times]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(program, model, feeds, threads, rounds):
    """(clock, processor) times of every counted run, motet's and ONNX Runtime's."""
    peer = Peer(model, feeds, threads)
    ours = Motet(program, model, peer.feeds, threads)
    times = {ours: [], peer: []}
    try:
        lengths = {side: int(max(3, min(500, 1e3 * ROUND / min(side.runs(3)[1:])[0]))) for side in times}
        for turn in range(rounds):
            for side in list(times) if turn % 2 else reversed(list(times)):
                time.sleep(PAUSE)
                times[side] += side.runs(lengths[side] + 1)[1:]
    finally:
        ours.close()
    return times[ours], times[peer]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cpu", action="store_true", help="processor time, not the clock")
    parser.add_argument("names", nargs="*", help="only the cases whose names begin so")
    given = parser.parse_intermixed_args()
    program = next(given.build.rglob("bench_session"))
    clock = "of processor time" if given.cpu else "on the clock"
    print(f"{given.threads} threads, ONNX Runtime {onnxruntime.__version__}; milliseconds {clock}, median (95 %)")
    for name, model, feeds in cases():
        if given.names and not any(name.startswith(start) for start in given.names):
            continue
        if not model.exists():
            print(f"{name:36} not there: {model.name}")
            continue
        try:
            ours, theirs = measure(program, model, feeds, given.threads, given.rounds)
        except RuntimeError as error:
            print(f"{name:36} {error}", flush=True)
            continue
        (a, a95), (b, b95) = (np.percentile(np.array(times)[:, int(given.cpu)], [50, 95]) for times in (ours, theirs))
        print(f"{name:36} motet {a:9.3f} ({a95:9.3f})  peer {b:9.3f} ({b95:9.3f})  ratio {a / b:6.2f}", flush=True)


main()
