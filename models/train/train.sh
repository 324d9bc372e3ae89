#!/bin/sh
# Makes models/motet-cnn.onnx from $MOTET_DATA (default ../shared/data beside the tree), from nothing or from where it stopped:
# corpus cache, training, export, evaluation. Needs espeak-ng, flite, festival (festvox-kallpc16k, -kdlpc16k, -italp16k,
# -itapc16k, -ca-ona-hts, -czech-dita, -krb, -machac, -ph, -ru, -suopuhe-lj, -mv, -hi-nsk, with festival-ca, -czech, -hi)
# and the environment of scripts/venv.sh. Arguments go to train.py, for example --steps 20000.
# Everything it writes but the models lies in out. The INT8 model is made by motet itself ($MOTET, default build/release/motet)
# on simulated conversations of people who are not in training; they decide which layers stay float. The threshold's default
# is what the conversations of seed 31 chose for the weights that are shipped.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
export OMP_WAIT_POLICY=PASSIVE      # threads that wait by spinning take the core from the process that makes the data
mkdir -p out/train
$python models/train/corpus.py
[ -f out/third-party/campplus.onnx ] || $python models/third-party/export.py
$python models/train/teacher.py
$python models/train/train.py "$@"
$python models/train/export.py out/train/last.pt models/motet-cnn.onnx --threshold "${THRESHOLD:-0.63}"
$python models/train/evaluate.py models/motet-cnn.onnx
$python models/train/conversations.py --seed 31
"${MOTET:-build/release/motet}" model quantize --calibrate out/conversations-31 --min-cosine 0.999 \
    models/motet-cnn.onnx models/motet-cnn-int8.onnx
