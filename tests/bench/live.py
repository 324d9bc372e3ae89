#!/usr/bin/env python3
"""The bars of a live session, one table.

    live.py MOTET [accuracy] [latency] [memory] [--folder F] [--minutes N] [--hours N]       default: accuracy latency

accuracy: the recordings of the folder ($MOTET_DATA/conversations unless --folder) through `diarize --realtime` at 0.5, 1, 2
and 5 s latency: pooled DER of the turns as they were shown, of the final turns, and of a file at the same hop; the share of
shown frames whose label changed later without a merge, and, for what it is worth, the share that the final turns label
otherwise (speakers mapped as scoring does).
latency: ten minutes (--minutes) of `motet live` on a null sink of a private PulseAudio (as tests/live has it), the recordings
playing into it: capture to event, misses, drops, CPU.
memory: six hours (--hours) of the recordings over and over at --speed 20, which takes eighteen minutes: resident memory after
ten minutes of them and at the end.
"""
import argparse
import glob
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
CONVERSATIONS = os.path.join(os.environ.get("MOTET_DATA", os.path.join(ROOT, "../shared/data")), "conversations")


def row(name, figure, bar=""):
    print(f"{name:<62} {figure:>12}   {bar}")


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options)


def pooled(motet, reference, hypothesis):
    """DER in percent."""
    report = json.loads(run(motet, "score", "--format", "json", reference, hypothesis).stdout)
    return report["pooled"]["der_percent"]


def accuracy(motet, options):
    recordings = sorted(glob.glob(os.path.join(options.folder, "*.flac")))
    with tempfile.TemporaryDirectory() as work:
        offline = os.path.join(work, "offline")
        run(motet, "diarize", "--quiet", "--hop", "0.5", "--output", offline, *recordings)
        base = pooled(motet, options.folder, offline)
        row("a file, hop 0.5 s: DER, %", f"{base:.2f}")
        for latency, allowed in ((0.5, None), (1, 6), (2, None), (5, 2)):
            final, shown = os.path.join(work, f"final{latency}"), os.path.join(work, f"shown{latency}")
            os.makedirs(shown)
            frames = flips = 0
            for recording in recordings:
                name = os.path.splitext(os.path.basename(recording))[0]
                run(motet, "diarize", "--quiet", "--realtime", "--speed", "1000", "--latency", str(latency), "--format", "jsonl",
                    "--format", "rttm", "--output", final, recording)
                with open(os.path.join(final, name + ".jsonl")) as events:
                    made = run(sys.executable, os.path.join(HERE, "live_turns.py"), name, stdin=events)
                with open(os.path.join(shown, name + ".rttm"), "w") as out:
                    out.write(made.stdout)
                counts = [int(n) for n in made.stderr.split()]
                frames, flips = frames + counts[0], flips + counts[1]
            live, end = pooled(motet, options.folder, shown), pooled(motet, options.folder, final)
            bar = f"(bar {base + allowed:.2f})" if allowed else ""
            row(f"live, {latency} s latency: DER, %", f"{live:.2f}", bar)
            row("    final turns: DER, %", f"{end:.2f}", f"(bar {base - 0.5:.2f} to {base + 0.5:.2f})")
            row("    shown frames that changed without a merge, %", f"{100 * flips / max(frames, 1):.2f}", "(bar 2)")
            otherwise = json.loads(run(motet, "score", "--format", "json", final, shown).stdout)["pooled"]
            row("    shown otherwise than in the final turns, %", f"{100 * otherwise['confusion_s'] / max(otherwise['scored_s'], 1e-9):.2f}")


