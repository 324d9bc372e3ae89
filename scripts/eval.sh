#!/bin/sh
# Diarizes real conversations and prints the pooled DER and JER (collar 0, overlap scored). Further arguments go to
# `motet diarize`, so that settings can be compared: scripts/eval.sh build/release/motet --hop 0.5
set -eu
cd "$(dirname "$0")/.."
motet=$1
shift
data=${MOTET_DATA:-../shared/data}/conversations
if [ ! -d "$data" ]; then
    echo "eval: no recordings in $data: set MOTET_DATA" >&2
    exit 1
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$motet" diarize --quiet --output "$out" "$@" "$data"/*.flac
"$motet" score "$data" "$out"
