#!/bin/sh
# Everything that is compared with ONNX Runtime, one table at the end: `make conformance`. Exit code 1 when a bar is missed.
#
#     tests/conformance/run.sh [BUILD_FOLDER]        default build/release, made when it is not there
#
# The zoo has a command of its own, tests/zoo/run.sh, which makes its files where they are missing (10 minutes); all
# else is C alone, once there is .venv. The streams want $MOTET_DATA, the older backend cases Debian's libonnx-testdata; what is
# missing is said.
set -u
cd "$(dirname "$0")/../.."
build=${1:-build/release}
backend=${ONNX_TESTDATA:-/usr/share/libonnx-testdata/data}
log=out/conformance
mkdir -p $log

[ -x .venv/bin/python ] || scripts/venv.sh || exit 1
[ -f "$build/build.ninja" ] || cmake --preset release -B "$build" >$log/cmake.log || exit 1
cmake --build "$build" --target test_streams motet_command >$log/build.log ||
    { tail -n 30 $log/build.log >&2; exit 1; }

failed=0
table=
# step NAME LINES COMMAND...: runs it, keeps its output, shows the lines that match, adds a line to the table.
step() {
    name=$1
    lines=$2
    shift 2
    if "$@" >"$log/$name.log" 2>&1; then verdict=ok; else verdict=FAILED; failed=1; fi
    grep -E "$lines" "$log/$name.log"
    summary=$(sed -n -E '/cases pass|operators run|pairs|itself an ulp away|(optimi|quanti)sed models/p; s/^\[  (PASSED|SKIPPED|FAILED) *\] ([0-9]+) test.*/\2 \1/p' "$log/$name.log" |
        tr '\n' ' ' | tr 'A-Z' 'a-z')
    table="$table$(printf '%-10s %-7s %s' "$name" "$verdict" "$summary")
"
}

# at_least PERCENT COMMAND...: for a command that counts cases, good when so many of them pass.
at_least() {
    percent=$1
    shift
    "$@" | awk -v percent="$percent" '{ print } /cases pass/ { good = 100 * $1 >= percent * $3 } END { exit !good }'
}

step streams "within .* of|^ERROR|skipped:" "$build/tests/test_streams"
step score "pairs" .venv/bin/python tests/conformance/score/oracle.py check "$build/motet"
step pairs "^FAILED|^ok" .venv/bin/python tests/conformance/pairs.py "$build/motet"
step zoo "^(ok|FAIL) " tests/zoo/run.sh "$build"
step rounding "itself an ulp away" .venv/bin/python tests/conformance/rounding.py "$build/motet" out/zoo
step optimized "^WRONG" .venv/bin/python tests/conformance/optimized.py "$build/motet" models out/zoo
step quantised "^WRONG|MB; cosines" .venv/bin/python tests/conformance/quantised.py "$build/motet" models/motet-cnn.onnx \
    out/zoo/*-newest/model.onnx out/zoo/*-op17/model.onnx
if [ -d "$backend" ]; then
    step backend "^LOST |lost, " "$build/motet" model test --passing tests/conformance/passing.txt "onnx-1.12=$backend"
else
    echo "no $backend: install libonnx-testdata for the backend cases"
fi
.venv/bin/python tests/conformance/make_node_cases.py out/onnx-newest >$log/make_node_cases.log 2>&1 ||
    { echo "make_node_cases.py failed, see $log/make_node_cases.log" >&2; exit 1; }
step newest "^FAIL " at_least 97 "$build/motet" model test --failures "onnx-newest=out/onnx-newest"
step types "^(REFUSED|WRONG) |operators run" .venv/bin/python tests/conformance/every_type.py "$build/motet" out/every-type \
    out/onnx-newest/node out/zoo-operators
printf '\n%s' "$table"
echo "everything, with the reason of each failure: $log/*.log"
exit $failed
