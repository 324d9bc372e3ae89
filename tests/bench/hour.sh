#!/bin/bash
# An hour of audio (the development conversations joined and repeated): elapsed time and resident memory of one whole
# `motet diarize`, and whether the speakers keep their labels from one round of the conversations to the next.
#   hour.sh BUILD_FOLDER [SECONDS [OPTION...]]
set -eu
cd "$(dirname "$0")/../.."
build=$1 seconds=${2:-3600}
shift $(($# < 2 ? $# : 2))
data=${MOTET_DATA:-../shared/data}/conversations
if [ ! -d "$data" ]; then
    echo "hour: skipped, no recordings in $data: set MOTET_DATA"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
round=$("$build/tests/join_audio" "$work/hour.flac" "$seconds" "$data"/*.flac)
"$build/tests/measure" "$work/time" "$build/motet" diarize --quiet --latency-report "$work/l.json" "$@" "$work/hour.flac" >"$work/hour.rttm"
read -r elapsed kilobytes <"$work/time"
awk -v e="$elapsed" -v k="$kilobytes" -v s="$seconds" 'BEGIN {
    printf "%-44s %8.0f\n%-44s %8.1f\n%-44s %8.4f   (bar 0.02)\n%-44s %8.0f   (bar 250)\n",
        "audio, s", s, "elapsed, s", e, "elapsed / duration", e / s, "largest resident memory, MB", k / 1024 }'
# Labels per 20 ms of the first round against those of every later one. Rounds are no whole number of hops long, so each
# is cut into other windows: how much that alone changes shows beside three rounds that are cut alike.
compare() {
    awk -v round="$1" -v what="$2" '
    { n = int(($4 + $5) * 50); for (f = int($4 * 50); f < n; f++) { r = int(f / 50 / round); at = f - int(r * round * 50)
        if (r == 0) first[at, $8] = any[at] = 1; else { total++
            if ((at, $8) in first || (at - 1, $8) in first || (at + 1, $8) in first) same++; else if (at in any) other++ } } }
    END { printf "%-44s %8.2f   (another label %.2f, new speech %.2f)\n", what, total ? 100 * same / total : 0,
        total ? 100 * other / total : 0, total ? 100 * (total - same - other) / total : 0 }' "$3"
}
compare "$round" "speech with the label of the first round, %" "$work/hour.rttm"
# Does every label stay with its speaker? In each later round, where the first had one label alone, the one heard longest.
awk -v round="$round" '
{ n = int(($4 + $5) * 50); for (f = int($4 * 50); f < n; f++) { r = int(f / 50 / round); at = f - int(r * round * 50)
    if (r == 0) { voices[at]++; label[at] = $8 } else if (voices[at] == 1) { heard[r, label[at], $8]++; rounds[r, label[at]] } } }
END { for (i in rounds) { split(i, of, SUBSEP); most = ""
        for (j in heard) { split(j, in_, SUBSEP); if (in_[1] SUBSEP in_[2] == i && (most == "" || heard[j] > heard[most])) most = j }
        split(most, in_, SUBSEP); all++; if (in_[3] == of[2]) kept++; else printf "  round %d: %s is called %s\n", of[1], of[2], in_[3] }
    printf "%-44s %8.2f   (of %d)\n", "labels that stay with their speaker, %", all ? 100 * kept / all : 0, all }' "$work/hour.rttm"
awk '{ if (!($8 in seen)) { seen[$8] = 1; n++ } } END { printf "%-44s %8d\n", "speakers", n }' "$work/hour.rttm"
round=$("$build/tests/join_audio" -w "$work/alike.flac" $((3 * (${round%.*} + 1))) "$data"/*.flac)
"$build/motet" diarize --quiet "$@" "$work/alike.flac" >"$work/alike.rttm"
compare "$round" "the same of three rounds in like windows, %" "$work/alike.rttm"
