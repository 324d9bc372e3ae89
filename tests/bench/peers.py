"""motet's engine against ONNX Runtime and against its own bars: one table, a row a bar.

Run in .venv:  .venv/bin/python tests/bench/peers.py BUILD_FOLDER [--runs 50] [--names ROW...]

Both sides run the same files (or each its own, where the bar says so) with the same number of threads, in turns: ten rounds,
with a pause between the sides in which ONNX Runtime's threads stop spinning; the first run of a round warms up and does not
count. Ratios are of medians: below 1, motet is faster. Every row stands for itself, and goes on when another fails.

What is missing is made first, in out/bench: ONNX Runtime's quantised files by its own quantiser, ours by `motet model quantize`,
an export of a network like all-mpnet-base-v2, a forest. wav2vec2-base and distilhubert are exported by tests/zoo/zoo.py. All of
these have random weights. $MOTET_DATA has the recordings, and $MOTET_DATA/../models Silero's network.
"""

import argparse
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("MOTET_DATA", ROOT / ".." / "shared" / "data"))
ZOO, MADE = ROOT / "out" / "zoo", ROOT / "out" / "bench"
CNN = ROOT / "models" / "motet-cnn.onnx"
PAUSE = 0.05  # seconds
ROUNDS = 10

# What ONNX Runtime's dynamic quantiser makes of a file: which operators, with which weights.
KINDS = {
    "int8-MatMul": (["MatMul"], "QInt8"),
    "int8-MatMul-Conv": (["MatMul", "Conv"], "QInt8"),
    "uint8-MatMul-Conv": (["MatMul", "Conv"], "QUInt8"),
}


class Missing(Exception):
    """What a row needs is not there."""


def random_numbers():
    return np.random.default_rng(1)


# --- both sides ---------------------------------------------------------------------------------------------------------


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
            start = time.perf_counter()
            self.session.run(None, self.feeds)
            times.append(1e3 * (time.perf_counter() - start))
        return times

    def close(self):
        self.session = None


