#!/bin/sh
# How good turns are, against references.
#   eval.sh MOTET [FOLDER [OPTION...]]
# With FOLDER, which holds .flac and .rttm: DER and JER of each recording and pooled (collar 0, overlap scored); the options
# go to `motet diarize`, so that settings can be compared.
# Without: every set that is there (real conversations in $MOTET_DATA, simulated ones in out/, the sample) by every model
# in models/, by motet-cnn and pyannote's segmentation with the voices of CAM++ (models/third-party), with the number of
# speakers found out and given, and by Silero VAD with the voices of motet-cnn.
set -eu
cd "$(dirname "$0")/.."
motet=$1
data=${MOTET_DATA:-../shared/data}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

if [ $# -gt 1 ]; then
    folder=$2
    shift 2
    [ -d "$folder" ] || { echo "eval: no recordings in $folder" >&2; exit 1; }
    "$motet" diarize --quiet --output "$out" "$@" "$folder"/*.flac
    exec "$motet" score "$folder" "$out"
fi

# summary SET WITH REFERENCE HYPOTHESIS: a line of the table, from the columns of `motet score --format csv`.
summary() {
    "$motet" score --format csv "$3" "$4" >"$out/score.csv" 2>/dev/null
    wide=$("$motet" score --format csv --collar 0.25 "$3" "$4" 2>/dev/null | awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } END { print $at["der_percent"] }')
    awk -F, -v set="$1" -v with="$2" -v wide="$wide" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        { for (n in at) last[n] = $at[n]; files++; right += $at["reference_speakers"] == $at["hypothesis_speakers"]; only = right }
        END {
            files--; right -= last["reference_speakers"] == last["hypothesis_speakers"] # the last line is all together
            hit = last["speech_s"] - last["missed_speech_s"]; scored = last["scored_s"]
            printf "%-24s %-26s %6.2f %6.2f %7.2f %7.2f %7.2f %6.2f  %3d/%-3d  %6.3f\n", set, with, last["der_percent"], wide,
                100 * last["missed_s"] / scored, 100 * last["false_alarm_s"] / scored, 100 * last["confusion_s"] / scored,
                last["jer_percent"], right, files, 2 * hit / (2 * hit + last["missed_speech_s"] + last["false_alarm_speech_s"]) }' "$out/score.csv"
}

# diarize_set REFERENCE OUTPUT OPTION...: with the number of speakers of the reference where the first option is "given".
diarize_set() {
    reference=$1 turns=$2
    shift 2
    rm -rf "$turns"
    if [ "${1:-}" != given ]; then
        "$motet" diarize --quiet --output "$turns" "$@" "$reference"/*.flac 2>/dev/null
        return
    fi
    shift
    for file in "$reference"/*.flac; do
        number=$(awk '$1 == "SPEAKER" { print $8 }' "${file%.flac}.rttm" | sort -u | wc -l)
        "$motet" diarize --quiet --output "$turns" --speakers "$number" "$@" "$file" 2>/dev/null
    done
}

# A set is a folder of recordings with their references; a pattern makes one of a part of a folder.
sets=
add_set() { # NAME FOLDER PATTERN
    mkdir "$out/$1"
    for file in "$2"/$3; do
        [ -f "$file" ] && [ -f "${file%.flac}.rttm" ] || continue
        ln -s "$(realpath "$file")" "$(realpath "${file%.flac}.rttm")" "$out/$1/"
    done
    if ls "$out/$1"/*.flac >/dev/null 2>&1; then sets="$sets $1"; else echo "eval: no $1 in $2" >&2; fi
}
add_set sample samples '*.flac'
add_set ami-excerpts "$data/conversations" 'ami_*.flac'
add_set telephone-call "$data/conversations" 'pyannote_sample.flac'
add_set three-voice-sequence "$data/conversations" 'falcon_test.flac'
for folder in out/simulated-2[2-9] out/conversations-3[2-9]; do # 21 and 31 choose settings
    [ -d "$folder" ] && add_set "$(basename "$folder")" "$folder" '*.flac'
done

silero=$data/../models/silero_vad/silero_vad.onnx
if [ -f "$silero" ]; then
    cp "$silero" "$out/silero_vad.onnx"
    cp models/sidecars/silero_vad.json "$out/silero_vad.onnx.json"
fi

# pair NAME MODEL: its turns on the set, voices by CAM++.
pair() {
    diarize_set "$out/$set" "$out/turns" -m "$2" -e models/third-party/campplus.onnx
    summary "$set" "$1" "$out/$set" "$out/turns"
    diarize_set "$out/$set" "$out/turns" given -m "$2" -e models/third-party/campplus.onnx
    summary "$set" "$1, given" "$out/$set" "$out/turns"
}

echo "DER at collar 0 and at 0.25 s (md-eval: on each side of a boundary), overlap scored; missed, false alarm, confusion"
echo "and JER at collar 0; recordings with the right number of speakers; F1 of speech (10 ms, no collar)."
printf '%-24s %-26s %6s %6s %7s %7s %7s %6s  %7s  %6s\n' set with "DER 0" "0.25" missed false confus. JER number speech
for set in $sets; do
    for model in models/*.onnx; do
        name=$(basename "$model" .onnx)
        diarize_set "$out/$set" "$out/turns" -m "$model"
        summary "$set" "$name" "$out/$set" "$out/turns"
        diarize_set "$out/$set" "$out/turns" given -m "$model"
        summary "$set" "$name, number given" "$out/$set" "$out/turns"
    done
    pair "motet-cnn + campplus" models/motet-cnn.onnx
    pair "pyannote + campplus" models/third-party/pyannote-segmentation-3.0.onnx
    if [ -f "$out/silero_vad.onnx" ]; then
        diarize_set "$out/$set" "$out/turns" -m "$out/silero_vad.onnx" -e models/motet-cnn.onnx
        summary "$set" "silero + motet-cnn" "$out/$set" "$out/turns"
    fi
done
