#!/bin/bash
# motet live against a real PulseAudio: a private server with null sinks, speech played into them and heard from their
# monitors; the server restarted, a device taken away, the program stopped or killed, its output closed, its disk full.
#   live.sh MOTET [LATE]     ends with 77 when PulseAudio's programs are not installed; LATE: by how many milliseconds the
#                            time of events may differ (50), more for a build that is many times slower
set -u
motet=$(realpath "$1")
late=${2:-50}
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/live/server.sh"
cases=0 failures=0
check() { # DESCRIPTION COMMAND...: the command must succeed
    local what=$1
    shift
    cases=$((cases + 1))
    "$@" >check.out 2>&1 && return
    failures=$((failures + 1))
    echo "FAILED: $what"
    sed 's/^/  | /' check.out | tail -3
    tail -3 stderr | sed 's/^/  | /'
}

listen() { # OPTION...: starts the program in the background
    # (job control would change what ^C means: the program gets SIGINT through env)
    env --default-signal=INT "$motet" live --plain --format jsonl --format rttm --output out "$@" >stdout 2>stderr &
    program=$!
}

fresh() {
    rm -rf out
    mkdir out
}

events() { # KIND: its lines
    cat out/*.jsonl | grep "\"event\": \"$1\""
}

has() { # KIND [PATTERN]
    events "$1" | grep -q -- "${2:-}"
}

# The stream's time against the machine's, before and after whatever happened: an event is never early, so the least
# difference of some is near the truth.
time_is_right() {
    cat out/*.jsonl | grep '"late_ms"' | grep -v turn_final | sed -E 's/.*"time": ([0-9.]+), "wall": "[^T]*T([0-9]+):([0-9]+):([0-9.]+)Z".*/\1 \2 \3 \4/' |
        awk -v most="$late" '{ wall = $2 * 3600 + $3 * 60 + $4; if (NR > 1 && wall < last - 40000) wall += 86400; last = wall; late[NR] = wall - $1 }
             END { half = int(NR / 2); for (i = 1; i <= NR; i++) { side = i > half; if (!(side in least) || late[i] < least[side]) least[side] = late[i] }
                   away = 1000 * (least[1] - least[0]); printf "%d events, %.1f ms\n", NR, away; exit !(NR > 7 && away < most && away > -most) }'
}

# By the last stats: no sound is lost, and every window, one each half second, was heard or is counted as left out. They are
# left out only when more than four seconds of sound wait, which `late_max_ms` then shows.
everything_counted() {
    events stats | tail -1 | sed -E 's/.*"time": ([0-9.]+).*"late_max_ms": ([0-9.]+).*"windows": ([0-9]+).*"dropped": ([0-9]+), "lost_s": ([0-9.]+).*/\1 \2 \3 \4 \5/' |
        awk '{ print "time, latest, windows, left out, lost:", $0; exit !(NF == 5 && $5 == 0 && $3 + $4 == 2 * $1 && ($4 == 0 || $2 > 3000)) }'
}

nothing_is_lost() {
    check "no gap" test -z "$(events gap)"
    check "all sound kept, every window counted" everything_counted
    check "the time line is right" time_is_right
}

# A turn begins where no sound was missing any more, or before any was.
speech_after_gap() {
    cat out/*.jsonl | sed -nE 's/.*"event": "(gap|turn_start)".*"start": ([0-9.]+), "end": ([0-9.]+).*/\1 \2 \3/p' |
        awk '{ print } $1 == "gap" { end = $3 } $1 == "turn_start" && end > 0 && $2 > end - 0.1 { after = 1 } END { exit !after }'
}

speech_before_gap() {
    cat out/*.jsonl | sed -nE 's/.*"event": "(gap|turn_start)".*"start": ([0-9.]+), "end": ([0-9.]+).*/\1 \2 \3/p' |
        awk '{ print } $1 == "gap" && !start { start = $2 } $1 == "turn_start" && !(start && $2 > start) { before = 1 } END { exit !(start && before) }'
}

