#!/bin/bash
# Settings found on labelled recordings, and turns explained, as their users meet them.
#   tune.sh MOTET JOIN_AUDIO        MOTET_RUN="valgrind ..." runs every call under that
set -u
motet=$(realpath "$1") join_audio=$(realpath "$2")
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

under=tune
. "$here/expect.sh"

# Two labelled recordings: the beginning of the conversation, twice. What is wanted of it is two people, 0 s to 24 s.
mkdir labelled empty
"$join_audio" labelled/a.flac 24 "$root/samples/conversation.flac" >/dev/null || exit 1
cp labelled/a.flac labelled/b.flac
for name in a b; do
    awk -v name=$name '$4 < 24 { $2 = name; if ($4 + $5 > 24) $5 = 24 - $4; print }' "$root/samples/conversation.rttm" >labelled/$name.rttm
done
echo "notes" >labelled/notes.txt

run 0 "usage: motet tune" "" --help
run 2 "" "expected one FOLDER"
run 2 "" "--collar x: expected a number" --collar x labelled
run 1 "" "nowhere: .*[Nn]o such file" nowhere
run 1 "" "empty: " empty
run 0 "^--threshold [0-9.]+ --onset [0-9.]+ --min-gap [0-9.]+ --min-turn [0-9.]+$" "each half with settings chosen on the other" labelled
cases=$((cases + 1))
awk '/where it began/ { was = $1 } / --threshold/ && !/began/ { best = $1 } END { exit !(best <= was) }' stderr ||
    { failures=$((failures + 1)); echo "FAILED: the best is worse than where it began"; cat stderr; }
options=$(cat stdout)
run 0 "^--threshold" "" --quiet labelled
cases=$((cases + 1))
[ "$(cat stdout)" = "$options" ] || { failures=$((failures + 1)); echo "FAILED: another answer the second time"; }
under=diarize
# shellcheck disable=SC2086  # options are words
run 0 "^SPEAKER a 1 " "" --quiet $options labelled/a.flac
cp labelled/a.flac labelled/a.wav
under=tune
run 1 "" "a.flac and labelled/a.wav: one name" labelled

under=diarize
run 0 "^SPEAKER" "its voice is similar to SPEAKER_.. by [01].*: a margin of" --quiet --explain 10 labelled/b.flac
run 0 "^SPEAKER" "b.flac: nobody speaks at 1000 s" --quiet --explain 1000 labelled/b.flac
run 0 '"rival_similarity": -?[0-9.]+' "" --quiet --format json labelled/b.flac
run 0 '"rival": null, "rival_similarity": null' "" --quiet --format json --speakers 1 labelled/b.flac
run 2 "" "--onset 0: expected a number from 0.01" --onset 0 labelled/b.flac
run 2 "" "--explain and --realtime exclude" --explain 3 --realtime labelled/b.flac

echo "$((cases - failures)) passed, $failures failed"
[ $failures = 0 ]
