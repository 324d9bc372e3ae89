#!/bin/bash
# motet score as its users meet it: exit status, what is said where, formats, files and folders, bad input.
#   score.sh MOTET        MOTET_RUN="valgrind ..." runs every call under that
set -u
motet=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

under=score
. "$here/expect.sh"

turn() { # FILE ONSET DURATION SPEAKER
    echo "SPEAKER $1 1 $2 $3 <NA> <NA> $4 <NA> <NA>"
}

mkdir references hypotheses none
{ turn one 0 10 anna; turn one 8 4 bert; } | tee references/1.rttm >reference.rttm
{ turn one 0 8 x; turn one 8.5 3.5 y; turn one 3 0 z; } | tee hypotheses/any.rttm >hypothesis.rttm
turn two 0 5 anna >references/2.rttm
turn three 0 5 x >hypotheses/3.rttm
echo "one 1 0 8" >regions.uem
echo "SPEAKER one 1 0 -3 <NA> <NA> x <NA> <NA>" >negative.rttm
printf 'SPEAKER one\0\n' >binary.rttm
: >empty.rttm

# --- usage ---
run 0 "usage: motet score" "" --help
run 2 "" "expected REFERENCE and HYPOTHESIS" reference.rttm
run 2 "" "expected REFERENCE and HYPOTHESIS" reference.rttm hypothesis.rttm more.rttm
run 2 "" "--collar -1: expected a number" reference.rttm hypothesis.rttm --collar -1
run 2 "" "--collar nan: expected a number" reference.rttm hypothesis.rttm --collar nan
run 2 "" "--collar-convention nist: expected md-eval or pyannote" reference.rttm hypothesis.rttm --collar-convention nist
run 2 "" "--format xml: expected table, json or csv" reference.rttm hypothesis.rttm --format xml
run 2 "" "--sing" reference.rttm hypothesis.rttm --sing

# --- scores ---
run 0 "^one +14.00 +2.50 +17.86 .* 17.86 " "passed over 1 turn of no duration" reference.rttm hypothesis.rttm
run 0 "^collar 0 s, md-eval convention" "." reference.rttm hypothesis.rttm
run 0 "^collar 0.5 s, md-eval convention \(0.5 s on each" "." reference.rttm hypothesis.rttm -c 0.5
run 0 "^collar 0.5 s, pyannote convention \(0.25 s on each" "." reference.rttm hypothesis.rttm -c 0.5 --collar-convention pyannote
run 0 "overlap skipped" "." reference.rttm hypothesis.rttm --skip-overlap
run 0 "^one +8.00 " "." reference.rttm hypothesis.rttm --uem regions.uem
run 0 "^one,md-eval,0,scored,14.0" "." reference.rttm hypothesis.rttm --format csv
run 0 '"convention": "md-eval"' "." reference.rttm hypothesis.rttm --format json
run 0 "^all files +14.00 .* 0.00 +0.00  +2 +2 " "" reference.rttm reference.rttm
run 0 "^all files +14.00 +14.00 100.00 " "one: not in the hypothesis" reference.rttm empty.rttm

# --- folders ---
run 0 "^two +5.00 +5.00 100.00" "two: not in the hypothesis, all of it counts as missed" references hypotheses
run 0 "^all files +19.00 " "three: not in the reference, not scored" references hypotheses/
run 0 "^all files +8.00 " "two: not in the UEM, not scored" references hypotheses --uem regions.uem
run 1 "" "none: the folder has no \*.rttm file" references none
run 1 "" "references: the folder has no \*.uem file" references hypotheses --uem references

# --- output ---
run 0 "" "." reference.rttm hypothesis.rttm --format csv --output scores.csv
cases=$((cases + 1))
grep -q "^one,md-eval" scores.csv || { failures=$((failures + 1)); echo "FAILED: --output"; }
run 1 "" "/nowhere/x.csv: cannot" reference.rttm reference.rttm --output /nowhere/x.csv

# --- bad input ---
run 1 "" "missing.rttm: No such file" missing.rttm hypothesis.rttm
run 1 "" "missing.uem: No such file" reference.rttm reference.rttm --uem missing.uem
run 1 "" "negative.rttm:1: field 5 \(duration\) '-3': expected seconds, 0 or more" reference.rttm negative.rttm
run 1 "" "binary.rttm:1: byte 0x00" reference.rttm binary.rttm
run 1 "" "regions.uem:1: field 1 \(type\) 'one': expected SPEAKER" reference.rttm regions.uem
run 1 "" "reference.rttm:1: field 4 \(end\) '0' comes before field 3" reference.rttm reference.rttm --uem reference.rttm
run 1 "" "empty.rttm: nothing to score" empty.rttm reference.rttm
if [ -e /dev/full ]; then
    cases=$((cases + 1))
    ${MOTET_RUN:-} "$motet" score reference.rttm reference.rttm >/dev/full 2>stderr
    [ $? = 1 ] && grep -q "cannot write" stderr || { failures=$((failures + 1)); echo "FAILED: a full disk"; }
fi

echo "$cases cases, $failures failed"
[ $failures = 0 ]
