#!/bin/sh
# The zoo: files as people export, quantise and optimise them, against ONNX Runtime. `make zoo`; exit code 1 when a bar is
# missed.
#
#     tests/zoo/run.sh [BUILD_FOLDER]        default build/release, made when it is not there
#
# Makes .venv and out/zoo and its like first where they are missing (10 minutes, 5 GB); running
# them is C alone and takes two minutes.
set -u
cd "$(dirname "$0")/../.."
build=${1:-build/release}
log=out/zoo-log
mkdir -p $log

[ -x .venv/bin/python ] || scripts/venv.sh || exit 1
# Cases that exist are left alone; our own network is made afresh.
failed=0
OMP_NUM_THREADS=1 .venv/bin/python tests/zoo/zoo.py >$log/make.log 2>&1 || failed=1
grep ^FAILED $log/make.log
[ -f "$build/build.ninja" ] || cmake --preset release -B "$build" >$log/cmake.log || exit 1
cmake --build "$build" --target motet_command >$log/build.log || { tail -n 30 $log/build.log >&2; exit 1; }

table=
# step NAME WHAT: runs the cases of out/NAME, shows those that matter, adds a line to the table.
step() {
    "$build/motet" model test "$1=out/$1" >"$log/$1.log" 2>&1 || failed=1
    if [ "$1" = zoo ]; then cat "$log/$1.log"; else grep ^FAIL "$log/$1.log"; fi
    table="$table$(printf '%-14s %s: %s' "$1" "$2" "$(tail -n 1 "$log/$1.log")")
"
}

step zoo "files"
step zoo-steps "quantised files, node by node on ONNX Runtime's own inputs: integers equal, floats within 1e-3"
step zoo-segments "quantised files, from one rounding to the next: floats within 1e-3 standard deviations"
step zoo-operators "operators of ai.onnx.ml and com.microsoft, and some others, alone"
table="$table$(grep -E '(dynamic|qdq|qoperator)' "$log/zoo.log" | sed -n 's/.* = \(.*\) std.*/\1/p' |
    awk '$1 <= 1e-3 { near++ } END { print "               of the", NR, "quantised files", near + 0, "are within 1e-3 as a whole" }')
"
printf '\n%s' "$table"
exit $failed