class Motet:
    """bench_session, on the same inputs in the order that the model has them."""

    def __init__(self, program, model, feeds, threads):
        names = [v.name for v in onnx.load(str(model), load_external_data=False).graph.input if v.name in feeds]
        paths = [save(name, feeds[name]) for name in names]
        words = [str(program), "--threads", str(threads), str(model), *map(str, paths)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def runs(self, count):
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        lines = [self.process.stdout.readline() for _ in range(count)]
        if not lines[-1]:
            raise RuntimeError("bench_session gave up")
        return [float(line.split()[0]) for line in lines]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def save(name, array):
    path = MADE / f"{name}.pb"
    path.write_bytes(onnx.numpy_helper.from_array(array, name).SerializeToString())
    return path


class Bench:
    def __init__(self, build, runs):
        self.build, self.count = build, runs
        self.session, self.motet = (next(build.rglob(name)) for name in ("bench_session", "motet"))
        self.medians = {}  # of motet, by model and threads

    def in_turns(self, ours, theirs, feeds, threads):
        """Milliseconds of at least `count` runs of each: motet on the file `ours`, ONNX Runtime on `theirs`."""
        sides = [Motet(self.session, ours, feeds, threads), Peer(theirs, feeds, threads)]
        times = [[], []]
        try:
            fastest = [min(side.runs(3)) for side in sides]
            lengths = [-(-max(self.count, min(2000, int(1e3 / one))) // ROUNDS) for one in fastest]
            for turn in range(ROUNDS):
                for i in (0, 1) if turn % 2 else (1, 0):
                    time.sleep(PAUSE)
                    times[i] += sides[i].runs(lengths[i] + 1)[1:]
        finally:
            for side in sides:
                side.close()
        self.medians[ours, threads] = np.median(times[0])
        return map(np.array, times)

    def fastest_peer(self, models, feeds, threads):
        """Of these files the one that ONNX Runtime runs fastest."""

        def typical(model):
            peer = Peer(model, feeds, threads)
            times = peer.runs(6)[1:]
            peer.close()
            return np.median(times)

        return min(models, key=typical)

    def command(self, *words):
        done = subprocess.run([str(self.motet), "model", *map(str, words)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[-300:])
        return done.stdout

    def quantised(self, model, feeds, *options):
        """Our INT8 file of a model, made anew, and the smallest cosine of its outputs."""
        path = MADE / f"{model.parent.name}-{model.stem}-motet.onnx"
        given = [word for name, array in feeds.items() for word in ("--input", f"{name}={save(name, array)}")]
        told = json.loads(self.command("quantize", "--json", "--runs", 1, *options, *given, model, path))
        return path, min(output["cosine"] for output in told["outputs"])


# --- files --------------------------------------------------------------------------------------------------------------


def export(name):
    """The zoo's export of a network in full size."""
    path = ZOO / f"{name}-legacy-op17" / "model.onnx"
    if not path.exists():
        subprocess.run([sys.executable, ROOT / "tests/zoo/zoo.py", f"{name}-legacy-op17"], check=True, capture_output=True)
    return path


def mpnet():
    """all-mpnet-base-v2 but for its weights and vocabulary."""
    path = MADE / "mpnet-base" / "model.onnx"
    if path.exists():
        return path
    import torch
    import transformers

    class Taking(torch.nn.Module):
        def __init__(self):
            super().__init__()
            config = transformers.MPNetConfig(vocab_size=500, pad_token_id=1)
            self.model = transformers.MPNetModel(config, add_pooling_layer=False).eval()

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask)[0]

    torch.manual_seed(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ["input_ids", "attention_mask"]
    axes = {name: {0: "batch", 1: "tokens"} for name in [*names, "last_hidden_state"]}
    values = tuple(torch.from_numpy(array) for array in sentence().values())
    torch.onnx.export(Taking().eval(), values, str(path), dynamo=False, opset_version=17, input_names=names,
                      output_names=["last_hidden_state"], dynamic_axes=axes)
    return path


def sentence():
    return {"input_ids": random_numbers().integers(5, 500, (1, 32)), "attention_mask": np.ones((1, 32), np.int64)}


def speech():
    return {"input_values": random_numbers().standard_normal((1, 48000)).astype(np.float32)}


def forest():
    path = MADE / "forest.onnx"
    if path.exists():
        return path
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.ensemble import IsolationForest

    values = random_numbers().standard_normal((2000, 16)).astype(np.float32)
    model = IsolationForest(n_estimators=200, random_state=1).fit(values)
    types = [("X", FloatTensorType([None, 16]))]
    path.write_bytes(skl2onnx.to_onnx(model, initial_types=types, target_opset={"": 21, "ai.onnx.ml": 3}).SerializeToString())
    return path


def theirs(model):
    """The float file and what ONNX Runtime's quantiser makes of it, by kind."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    files = {"float32": model}
    for kind, (operators, weights) in KINDS.items():
        path = MADE / f"{model.parent.name}-{kind}.onnx"
        if not path.exists():
            quantize_dynamic(model, path, op_types_to_quantize=operators, weight_type=getattr(QuantType, weights))
        files[kind] = path
    return files


# --- rows: each yields (name, what was seen, the figure, the bar, whether more is better) ------------------------------


def ratio_row(name, ours, peers, bar, note=""):
    a, b = np.median(ours), np.median(peers)
    return name, f"{a:9.3f} ms against {b:9.3f}{note}", a / b, bar, False


def network_rows(bench, name, float_bar, int8_bar, feeds, model, threads=2, label=""):
    ours, peers = bench.in_turns(model, model, feeds, threads)
    yield ratio_row(f"{name}, float32{label}", ours, peers, float_bar)
    int8, cosine = bench.quantised(model, feeds)
    files = theirs(model)
    best = bench.fastest_peer([*files.values(), int8], feeds, threads)
    kind = next((kind for kind, path in files.items() if path == best), "ours")
    ours, peers = bench.in_turns(int8, best, feeds, threads)
    yield ratio_row(f"{name}, our INT8 / the peer's fastest file{label}", ours, peers, int8_bar, f" ({kind})")
    if not label:
        yield f"{name}, INT8 against float32: cosine", "random weights: told, not held to a bar", cosine, None, True
    if name == "wav2vec2-base" and not label:
        yield f"{name}, INT8: P99 in ms", f"{len(ours)} runs", np.percentile(ours, 99), 100, False


def wav2vec2(bench):
    yield from network_rows(bench, "wav2vec2-base", 0.75, 0.50, speech(), export("wav2vec2-base"))


def conv_integer(bench):
    path = theirs(export("wav2vec2-base"))["int8-MatMul-Conv"]
    yield ratio_row("wav2vec2-base, dynamic s8 ConvInteger file", *bench.in_turns(path, path, speech(), 2), 0.25)


def distilhubert(bench):
    yield from network_rows(bench, "distilhubert", 0.75, 0.50, speech(), export("distilhubert"))


def one_thread(bench):
    model = export("wav2vec2-base")
    yield from network_rows(bench, "wav2vec2-base", 0.80, 0.50, speech(), model, 1, ", one thread")
    if (model, 2) in bench.medians:
        one, two = bench.medians[model, 1], bench.medians[model, 2]
        yield "wav2vec2-base, float32: 2 threads over 1", f"{one:9.3f} ms, {two:9.3f}", one / two, 1.8, True


def text_encoder(bench):
    yield from network_rows(bench, "MPNet, 32 tokens", 0.85, 0.70, sentence(), mpnet())


def silero(bench):
    path = DATA / ".." / "models" / "silero_vad" / "silero_vad.onnx"
    if not path.exists():
        raise Missing(path)
    step = {
        "input": (0.1 * random_numbers().standard_normal((1, 576))).astype(np.float32),
        "state": np.zeros((2, 1, 128), np.float32),
        "sr": np.array(16000, np.int64),
    }
    yield ratio_row("Silero VAD, a step of 512 samples", *bench.in_turns(path, path, step, 1), 0.5)


PEER_LOAD = """
import sys, time, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 2
options.log_severity_level = 3
fed = {sys.argv[2]: numpy.ones([int(n) for n in sys.argv[3].split("x")], numpy.float32)}
start = time.perf_counter()
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
session.run(None, fed)
print(1e3 * (time.perf_counter() - start))
"""


def loads(bench, model, name, shape, *options, times=7):
    """Open and first run, each in a process of its own, in turns: medians of both, and motet's largest memory in MB."""
    ours, peers, memory = [], [], 0
    for _ in range(times):
        told = json.loads(bench.command("bench", "--json", "--threads", 2, "--runs", 1, "--warm-up", 0, "--shape",
                                        f"{name}={shape}", *options, model))
        ours.append(told["load_ms"] + told["first_run_ms"])
        memory = max(memory, told["peak_rss_mb"])
        words = [sys.executable, "-c", PEER_LOAD, model, name, shape]
        peers.append(float(subprocess.run(words, capture_output=True, text=True, check=True).stdout))
    return ours, peers, memory


def load(bench):
    model = export("wav2vec2-base")
    model.read_bytes()  # into the page cache
    ours, peers, memory = loads(bench, model, "input_values", "1x48000")
    yield ratio_row("wav2vec2-base, float32: open and first run", ours, peers, 0.35)
    size = model.stat().st_size / 1e6
    yield "wav2vec2-base, float32: most memory / the file", f"{memory:9.1f} MB, {size:.1f}", memory / size, 1.25, False
    with tempfile.TemporaryDirectory(dir=MADE) as folder:
        loads(bench, model, "input_values", "1x48000", "--cache-dir", folder, times=1)
        ours, peers, _ = loads(bench, model, "input_values", "1x48000", "--cache-dir", folder, times=3)
    yield ratio_row("wav2vec2-base, float32: the same with --cache-dir", ours, peers, None)


def isolation_forest(bench):
    path = forest()
    feeds = {"X": random_numbers().standard_normal((100, 16)).astype(np.float32)}
    yield ratio_row("IsolationForest of 200 trees, 100 rows", *bench.in_turns(path, path, feeds, 2), 0.05)
    ours, peers, _ = loads(bench, path, "X", "100x16")
    yield ratio_row("IsolationForest of 200 trees, open and first run", ours, peers, 0.02)


def default_model(bench):
    recordings = DATA / "conversations"
    feeds = {"features": random_numbers().normal(-8, 4, (1, 300, 80)).astype(np.float32)}
    ours, peers = bench.in_turns(CNN, CNN, feeds, 1)
    yield ratio_row("motet-cnn, float32, 3 s, one thread", ours, peers, None)
    if not recordings.is_dir():
        raise Missing(recordings)
    int8, cosine = bench.quantised(CNN, {}, "--calibrate", recordings, "--min-cosine", 0.999)
    yield "motet-cnn, INT8 on real speech: cosine", f"{int8.stat().st_size / 1e6:.1f} MB", cosine, 0.995, True
    ours, peers = bench.in_turns(int8, CNN, feeds, 1)
    yield "motet-cnn, INT8, 3 s, one thread: ms", f"peer's float32 {np.median(peers):.3f}", np.median(ours), 4, False


def busy_neighbour(bench):
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        told = json.loads(bench.command("bench", "--json", "--runs", 2000, "--shape", "features=1x300x80", CNN))
    finally:
        neighbour.kill()
        neighbour.wait()
    seen = f"{told['p99_ms']:9.3f} ms, {told['p50_ms']:9.3f}"
    yield "motet-cnn beside a busy process: P99 / P50", seen, told["p99_ms"] / told["p50_ms"], 2, False


def warm_runs(bench):
    programs = list(bench.build.rglob("test_warm"))
    if not programs:
        raise Missing("test_warm")
    calls = subprocess.run([programs[0]], capture_output=True).returncode
    yield "warm runs: calls of malloc, free, mmap, munmap, brk", "test_warm counts them", calls, 0, False


def kernels(bench):
    program = next(bench.build.rglob("bench_kernels"))
    told = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    for name, kind in (("float32", "gemm"), ("INT8", "bytes")):
        lines = re.findall(rf"^{kind} (\d+) x .*?([\d.]+) % of ([\d.]+)", told, re.M)
        shares = [float(share) for rows, share, _ in lines if int(rows) >= 100]
        yield f"{name} products, one thread: least share of the peak", f"peak {lines[0][2]} Gop/s", min(shares) / 100, 0.9, True


ROWS = [wav2vec2, conv_integer, distilhubert, one_thread, text_encoder, silero, isolation_forest, load, default_model,
        busy_neighbour, warm_runs, kernels]


def show(name, seen, figure, bar, more):
    met = None if bar is None else figure >= bar if more else figure <= bar
    wanted = "" if bar is None else f"{'>=' if more else '<='} {bar}"
    verdict = {None: "", True: "met", False: "MISSED"}[met]
    print(f"| {name} | {seen.strip()} | {figure:.4g} | {wanted} | {verdict} |", flush=True)
    return met


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--runs", type=int, default=50, help="of each side, at least (default 50)")
    parser.add_argument("--names", nargs="*", help="only these: " + ", ".join(row.__name__ for row in ROWS))
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)  # the exporter's and the quantiser's advice
    MADE.mkdir(parents=True, exist_ok=True)
    bench = Bench(given.build, given.runs)
    print(f"ONNX Runtime {onnxruntime.__version__}, {os.cpu_count()} processors\n")
    print("| what | seen | figure | bar | |\n|---|---|---|---|---|", flush=True)
    met = []
    for row in ROWS:
        if given.names and row.__name__ not in given.names:
            continue
        try:
            met += [show(*line) for line in row(bench)]
        except Missing as missing:
            print(f"| {row.__name__} | not there: {missing} | | | |", flush=True)
        except (RuntimeError, subprocess.CalledProcessError, StopIteration) as error:
            print(f"| {row.__name__} | failed: {error} | | | |", flush=True)
    print(f"\n{met.count(True)} of {met.count(True) + met.count(False)} bars met")


if __name__ == "__main__":
    main()
