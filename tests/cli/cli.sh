#!/bin/bash
# The motet command as its users meet it: what it prints, where, and with which exit status; above all on bad input.
#   cli.sh MOTET MAKE_AUDIO        MOTET_RUN="valgrind ..." runs every call under that,
#                                  MOTET_TEST_SECONDS is the length of the recordings (default 12, at least 4)
set -u
seconds=${MOTET_TEST_SECONDS:-12}
motet=$(realpath "$1") make_audio=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
cases=0 failures=0

# run STATUS PATTERN ARGUMENT...: motet ARGUMENT... must end with STATUS, and its stderr must match the extended regular
# expression PATTERN ("" for: it must say nothing).
run() {
    local status=$1 pattern=$2 got
    shift 2
    cases=$((cases + 1))
    ${MOTET_RUN:-} "$motet" "$@" >stdout 2>stderr
    got=$?
    if [ $got != "$status" ]; then
        fail "exit status $got, expected $status" "$@"
    elif [ -z "$pattern" ] && [ -s stderr ]; then
        fail "expected silence on stderr" "$@"
    elif [ -n "$pattern" ] && ! grep -qE -- "$pattern" stderr; then
        fail "stderr does not match: $pattern" "$@"
    fi
}

fail() {
    failures=$((failures + 1))
    echo "FAILED: $1"
    shift
    echo "  motet $*"
    sed 's/^/  | /' stderr | tail -5
}

check() { # DESCRIPTION COMMAND...: the command must succeed
    local what=$1
    shift
    cases=$((cases + 1))
    "$@" >/dev/null 2>&1 || { failures=$((failures + 1)); echo "FAILED: $what"; }
}

"$make_audio" . "$root/samples/conversation.flac" "$seconds" || { echo "cannot make the recordings"; exit 1; }
models=$here/models

# --- usage ---
run 2 "usage: motet" 
run 0 "" --help
run 0 "" --version
run 2 "no command 'sing'" sing
run 0 "" diarize --help
run 2 "no recording given" diarize
run 2 "unrecognized option" diarize --sing 2s.wav
run 2 "--hop 0: expected a number from 0.1" diarize --hop 0 2s.wav
run 2 "hop 5 s: expected 0.1 s to the window's 3 s" diarize --hop 5 2s.wav
run 2 "--speakers two: expected a whole number" diarize --speakers two 2s.wav
run 2 "at least 3 and at most 2" diarize --min-speakers 3 --max-speakers 2 2s.wav
run 2 "exclude each other" diarize --speakers 2 --max-speakers 3 2s.wav
run 2 "--threshold nan" diarize --threshold nan 2s.wav
run 2 "--format xml: expected rttm, json or jsonl" diarize --format xml 2s.wav
run 2 "several outputs" diarize --format rttm --format json 2s.wav
run 2 "give a folder" diarize --output x.rttm 2s.wav speech.wav
run 2 "would both be called" diarize --output out 2s.wav ./2s.wav
run 2 "--latency-report x.txt: the name must end in" diarize --latency-report x.txt 2s.wav
run 2 "raw-channels needs" diarize --raw-channels 2 2s.wav

# --- recordings that are odd, and fine ---
run 0 "" diarize --quiet speech.wav
check "turns on stdout" grep -q '^SPEAKER speech 1 ' stdout
cp stdout speech.rttm
run 0 "" diarize --quiet --threads 1 speech.wav
check "the same bytes with one thread" cmp stdout speech.rttm
run 0 "latency per chunk" diarize speech.wav
run 0 "" diarize --quiet 8k.wav
run 0 "" diarize --quiet 96k_8ch.wav
run 0 "" diarize --quiet --channel 8 96k_8ch.wav
run 0 "" diarize --quiet 2s.wav
run 0 "" diarize --quiet 10ms.wav
run 0 "no_samples.wav: holds no audio" diarize --quiet no_samples.wav
check "no turns" test ! -s stdout
run 0 "digital silence" diarize --quiet zero.wav
check "no turns in silence" test ! -s stdout
run 0 "$((seconds * 16)) samples were not numbers" diarize --quiet nan.wav
run 0 "% of the samples are clipped" diarize --quiet clipped.wav
run 0 "" diarize --quiet --exclusive --speakers 1 --format json speech.wav
check "JSON names the model" grep -q '"name": "motet-cnn"' stdout
run 0 "" diarize --quiet --model "$models/nobody.onnx" speech.wav
check "nobody speaks" test ! -s stdout
run 0 "" diarize --quiet --model motet-cnn-int8 speech.wav
check "a shipped model by its name" grep -q "^SPEAKER speech 1 " stdout
run 1 "motet-cnn-int9: " diarize --quiet --model motet-cnn-int9 speech.wav
run 0 "" diarize --quiet --model "$models/one_frame.onnx" speech.wav
check "two who are never heard alone are one" test "$(cat stdout)" = 'SPEAKER speech 1 0.000 '$seconds'.000 <NA> <NA> SPEAKER_00 <NA> <NA>'

