#!/bin/sh
# Diarizes real conversations and prints DER and JER of each and pooled (collar 0, overlap scored).
#   eval.sh MOTET [FOLDER [OPTION...]]   FOLDER holds .flac and .rttm (default: $MOTET_DATA/conversations); the options go
#                                        to `motet diarize`, so that settings can be compared
set -eu
cd "$(dirname "$0")/.."
motet=$1
data=${2:-${MOTET_DATA:-../shared/data}/conversations}
shift $(($# < 2 ? $# : 2))
if [ ! -d "$data" ]; then
    echo "eval: no recordings in $data: set MOTET_DATA" >&2
    exit 1
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$motet" diarize --quiet --output "$out" "$@" "$data"/*.flac
"$motet" score "$data" "$out"
