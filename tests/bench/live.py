#!/usr/bin/env python3
"""The bars of a live session, one table.

    live.py MOTET [accuracy] [latency [SECONDS]] [memory [HOURS]]        default: accuracy latency

accuracy: $MOTET_DATA/conversations through `diarize --realtime` at 0.5, 1, 2 and 5 s latency: pooled DER of the turns as they
were shown, of the final turns, and of a file at the same hop; the share of shown frames whose label changed later without a
merge, and, for what it is worth, the share that the final turns label otherwise (speakers mapped as scoring does).
latency: ten minutes of `motet live` on a null sink of a private PulseAudio (as tests/live has it): capture to event, CPU.
memory: hours of the conversations over and over at --speed 20: resident memory after ten minutes and at the end. With a third
of an hour it takes a minute; six hours take eighteen.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
DATA = os.path.join(os.environ.get("MOTET_DATA", os.path.join(ROOT, "../shared/data")), "conversations")


def row(name, figure, bar=""):
    print(f"{name:<62} {figure:>12}   {bar}")


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options)


def pooled(motet, reference, hypothesis):
    """DER in percent."""
    report = json.loads(run(motet, "score", "--format", "json", reference, hypothesis).stdout)
    return report["pooled"]["der_percent"]


def accuracy(motet):
    recordings = sorted(glob.glob(os.path.join(DATA, "*.flac")))
    with tempfile.TemporaryDirectory() as work:
        offline = os.path.join(work, "offline")
        run(motet, "diarize", "--quiet", "--hop", "0.5", "--output", offline, *recordings)
        base = pooled(motet, DATA, offline)
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
            live, end = pooled(motet, DATA, shown), pooled(motet, DATA, final)
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

    def play(self):
        loop = f'while :; do for f in {DATA}/*.flac; do paplay --device=room "$f"; done; done'
        return subprocess.Popen(["bash", "-c", loop], env=self.environment, start_new_session=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def latency(motet, seconds=600):
    with tempfile.TemporaryDirectory() as work:
        server = Server(work)
        player = server.play()
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


def memory(motet, hours=6):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as work:
        audio, seconds = os.path.join(work, "long.flac"), int(3600 * hours)
        run(os.path.join(os.path.dirname(motet), "tests", "join_audio"), audio, str(seconds), *sorted(glob.glob(DATA + "/*.flac")))
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
    motet, wanted = os.path.abspath(sys.argv[1]), sys.argv[2:] or ["accuracy", "latency"]
    while wanted:
        name = wanted.pop(0)
        argument = [float(wanted.pop(0))] if wanted and re.fullmatch(r"[0-9.]+", wanted[0]) else []
        {"accuracy": accuracy, "latency": lambda m, s=600: latency(m, int(s)), "memory": memory}[name](motet, *argument)


main()
