#!/bin/bash
# Somebody else's networks, as a user brings them: the shipped sidecars beside exports of each architecture (small, with
# random weights: what they say is noise), the two of models/third-party with their real weights, by name, and, where there
# is one, the real Silero VAD beside our own voices.
#   pairs.sh MOTET        MOTET_RUN="valgrind ..." runs every call under that
set -u
motet=$(realpath "$1")
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$(cd "$(dirname "$0")" && pwd)
silero=${MOTET_DATA:-$root/../shared/data}/../models/silero_vad/silero_vad.onnx
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

under=diarize
. "$here/expect.sh"

ours=$root/models/motet-cnn.onnx
conversation=$root/samples/conversation.flac

# bring EXPORT SIDECAR WIDTH: the small exports have shorter vectors than the networks they are like
bring() {
    cp "$here/models/$1.onnx" .
    sed "s/\"motet.voice\": [0-9]*/\"motet.voice\": $3/" "$root/models/sidecars/$2.json" >"$1.onnx.json"
}
bring segmentation pyannote-segmentation-3.0 0
bring resnet34 wespeaker-resnet34 24
bring ecapa ecapa 24
bring titanet titanet 24
bring wav2vec2 wav2vec2 16

for embedding in resnet34 ecapa titanet wav2vec2; do
    run 0 "^SPEAKER conversation 1 " "" --quiet -e $embedding.onnx "$conversation"
    run 0 "" "" --quiet -m segmentation.onnx -e $embedding.onnx -o turns "$conversation"
done
run 0 '"embedding": \{' "" --quiet -e resnet34.onnx -f json "$conversation"
MOTET_EMBEDDING=resnet34.onnx run 0 '"name": "wespeaker-voxceleb-resnet34-LM"' "" --quiet -f json "$conversation"
run 1 "" "segmentation.onnx: it tells activity and no voices: .*--embedding" -m segmentation.onnx "$conversation"
run 1 "" "resnet34.onnx: .*\"embedding\": that is a network to give with --embedding" -m resnet34.onnx "$conversation"
run 1 "" "segmentation.onnx: motet.role is \"segmentation\"" -e segmentation.onnx "$conversation"
run 1 "" "looks at 48000 samples, and the model beside it at 160000" -m segmentation.onnx -e "$ours" "$conversation"
rm titanet.onnx.json
run 1 "" "titanet.onnx: motet.role is \"\": expected" -e titanet.onnx "$conversation"

# Real weights. What they score is bounded, so that a broken front end shows; four voices within ten seconds are beyond the
# segmentation, which knows three.
third=$root/models/third-party
bound() { # MOST: of what was scored last
    cases=$((cases + 1))
    awk -v most="$1" '/^all files/ { exit !($10 < most) }' stdout ||
        { failures=$((failures + 1)); echo "FAILED: DER above $1 %"; tail -1 stdout; }
}
run 0 "" "" --quiet -e campplus -o voices "$conversation"
run 0 "" "" --quiet -m pyannote-segmentation-3.0 -e campplus --hop 2 -o pair "$conversation"
MOTET_MODEL=pyannote-segmentation-3.0 MOTET_EMBEDDING=campplus run 0 "" "" --quiet --hop 2 -t 1 -o pair1 "$conversation"
run 0 '"name": "campplus"' "" --quiet -e campplus -f json "$conversation"
run 1 "" "campplus2: " -m pyannote-segmentation-3.0 -e campplus2 "$conversation"
run 1 "" "looks at 48000 samples, and the model beside it at 160000" -m pyannote-segmentation-3.0 -e motet-cnn "$conversation"
cases=$((cases + 1))
cmp -s pair/conversation.rttm pair1/conversation.rttm || { failures=$((failures + 1)); echo "FAILED: one thread and many differ"; }
for file in "$third"/*.onnx; do # none goes without its terms
    cases=$((cases + 1))
    [ -f "$third/LICENSE-$(basename "$file" .onnx)" ] && [ -f "${file%.onnx}.md" ] ||
        { failures=$((failures + 1)); echo "FAILED: $file has no licence or no card beside it"; }
done
under=score
run 0 "^all files .* 4 +4 " "" "$root/samples/conversation.rttm" voices/conversation.rttm
bound 12
run 0 "^all files" "" "$root/samples/conversation.rttm" pair/conversation.rttm
bound 32
under=diarize

# Voices of one network are nothing to another.
under=
run 0 "" "" enroll Anna -e resnet34.onnx -o anna.json "$conversation"
run 0 "	Anna	1.000	" "" identify --known anna.json -e resnet34.onnx -n 1 "$conversation"
run 1 "" "anna.json: a voice print of model wespeaker.* says nothing to model spkrec-ecapa.* enrol again" \
    identify --known anna.json -e ecapa.onnx "$conversation"

if [ -f "$silero" ]; then
    cp "$silero" silero_vad.onnx
    cp "$root/models/sidecars/silero_vad.json" silero_vad.onnx.json
    under=diarize
    run 0 "" "" --quiet -m silero_vad.onnx -e "$ours" -o turns "$conversation"
    cp turns/conversation.rttm file.rttm
    # The same chain live.
    run 0 "" "" --quiet --realtime --speed 20 -m silero_vad.onnx -e "$ours" -o live "$conversation"
    under=score
    run 0 "^all files .* 4 +4 " "" "$root/samples/conversation.rttm" file.rttm
    bound 20
else
    echo "no $silero: the real one is left out"
fi

echo "$((cases - failures)) passed, $failures failed"
[ $failures = 0 ]
