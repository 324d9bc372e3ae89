#!/bin/sh
# Makes models/motet-cnn.onnx (or motet-w2v) from $MOTET_DATA (default ../shared/data beside the tree), from nothing or from
# where it stopped: corpus cache, teacher, training, export, evaluation, INT8.
#   train.sh [cnn|w2v] [ARGUMENT...]      arguments go to train.py, for example --steps 20000; motet-w2v learns from motet-cnn;
#                                         motet-cnn goes on to learn turns alone (turns.py)
# Needs espeak-ng, flite, festival (festvox-kallpc16k, -kdlpc16k, -italp16k, -itapc16k, -ca-ona-hts, -czech-dita, -krb, -machac,
# -ph, -ru, -suopuhe-lj, -mv, -hi-nsk, with festival-ca, -czech, -hi) and the environment of scripts/venv.sh.
# Everything it writes but the models lies in out. The INT8 model is made by motet itself ($MOTET, default build/release/motet)
# on simulated conversations of people who are not in training; they decide which layers stay float. $THRESHOLD's default is
# what the conversations of seed 31 chose for the weights that are shipped.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
export OMP_WAIT_POLICY=PASSIVE      # threads that wait by spinning take the core from the process that makes the data
network=cnn
case ${1:-} in cnn | w2v) network=$1 && shift ;; esac
model=models/motet-$network
mkdir -p out/train
$python models/train/corpus.py
[ -f out/third-party/campplus.onnx ] || $python models/third-party/export.py
$python models/train/teacher.py
if [ "$network" = cnn ]; then
    threshold=0.63 similarity=0.6
    $python models/train/train.py --name cnn "$@"
    $python models/train/export.py out/train/cnn.pt out/train/cnn.onnx --threshold $threshold
    $python models/train/turns.py --start out/train/cnn.onnx
    trained=turns
else
    threshold=0.6 similarity=0.75 trained=w2v
    $python models/train/train.py --name w2v --network w2v --tutor models/motet-cnn.onnx "$@"
fi
$python models/train/export.py "out/train/$trained.pt" "$model.onnx" --network "$network" --threshold "${THRESHOLD:-$threshold}" --similarity "$similarity"
$python models/train/evaluate.py "$model.onnx"
$python models/train/conversations.py --seed 31
"${MOTET:-build/release/motet}" model quantize --calibrate out/conversations-31 --min-cosine 0.999 "$model.onnx" "$model-int8.onnx"
