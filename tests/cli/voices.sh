#!/bin/bash
# Known voices as their users meet them: enroll, identify, diarize --known and --export-voices, live too.
#   voices.sh MOTET MAKE_AUDIO        MOTET_RUN="valgrind ..." runs every call under that; with MOTET_DATA also on people
set -u
motet=$(realpath "$1") make_audio=$(realpath "$2")
root=$(cd "$(dirname "$0")/../.." && pwd)
data=${MOTET_DATA:-$root/../shared/data}/speakers
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

under=
. "$here/expect.sh"

check() { # DESCRIPTION COMMAND...: the command must succeed
    local what=$1
    shift
    cases=$((cases + 1))
    "$@" >/dev/null 2>&1 || { failures=$((failures + 1)); echo "FAILED: $what"; }
}

"$make_audio" . "$root/samples/conversation.flac" 12 || { echo "cannot make the recordings"; exit 1; }

# --- usage ---
run 0 "usage: motet enroll" "" enroll --help
run 0 "usage: motet identify" "" identify --help
run 2 "" "expected NAME and FILE" enroll Anna
run 2 "" "a name must not be empty" enroll "" speech.wav
run 2 "" "those of the unknown" enroll SPEAKER_01 speech.wav
run 2 "" "a name may have 63 bytes" enroll "$(printf 'x%.0s' {1..64})" speech.wav
run 2 "" "--known is needed" identify speech.wav
run 2 "" "no recording given" identify --known voices
run 2 "" "--margin 3: expected a number" identify --known voices --margin 3 speech.wav
run 2 "" "--similarity and --margin need --known" diarize --margin 0.1 speech.wav
run 2 "" "--similarity and --margin need --known" live --similarity 0.1

# --- prints of what is in the tree ---
run 1 "" "missing.wav" enroll Anna missing.wav
run 1 "" "zero.wav: no speech" enroll Anna zero.wav
run 0 '"name": "Anna Müller"' "" enroll "Anna Müller" speech.wav
check "a print says whose model it is of" grep -qE '"identity": "[0-9a-f]{16}"' stdout
cp stdout anna.json
mkdir voices
run 0 "" "" enroll "Anna Müller" -o voices/anna.json speech.wav
check "the same on standard output and in a file" cmp anna.json voices/anna.json
run 0 "speech.wav	SPEAKER_00	Anna Müller	Anna Müller	1.000	-	-	" "" identify --known voices -n 1 speech.wav
run 0 "^8k.wav	SPEAKER_00	unknown	Anna Müller	" "" identify --known voices/anna.json -n 1 --margin 0 --similarity 0.9 8k.wav speech.wav
run 3 "Anna" "missing.wav" identify --known voices -n 1 missing.wav speech.wav
run 0 "^SPEAKER speech 1 .* Anna_Müller <NA> <NA>$" "" diarize --quiet -n 1 --known voices speech.wav
run 0 '"speaker": "Anna Müller"' "" diarize --quiet -n 1 --known voices --format json speech.wav
run 0 "SPEAKER_00" "" diarize --quiet --export-voices exported speech.wav
check "a print for each speaker" test "$(ls exported | wc -l)" = "$(cut -d' ' -f8 stdout | sort -u | wc -l)"
run 0 "speech SPEAKER_00" "" identify --known exported speech.wav

# --- while they speak ---
run 0 "speech_SPEAKER_00 <NA> <NA>$" "SPEAKER_0. is speech SPEAKER_0" diarize --realtime --speed 100 --known exported speech.wav
run 0 '"event": "speaker_name", .*"name": "speech SPEAKER_00"' "" diarize --quiet --realtime --speed 100 --known exported --format jsonl speech.wav
check "final turns bear names" sh -c 'tail -1 stdout | grep -q "\"event\": \"turn_final\", .*\"name\": \"speech SPEAKER_0"'
run 0 "SPEAKER_00" "" diarize --quiet --realtime --speed 100 --export-voices while speech.wav
check "a print for each speaker" test "$(ls while | wc -l)" = "$(cut -d' ' -f8 stdout | sort -u | wc -l)"
run 1 "" "nowhere: .*[Nn]o such file" diarize --realtime --known nowhere speech.wav

# --- prints that are bad ---
run 1 "" "nowhere: .*[Nn]o such file" identify --known nowhere speech.wav
mkdir empty
run 1 "" "the folder has no \*.json file" identify --known empty speech.wav
sed 's/"identity": "[0-9a-f]*"/"identity": "0000000000000000"/' voices/anna.json >other.json
run 1 "" "other.json: a voice print of model motet-cnn .* enrol again" identify --known other.json speech.wav
run 1 "" "other.json: a voice print of model" diarize --known other.json speech.wav
head -c 400 voices/anna.json >cut.json
run 1 "" "cut.json:[0-9]+:[0-9]+: " identify --known cut.json speech.wav

# --- people: enrolled on some recordings, recognised on others that training never heard either ---
people=$data/commonvoice-hsb
if [ -d "$people" ]; then
    mkdir people
    last=()
    for who in cv-hsb-CV00004 cv-hsb-CV00008; do
        mapfile -t files < <(ls "$people/$who"/*)
        run 0 "" "" enroll $who -o people/$who.json "${files[@]:0:$((${#files[@]} / 2))}"
        last+=("${files[-1]}")
    done
    run 0 "	cv-hsb-CV00004	.*	cv-hsb-CV00008	" "" identify --known people -n 1 "${last[0]}"
    run 0 "	cv-hsb-CV00008	.*	cv-hsb-CV00004	" "" identify --known people -n 1 "${last[1]}"
else
    echo "no recordings in $data: people are left out"
fi

echo "$((cases - failures)) passed, $failures failed"
[ $failures = 0 ]
