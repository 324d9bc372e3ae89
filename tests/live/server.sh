# Sourced: a private PulseAudio with two null sinks, room and call, in a folder of its own, $work, which becomes the
# current one. Ends with 77 where PulseAudio's programs are not installed. Needs $root; everything ends with the script.
for program in pulseaudio pactl paplay; do
    command -v $program >/dev/null || { echo "skipped: $program is not installed (Debian: pulseaudio, pulseaudio-utils)"; exit 77; }
done
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work HOME=$work PULSE_SERVER=unix:$work/native PULSE_COOKIE=$work/cookie
cd "$work" || exit 1
server= programs=()
cleanup() {
    kill $server "${programs[@]}" 2>/dev/null
    wait 2>/dev/null
    umount "$work/small" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT

start_server() {
    rm -f native
    pulseaudio -n --daemonize=no --exit-idle-time=-1 --use-pid-file=no --disable-shm=yes --log-target=null \
        -L "module-native-protocol-unix auth-anonymous=1 socket=$work/native" \
        -L "module-null-sink sink_name=room rate=48000" -L "module-null-sink sink_name=call rate=44100" &
    server=$!
    for _ in $(seq 100); do
        pactl info >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "FAILED: the sound server does not start"
    exit 1
}

stop_server() {
    kill $server
    wait $server 2>/dev/null
}

play() { # SINK: the sample conversation, from its beginning
    paplay --device="$1" "$root/samples/conversation.flac" >/dev/null 2>&1 &
    programs+=($!)
    disown
}

stop_playing() {
    kill "${programs[@]}" 2>/dev/null
    programs=()
    sleep 0.3
}
