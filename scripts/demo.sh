#!/bin/sh
# Diarizes the shipped conversation, shows the turns, and compares them with who really spoke.
set -eu
cd "$(dirname "$0")/.."
motet=$1
turns=$(mktemp)
trap 'rm -f "$turns"' EXIT

echo
echo "motet diarize samples/conversation.flac"
"$motet" diarize samples/conversation.flac >"$turns"
echo
echo "   start      end  speaker"
awk '{ printf "%8.2f %8.2f  %s\n", $4, $4 + $5, $8 }' "$turns"
echo
echo "motet score samples/conversation.rttm TURNS"
"$motet" score samples/conversation.rttm "$turns"
