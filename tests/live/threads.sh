#!/bin/bash
# Live sessions under the thread sanitizer, from a file and from a real PulseAudio that is restarted meanwhile: the ring,
# capture, the work, the passes in the background, recording, signals. No race may be reported but libpulse's own
# (libpulse.supp). Windows are few, because the network takes fifty times as long; what comes of them is live.sh's matter.
#   threads.sh MOTET         MOTET is built with -fsanitize=thread
set -u
motet=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export TSAN_OPTIONS="exitcode=66 history_size=4 suppressions=$here/libpulse.supp"
failures=0
clean() { # WHAT STATUS
    [ "$2" = 0 ] && ! grep -q "WARNING: ThreadSanitizer" stderr && return
    failures=$((failures + 1))
    echo "FAILED: $1 (status $2)"
    grep -m 3 -A 40 "WARNING: ThreadSanitizer" stderr || tail -5 stderr
}
few=(--hop 1.5 --latency 1.5 --refine 10)

from_file() {
    "$motet" diarize --realtime --speed 50 "${few[@]}" --format jsonl "$root/samples/conversation.flac" >stdout 2>stderr
    clean "from a file" $?
    grep -q turn_final stdout || { failures=$((failures + 1)); echo "FAILED: no turns"; }
}

from_server() { # SOURCES...
    rm -rf out
    play room
    env --default-signal=INT "$motet" live --plain "${few[@]}" "$@" --record talk.flac --format jsonl --format rttm --output out 2>stderr &
    program=$!
    sleep 6
    kill -USR1 $program
    stop_server
    sleep 1
    start_server
    play room
    sleep 9
    kill -INT $program
    wait $program
    clean "from $*" $?
    grep -q '"the server is gone"' out/*.jsonl || { failures=$((failures + 1)); echo "FAILED: no gap"; }
    stop_playing
}

cd "$(mktemp -d)" && from_file && rm -f stdout stderr && rmdir "$PWD" && cd "$root" || exit 1
if command -v pulseaudio >/dev/null; then
    . "$here/server.sh"
    start_server
    from_server --source monitor
    from_server --source mic=room.monitor --source call=call.monitor
else
    echo "left out: sources of a sound server, pulseaudio is not installed"
fi
[ $failures = 0 ]