# --- pipes ---
cases=$((cases + 1))
${MOTET_RUN:-} "$motet" diarize --quiet - <speech.wav 2>stderr | sed 's/ stdin / speech /' >piped
cmp -s piped speech.rttm || fail "a pipe and a file differ" diarize -
tail -c +45 speech.wav >speech.raw
cases=$((cases + 1))
${MOTET_RUN:-} "$motet" diarize --quiet --raw-rate 16000 - <speech.raw 2>stderr | sed 's/ stdin / speech /' >piped
cmp -s piped speech.rttm || fail "raw samples and a file differ" diarize --raw-rate 16000 -

# --- at the speed of sound ---
run 2 "--speed needs --realtime" diarize --speed 8 speech.wav
run 2 "--format jsonl needs --realtime" diarize --format jsonl speech.wav
run 2 "--realtime takes one recording" diarize --realtime speech.wav 2s.wav
run 2 "exclude each other" diarize --realtime --partial speech.wav
run 2 "latency 0.3 s: expected the hop's 0.5 s" diarize --realtime --latency 0.3 speech.wav
run 2 "several outputs" diarize --realtime --format jsonl --format rttm speech.wav
run 1 "missing.wav: .*[Nn]o such file" diarize --realtime missing.wav
run 0 "" diarize --quiet --hop 0.5 speech.wav
cp stdout hop.rttm
run 0 "" diarize --quiet --realtime --speed 100 speech.wav
check "final turns are those of a file" cmp stdout hop.rttm
run 0 "capture to event" diarize --realtime --speed 100 --format jsonl speech.wav
check "turns begin" grep -q '"event": "turn_start"' stdout
check "the last line is a final turn" sh -c 'tail -1 stdout | grep -q turn_final'
run 0 "" diarize --quiet --realtime --speed 100 --format jsonl --format rttm --output live speech.wav
check "events and turns in a folder" test "$(ls live | tr '\n' ' ')" = "speech.jsonl speech.rttm "
run 0 "" diarize --quiet --realtime --speed 100 --output live/x.jsonl 10ms.wav
run 3 "truncated.flac: " diarize --quiet --realtime --speed 100 truncated.flac
run 0 "" live --help
run 2 "recordings are for" live speech.wav
run 2 "--for soon: expected a length of time" live --for soon
run 2 "either all sources have" live --source a=x --source y
run 0 "" devices --help
run 2 "nothing to add" devices all
PULSE_SERVER=unix:$work/nowhere
export PULSE_SERVER
run 1 "no sound server can be reached" devices
run 1 "default: no sound server can be reached" live