class Server:
    """A private PulseAudio with a null sink, and speech that plays into it."""

    def __init__(self, work):
        self.environment = dict(os.environ, XDG_RUNTIME_DIR=work, HOME=work, PULSE_SERVER=f"unix:{work}/native",
                                PULSE_COOKIE=f"{work}/cookie")
        self.process = subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes",
             "--log-target=null", "-L", f"module-native-protocol-unix auth-anonymous=1 socket={work}/native", "-L",
             "module-null-sink sink_name=room rate=48000"], env=self.environment)
        for _ in range(100):
            if subprocess.run(["pactl", "info"], env=self.environment, capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        raise SystemExit("the sound server does not start")

    def play(self, folder):
        loop = f'while :; do for f in {shlex.quote(folder)}/*.flac; do paplay --device=room "$f"; done; done'
        return subprocess.Popen(["bash", "-c", loop], env=self.environment, start_new_session=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def latency(motet, options):
    seconds = round(60 * options.minutes)
    with tempfile.TemporaryDirectory() as work:
        server = Server(work)
        player = server.play(options.folder)
        try:
            program = subprocess.Popen([motet, "live", "--plain", "--quiet", "--source", "monitor", "--for", f"{seconds}s", "--format",
                                        "jsonl"], env=server.environment, stdout=subprocess.PIPE, text=True)
            stats = [event for event in map(json.loads, program.stdout) if event["event"] == "stats"][-1]
            _, _, used = os.wait4(program.pid, 0)
        finally:
            os.killpg(player.pid, 15)
            server.process.terminate()
            server.process.wait()
        row(f"live for {seconds} s: windows", stats["windows"])
        row("    capture to event, P50, ms", f"{stats['late_p50_ms']:.1f}", "(bar 15)")
        row("    capture to event, P99, ms", f"{stats['late_p99_ms']:.1f}", "(bar 60)")
        row("    capture to event, max, ms", f"{stats['late_max_ms']:.1f}")
        row("    misses, drops", f"{stats['misses']}, {stats['dropped']}", "(bar 0, 0)")
        row("    CPU, % of one core", f"{100 * (used.ru_utime + used.ru_stime) / seconds:.2f}", "(bar 5)")


def resident(pid):
    """MB: all of it, and what is not a file's."""
    with open(f"/proc/{pid}/status") as status:
        found = dict(re.findall(r"^(VmRSS|RssAnon):\s+(\d+)", status.read(), re.M))
    return int(found["VmRSS"]) / 1024, int(found["RssAnon"]) / 1024


def memory(motet, options):
    hours = options.hours
    with tempfile.TemporaryDirectory(dir="/var/tmp") as work:
        audio, seconds = os.path.join(work, "long.flac"), int(3600 * hours)
        run(os.path.join(os.path.dirname(motet), "tests", "join_audio"), audio, str(seconds), *sorted(glob.glob(options.folder + "/*.flac")))
        program = subprocess.Popen([motet, "diarize", "--quiet", "--realtime", "--speed", "20", "--format", "jsonl", audio],
                                   stdout=subprocess.PIPE, text=True)
        early = late = most = None
        for line in program.stdout:
            event = json.loads(line)
            if event["event"] != "stats" or event["time"] > seconds - 15:
                continue
            now = resident(program.pid)
            if event["time"] >= 600:
                early = early or now
                late, most = now, max(most or now, now)
        program.wait()
        row(f"{hours} h at --speed 20: resident after ten minutes, MB", f"{early[0]:.1f}", f"({early[1]:.1f} not a file's)")
        row("    at the end, before the global pass, MB", f"{late[0]:.1f}", f"({late[1]:.1f} not a file's)")
        row("    growth, MB", f"{late[0] - early[0]:.1f}", "(bar 10)")
        row("    the most in between (background passes), MB", f"{most[0]:.1f}")


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("motet")
    parser.add_argument("tables", nargs="*", choices=["accuracy", "latency", "memory", []])
    parser.add_argument("--folder", default=CONVERSATIONS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--hours", type=float, default=6)
    options = parser.parse_args()
    for table in options.tables or ["accuracy", "latency"]:
        globals()[table](os.path.abspath(options.motet), options)


main()
