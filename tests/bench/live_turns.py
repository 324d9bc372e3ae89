#!/usr/bin/env python3
"""From the events of a live session to RTTM: the turns as they were shown, merges applied.

    live_turns.py FILE_ID <events.jsonl >shown.rttm       the last line on stderr: shown frames, and how many of them lost
                                                          or changed their label later without a merge
"""
import json
import sys

FRAME = 0.02


def main():
    file_id = sys.argv[1]
    turns, into, shown, flips = {}, {}, {}, 0

    def stands_for(speaker):
        while speaker in into:
            speaker = into[speaker]
        return speaker

    for line in sys.stdin:
        event = json.loads(line)
        kind = event["event"]
        if kind == "speaker_merge":
            into[event["speaker"]] = event["into"]
        if kind not in ("turn_start", "turn_update", "turn_end"):
            continue
        before = turns.get(event["turn"])
        if before and before["speaker"] != event["speaker"]:
            flips += round((before["end"] - before["start"]) / FRAME)
        elif before:
            lost = max(0, before["end"] - event["end"]) + max(0, event["start"] - before["start"])
            flips += round(lost / FRAME)
        turns[event["turn"]] = event
    frames = 0
    for turn in turns.values():
        frames += round((turn["end"] - turn["start"]) / FRAME)
        length = turn["end"] - turn["start"]
        if length > 0:
            print(f"SPEAKER {file_id} 1 {turn['start']:.3f} {length:.3f} <NA> <NA> {stands_for(turn['speaker'])} <NA> <NA>")
    print(frames, flips, file=sys.stderr)


main()