# --- outputs ---
run 0 "" diarize --quiet --format rttm --format json --output made/by/motet speech.wav 2s.wav
check "four files" test "$(ls made/by/motet | sort | tr '\n' ' ')" = "2s.json 2s.rttm speech.json speech.rttm "
check "nothing on stdout" test ! -s stdout
check "the same turns in the folder" cmp made/by/motet/speech.rttm speech.rttm
run 0 "" diarize --quiet --latency-report l.csv --output one.rttm speech.wav
check "one row a chunk" test "$(wc -l <l.csv)" = $((seconds - 1))
run 0 "" diarize --quiet --latency-report l.json -o one.json speech.wav
check "the summary" grep -q '"p99_ms"' l.json
cases=$((cases + 1))
${MOTET_RUN:-} "$motet" diarize --quiet speech.wav >/dev/full 2>stderr
[ $? = 1 ] && grep -q "standard output: cannot write: No space left" stderr || fail "a full disk" "diarize >/dev/full"
touch file
run 1 "file/under: cannot make this folder: Not a directory" diarize --quiet --output file/under speech.wav
run 1 "/proc/x.rttm: cannot create it" diarize --quiet --output /proc/x.rttm speech.wav

# --- recordings that are bad ---
run 1 "missing.wav: .*[Nn]o such file" diarize missing.wav
run 1 "empty.wav: " diarize --output bad empty.wav
run 1 "text.wav: " diarize --output bad text.wav
run 1 "made: .*directory" diarize --output bad made
run 1 "truncated.flac: .*[0-9.]+ s" diarize --output bad truncated.flac
check "nothing half-written" test -z "$(ls bad)"
run 3 "going on with what could be read" diarize --quiet --partial --output bad truncated.flac
check "what could be read" test -s bad/truncated.rttm
run 1 "channel" diarize --channel 3 speech.wav
run 3 "missing.wav" diarize --quiet --output good missing.wav speech.wav
check "one bad file does not stop the others" test -s good/speech.rttm

# --- models that are bad ---
head -c 3000 "$root/models/motet-cnn.onnx" >truncated.onnx
run 1 "missing.onnx: .*[Nn]o such file" diarize --model missing.onnx speech.wav
run 1 "empty.wav: " diarize --model empty.wav speech.wav
run 1 "text.wav: .*ONNX" diarize --model text.wav speech.wav
run 1 "truncated.onnx: " diarize --model truncated.onnx speech.wav
run 1 "no_description.onnx: not a diarizer model: motet.role is not given" diarize --model "$models/no_description.onnx" speech.wav
run 1 "wrong_input.onnx: input 'waveform' is float32\[1,4\]; its description asks for float32\[1,48000\]" diarize --model "$models/wrong_input.onnx" speech.wav
run 1 "no_voices.onnx: the model has no output 'voices'" diarize --model "$models/no_voices.onnx" speech.wav
run 1 "bad_number.onnx: motet.window is \"three seconds\": expected a number" diarize --model "$models/bad_number.onnx" speech.wav
run 1 "Frobnicate" diarize --model "$models/missing_operators.onnx" speech.wav
check "all missing operators at once" grep -q "org.example.*Defenestrate\|Defenestrate.*org.example" stderr
run 1 "output 'activity' came out as float32\[1,2,4\]" diarize --model "$models/wrong_at_run.onnx" speech.wav

# --- ^C ---
interrupt() { # SIGNAL STATUS: a long recording from a pipe that does not end
    cases=$((cases + 1))
    rm -rf cut
    mkfifo pipe
    { tail -c +45 speech.wav; tail -c +45 speech.wav; exec sleep 20; } >pipe &
    local feeder=$!
    ${MOTET_RUN:-} "$motet" diarize --quiet --raw-rate 16000 --output cut pipe 2>stderr &
    local program=$!
    sleep "${MOTET_PATIENCE:-1}"
    kill -"$1" $program
    wait $program
    local got=$?
    kill -0 $feeder 2>/dev/null || fail "SIG$1 was heeded only when the pipe closed" diarize pipe
    kill $feeder 2>/dev/null
    wait $feeder 2>/dev/null
    rm pipe
    [ $got = "$2" ] || fail "exit status $got after SIG$1, expected $2" diarize pipe
    grep -q "interrupted, nothing written" stderr || fail "no word of the interruption" diarize pipe
    [ -z "$(ls cut)" ] || fail "something was written after SIG$1" diarize pipe
}
interrupt TERM 143
set -m # background jobs ignore ^C without job control
interrupt INT 130
set +m

echo "$((cases - failures)) passed, $failures failed"
[ $failures = 0 ]
