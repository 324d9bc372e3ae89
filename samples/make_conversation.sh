#!/bin/sh
# Makes samples/conversation.flac and samples/conversation.rttm: four synthetic voices plan a concert of motets.
#
# Every utterance is spoken on its own by a speech synthesiser and brought to 16 kHz. Its frames of 10 ms are measured:
# the ones less than 42 dB below the loudest are speech. The silence before the first and after the last is cut away, so
# that the utterance begins and ends with speech; a quiet stretch inside it of 0.25 s or more ends one turn and begins
# the next. Then it is placed on the time line, a whole number of frames after the utterance before it (or before that
# one's end: an overlap). So the reference is exact to one frame by construction, and every run makes the same bytes.
#
# Needs espeak-ng, flite, festival, sox and flac: all from Debian. Usage: samples/make_conversation.sh [FOLDER]
set -eu
LC_ALL=C
export LC_ALL
out=${1:-$(dirname "$0")}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# speaker|seconds after the end of what was said before (negative: an overlap)|level in dB|words
script() {
    cat <<'END'
cecilia|0.50|-4|Good evening, everyone. Tonight we choose the motets for our summer concert.
alec|0.35|-1|I would begin with Josquin. His Ave Maria opens like a door in the morning.
fay|0.30|0|That is lovely, but can we sing it with only eight voices?
alec|0.25|-1|We can. There are four parts, so that is two singers to a part.
karl|-0.80|0|Two basses are not enough if one of them has a cold again.
cecilia|0.40|-4|Karl, we shall wrap you in a blanket until the day itself.
fay|0.20|0|What about Thomas Tallis and his famous piece? People always ask for the one with forty voices.
karl|-0.90|0|Forty voices and we are only eight, who would sing the rest?
cecilia|0.45|-4|Let us stay with what we have. Byrd wrote for four parts too.
alec|0.30|-1|Then Ave verum corpus, in the middle, very slow and very quiet.
fay|-0.85|0|I was hoping for that one, I have wanted to sing it for years.
karl|0.50|0|The church has a long echo, fast music will turn into soup there.
alec|0.25|-1|So we put the fast pieces where the audience sits close to us.
cecilia|-0.60|-4|Good thinking. And the slow ones up in the gallery.
fay|0.35|0|Should somebody explain the Latin before each piece?
cecilia|0.20|-4|Only one sentence each. The music ought to speak for itself.
karl|-0.95|0|I can print the words with a translation beside them.
alec|0.55|-1|Splendid. And we end with Bruckner, so that they go home shaken.
fay|0.30|0|Then the sopranos will need a glass of water before the end.
karl|-0.50|0|And the basses will need something stronger than water.
cecilia|0.40|-4|Agreed. We rehearse on Tuesday at seven. Thank you, all of you.
END
}

# speak SPEAKER WORDS FILE: the words as a WAV file at the synthesiser's own rate.
speak() {
    case $1 in
    cecilia) flite -voice slt -t "$2" -o "$3" ;;
    alec) flite -voice awb --setf duration_stretch=0.92 -t "$2" -o "$3" ;;
    karl) echo "$2" | text2wave -eval '(voice_kal_diphone)' -o "$3" ;;
    fay) espeak-ng -v en-us+f3 -s 165 -w "$3" "$2" ;;
    esac
}

# samples FILE: its samples at 16 kHz, one a line, for awk.
samples() {
    sox "$1" -t dat - | awk '!/^;/ { print $2 }'
}

# frames: reads samples, writes the turns of speech in them as "first-frame end-frame" lines.
frames() {
    awk '
        { energy += $1 * $1 }
        NR % 160 == 0 { level[n++] = energy; if (energy > loudest) loudest = energy; energy = 0 }
        END {
            floor = loudest * 10 ^ (-42 / 10)
            for (i = 0; i < n; i++) {
                if (level[i] < floor) continue
                if (!open) { first = i; open = 1 }
                else if (i - last > 25) { print first, last + 1; first = i }
                last = i
            }
            print first, last + 1
        }'
}

clock=0 # frames of 10 ms: where everything said so far has ended
number=0
script >"$work/script"
while IFS='|' read -r speaker after level words; do
    number=$((number + 1))
    piece=$work/$(printf %02d $number).wav
    speak "$speaker" "$words" "$work/spoken.wav"
    sox -D "$work/spoken.wav" -r 16000 -c 1 -b 16 "$work/level.wav" gain -3 highpass 60 gain -n -6
    samples "$work/level.wav" | frames >"$work/turns"
    first=$(awk 'NR == 1 { print $1 }' "$work/turns")
    end=$(awk 'END { print $2 }' "$work/turns")
    start=$(awk -v clock=$clock -v after="$after" 'BEGIN { printf "%d", clock + after * 100 + 0.5 }')
    sox -D "$work/level.wav" "$piece" trim $((first * 160))s $(((end - first) * 160))s gain "$level" pad $((start * 160))s 0
    awk -v speaker="$speaker" -v shift=$((start - first)) '{
        printf "SPEAKER conversation 1 %.2f0 %.2f0 <NA> <NA> %s <NA> <NA>\n", ($1 + shift) / 100, ($2 - $1) / 100, speaker
    }' "$work/turns" >>"$work/rttm"
    if [ $((start + end - first)) -gt $clock ]; then clock=$((start + end - first)); fi
done <"$work/script"

# A quiet room under it all: pink noise some 40 dB below the speech, with half a second of it at either end.
seconds=$(awk -v clock=$clock 'BEGIN { printf "%.2f", (clock + 50) / 100 }')
sox -R -n -r 16000 -c 1 -b 16 "$work/room.wav" synth "$seconds" pinknoise lowpass 4000 gain -46
set --
for piece in "$work"/[0-9]*.wav; do set -- "$@" -v 1 "$piece"; done
sox -D -m "$@" -v 1 "$work/room.wav" -b 16 "$work/conversation.wav"
flac --silent --best --force --no-padding -o "$out/conversation.flac" "$work/conversation.wav"
sort -s -k 4,4n "$work/rttm" >"$out/conversation.rttm"