left_out() {
    events stats | tail -1 | grep '"dropped": [1-9]'
}

start_server

# --- what there is ---
"$motet" devices >stdout 2>stderr
check "the monitor is listed, with a star" grep -q '^\* room.monitor  *48000 Hz  2 ch' stdout
check "the other one without" grep -q '^  call.monitor  *44100 Hz' stdout

"$motet" live --source nobody >stdout 2>stderr
check "no such source" grep -q 'nobody: no such source' stderr

# --- a session, recorded ---
fresh
play room
listen --source monitor --for 14s --record talk.flac --latency-report latency.csv
sleep 6
kill -USR1 $program
wait $program
check "it ends well" test $? = 0
check "SIGUSR1 prints the table" grep -q 'capture to event' stderr
check "speakers" has speaker_new
check "turns begin" has turn_start
check "and end" has turn_end
check "stats" has stats
check "no gap" test -z "$(events gap)"
check "the time line is right" time_is_right
check "final turns" grep -q '^SPEAKER live-' out/*.rttm
check "one row a window" test "$(wc -l <latency.csv)" -gt 20
"$motet" diarize --quiet --hop 0.5 talk.flac | cut -d' ' -f3- >again.rttm
cut -d' ' -f3- out/*.rttm >final.rttm
check "the recording holds what was heard" test "$(wc -l <again.rttm)" = "$(wc -l <final.rttm)"
stop_playing

# --- the server restarts ---
fresh
play room
listen --source monitor --for 16s
sleep 4
stop_server
sleep 2
start_server
play room
wait $program
check "a restarted server: it ends well" test $? = 0
check "the gap is told" has gap 'the server is gone'
check "speech before" speech_before_gap
check "and after it" speech_after_gap
check "the time line is right" time_is_right
stop_playing

# --- the device vanishes and comes back ---
fresh
play room
listen --source room.monitor --for 14s
sleep 4
pactl unload-module module-null-sink
sleep 2
pactl load-module module-null-sink sink_name=room rate=48000 >/dev/null
pactl load-module module-null-sink sink_name=call rate=44100 >/dev/null
play room
wait $program
check "a device that vanishes: it ends well" test $? = 0
check "the gap is told" has gap 'the device is gone'
check "speech after it" speech_after_gap
check "the time line is right" time_is_right
stop_playing

# --- the default moves ---
fresh
pactl set-default-sink room
play room
listen --source monitor --for 12s
sleep 4
pactl set-default-sink call
play call
wait $program
check "a default that moves: it ends well" test $? = 0
check "speech from the new one" speech_after_gap
check "the time line is right" time_is_right
stop_playing
pactl set-default-sink room

# --- the program is stopped for three seconds: nothing is lost ---
fresh
play room
listen --source monitor --for 14s
sleep 4
kill -STOP $program
sleep 3
kill -CONT $program
wait $program
check "stopped for three seconds: it ends well" test $? = 0
nothing_is_lost
stop_playing

# --- stopped for so long that the sound server's own buffers fill: all is heard, late or left out ---
fresh
play room
listen --source monitor --for 14s
sleep 4
kill -STOP $program
sleep 7
kill -CONT $program
wait $program
check "stopped for seven seconds: it ends well" test $? = 0
nothing_is_lost
stop_playing

# --- whoever reads the events stops reading: sound waits, windows are left out and counted, the clock and the order hold ---
# (a pipe that is full from the start; a program that was stopped itself may catch up as quickly as the server sends)
fresh
play room
mkfifo pipe
{ sleep 12; tail -c +65537; } <pipe >out/events.jsonl &
reader=$!
(head -c 65536 /dev/zero; exec "$motet" live --plain --format jsonl --source monitor --for 18s 2>stderr) >pipe
check "a reader who stops: it ends well" test $? = 0
wait $reader
check "windows are left out" left_out
nothing_is_lost
rm pipe
stop_playing

# --- the device is suspended for a while ---
fresh
play room
listen --source monitor --for 12s
sleep 4
pactl suspend-sink room 1
sleep 2
pactl suspend-sink room 0
wait $program
check "a suspended device: it ends well" test $? = 0
check "the gap is told" has gap 'the device is suspended'
check "speech after it" speech_after_gap
check "the time line is right" time_is_right
stop_playing

# --- the disk is full ---
mkdir small
if mount -t tmpfs -o size=64k tmpfs small 2>/dev/null; then
    fresh
    play room
    listen --source monitor --for 12s --record small/talk.flac
    wait $program
    check "a recording that fills its disk: the rest is done" test $? = 3
    check "why it ended is said" grep -q 'small/talk.flac: cannot write: No space left on device; the recording ends' stderr
    check "turns go on" sh -c 'grep -E "turn_(start|update|end)" out/*.jsonl | grep -qE "\"end\": ([6-9]|1[0-2])\."'
    check "and are written" grep -q '^SPEAKER live-' out/*.rttm
    check "the time line is right" time_is_right
    "$motet" diarize --quiet --partial small/talk.flac >part.rttm 2>stderr
    check "what was recorded can be read" test -s part.rttm
    stop_playing
    rm small/talk.flac
    fresh
    play room
    "$motet" live --plain --source monitor --for 12s --format jsonl --format rttm --output small >stdout 2>stderr &
    program=$!
    sleep 4
    head -c 100000 /dev/zero >small/filler 2>/dev/null
    wait $program
    check "events that fill their disk: it does not end well" test $? = 1
    check "why is said" grep -q 'cannot write: No space left on device' stderr
    check "what was written is whole lines but for the last" sh -c 'head -n -1 small/*.jsonl | grep -q "turn_start" && ! head -n -1 small/*.jsonl | grep -qv "^{.*}$"'
    stop_playing
    umount small
else
    echo "left out: a disk that is full, no tmpfs can be mounted"
fi
play room
"$motet" live --plain --source monitor --for 6s --format jsonl >/dev/full 2>stderr
check "events that cannot be written: partly done" test $? = 3
check "why is said, once" test "$(grep -c 'events: cannot write: No space left on device; going on without them' stderr)" = 1
stop_playing

# --- the program is killed: what was recorded is there up to the last seconds ---
fresh
play room
listen --source monitor --record talk.flac
sleep 10
kill -KILL $program
wait $program 2>/dev/null
"$motet" diarize --quiet --partial talk.flac --format json >part.json 2>stderr
check "the recording of a killed session" awk '/"duration"/ { gsub(/[^0-9.]/, "", $0); print; exit !($0 > 6.5) }' part.json
check "the events" sh -c 'head -n -1 out/*.jsonl | grep -q turn_start'
stop_playing

# --- two channels ---
fresh
play room
listen --source mic=room.monitor --source call=call.monitor --for 8s --record two.flac
wait $program
check "two channels: it ends well" test $? = 0
check "the one is heard" grep -q '"channel": "mic", "speaker": "SPEAKER_00"' out/*.jsonl
check "the other is silent" sh -c '! grep turn_start out/*.jsonl | grep -q call'
check "turns of the one" test -s out/live-*-mic.rttm
check "none of the other" test ! -s out/live-*-call.rttm
stop_playing

# --- two sources mixed ---
fresh
play call
listen --source room.monitor --source call.monitor --for 8s
wait $program
check "a mix: it ends well" test $? = 0
check "whoever speaks is heard" has turn_start
stop_playing

# --- ends ---
for signal in INT TERM; do
    fresh
    play room
    listen --source monitor
    sleep 5
    kill -$signal $program
    wait $program
    check "SIG$signal: it ends well" test $? = 0
    check "with final turns" has turn_final
    stop_playing
done

# Two signals that both wait when the program goes on, so that it cannot have ended of the first.
fresh
play room
listen --source monitor
sleep 5
kill -STOP $program
kill -INT $program
kill -TERM $program
kill -CONT $program
wait $program 2>/dev/null
check "a second signal ends it at once" test $? -gt 128
check "without final turns" sh -c '! grep -q turn_final out/*.jsonl'
check "and what was written is whole lines" sh -c '! head -n -1 out/*.jsonl | grep -v "^{.*}$"'
stop_playing

play room
env --default-signal=INT "$motet" live --plain --format jsonl --source monitor 2>stderr | head -2 >stdout
check "a reader who goes away" test "$(wc -l <stdout)" = 2
check "is no trouble" sh -c '! grep -v "SPEAKER_\|ms\|\*\|final\|  " stderr'
stop_playing

fresh
listen --source monitor --until-silence 2s
wait $program
check "silence ends it" test $? = 0

# --- known voices ---
"$motet" diarize --quiet --export-voices voices "$root/samples/conversation.flac" >/dev/null 2>stderr
sed -i 's/"conversation SPEAKER_00"/"Anna Müller"/' voices/*_00.json
sed -i 's/"conversation SPEAKER_01"/"王小明"/' voices/*_01.json
fresh
play room
listen --source monitor --for 24s --known voices
wait $program
check "known voices: it ends well" test $? = 0
check "a name is told" has speaker_name '"name": "Anna Müller"'
check "turns bear it from then on" sh -c 'grep turn_ out/*.jsonl | grep -v final | tail -20 | grep -q "\"name\": \"Anna Müller\""'
check "final turns bear it" grep -q ' Anna_Müller ' out/*.rttm
stop_playing

# --- the view, in a terminal ---
fits() { # COLUMNS ROWS: the picture is of that size, and all of it is there
    awk -v columns="$1" -v rows="$2" '
        length($0) > columns { print "a line of", length($0) > "/dev/stderr"; bad = 1 }
        /^motet live .*dB$/ { head = 1 } /Anna M.*ller .*\|.*[#=].*\|$/ { lane = 1 } /now\|$/ { axis = 1 } /\^C ends/ { status = NR == rows }
        END { print NR, head, lane, axis, status; exit bad || !(head && lane && axis && status) }'
}

take_picture() { # with a byte for every column of the names
    $terminal capture-pane -p | sed 's/ü/u/; s/王小明/xxxxxx/' >picture
}

lanes_in_line() {
    sed -n 's/^\(.*[0-9]:[0-9][0-9]\)|.*|$/\1/p' picture | awk '{ print; wrong += length($0) != 24 } END { exit wrong || NR < 2 }'
}

if command -v tmux >/dev/null; then
    fresh
    terminal="tmux -S $work/tmux"
    $terminal -u -f /dev/null new-session -d -x 80 -y 24 "$motet live --source monitor --known voices --output out; sleep 60"
    play room
    for _ in $(seq 60); do # until both have been heard for long enough
        take_picture
        grep -q Anna picture && grep -q xxxxxx picture && break
        sleep 0.5
    done
    check "the view at 80x24" fits 80 24 <picture
    check "its lanes stand in line" lanes_in_line
    $terminal resize-window -x 200 -y 60
    sleep 1.5
    take_picture
    check "the view at 200x60" fits 200 60 <picture
    check "its lanes stand in line" lanes_in_line
    $terminal send-keys C-c
    sleep 2
    take_picture
    check "the terminal as it was" sh -c '! grep -q "now|" picture && grep -q "capture to event" picture'
    check "^C ends with final turns" test -s out/live-*.rttm
    $terminal kill-server
    stop_playing
else
    echo "left out: the view, tmux is not installed"
fi

echo "$((cases - failures)) passed, $failures failed"
[ $failures = 0 ]
