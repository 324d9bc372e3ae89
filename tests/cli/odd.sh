#!/bin/bash
# Recordings that break others: too short, silent, music alone, one speaker, twenty, a telephone, clipped, with an offset.
# What comes out is sensible turns or none, and numbers that are numbers.
#   odd.sh MOTET MAKE_AUDIO JOIN_AUDIO        MOTET_RUN="valgrind ..." runs every call under that; with MOTET_DATA also on
#                                             people
set -u
motet=$(realpath "$1") make_audio=$(realpath "$2") join_audio=$(realpath "$3")
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$(cd "$(dirname "$0")" && pwd)
speakers=${MOTET_DATA:-$root/../shared/data}/speakers
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

under=
. "$here/expect.sh"

# hear FILE LEAST MOST LEAST_SPEECH MOST_SPEECH SAID: the number of speakers, and the seconds of their speech
hear() {
    run 0 '"turns": \[' "$6" diarize --quiet --format json "$1.wav"
    cases=$((cases + 1))
    wrong=$(awk -v least="$2" -v most="$3" -v low="$4" -v high="$5" '
        /"speech":/ { speakers++; sub(/.*"speech": /, ""); speech += $0 + 0 }
        /nan|inf/ { bad = "a number that is none" }
        END { if (speakers < least || speakers > most) bad = speakers + 0 " speakers"
              if (speech < low || speech > high) bad = bad " " speech + 0 " s of speech"
              print bad }' stdout)
    [ -z "$wrong" ] || { failures=$((failures + 1)); echo "FAILED: $1: $wrong"; }
}

"$make_audio" . "$root/samples/conversation.flac" 12 || exit 1
hear 200ms 0 1 0 0.2 ""
hear 10ms 0 1 0 0.01 ""
hear zero 0 0 0 0 "digital silence"
hear music 0 3 0 8 ""
hear clipped 1 4 8 14 "clipped"
hear offset 2 4 8 14 ""
hear telephone 2 4 8 14 ""
hear 2s 1 2 1 2.5 ""

if [ -d "$speakers/librispeech" ]; then
    # none of these was heard in training
    held_out() { sed -n 's/^ls//p' "$root/models/train/heldout.txt" | head -"$1" | while read -r id; do ls "$speakers"/librispeech/*"$id"*/* | head -1; done; }
    mapfile -t files < <(held_out 20)
    "$join_audio" one.wav 13 "${files[0]}" >/dev/null
    "$join_audio" twenty.wav 260 "${files[@]}" >/dev/null
    hear one 1 2 8 13 ""
    hear twenty 6 30 150 270 ""
else
    echo "no recordings in $speakers: people are left out"
fi

echo "$((cases - failures)) passed, $failures failed"
[ $failures = 0 ]
