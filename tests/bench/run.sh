#!/bin/sh
# `make bench`: the hour of audio, and the engine beside ONNX Runtime on the same files in the same run. The second needs .venv
# (scripts/venv.sh) and what `make conformance` exported to out/zoo.
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build/release}
tests/bench/hour.sh "$build"
if [ -x .venv/bin/python ] && [ -d out/zoo ]; then
    .venv/bin/python tests/bench/peers.py "$build"
else
    echo "engine: skipped, 'make conformance' makes what it compares with"
fi
