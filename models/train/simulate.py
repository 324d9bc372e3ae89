"""Simulated conversations, endless and exactly labelled: what training and evaluation listen to.

A *scene* (12 s in training) is cut into windows of 3 s. It starts as a layout, a list of turns (who, from, to):
    real    an excerpt of a real reference ($MOTET_DATA/rttm: AMI meetings, VoxConverse) at 0.7 to 1.3 times its pace, so
            that turns, pauses, interjections and overlaps are those of people;
    quick   two or three speakers who take short turns with small gaps and overlaps, for many changes a window;
    solo    one speaker for each window, another in each, for learning voices; every second such scene has the same
            speakers as the one before, in another room and noise;
    empty   nobody, only noise.
Window borders fall anywhere in a turn, since excerpts start anywhere.

Turns are filled with speech of random speakers (mostly of one corpus, so that the microphone does not give the speaker
away; in every third scene of voices that the teacher of teacher.py finds alike), each speaker heard through a seat of one
small room and a tone control of its own, at its own loudness; in some scenes each on its own telephone. Then noise
(recorded, coloured, babble, knocks and whistles, loud pauses), and sometimes a telephone band, 8-bit mu-law, clipping, an
offset, or a gate that leaves digital silence where nobody speaks. Last a gain, and rounding to 16 bits.

Labels are the source's speech labels, every 10 ms: the room's echo after a word is not speech, nor is a speaker's pause.
"""

import numpy as np
import scipy.signal
import soundfile
import torch

from corpus import CACHE, DATA, RATE, STEP, runs
from rooms import LENGTH as ECHO
from rooms import SEATS, rooms

WINDOW, FRAMES = 48000, 150
BLOCK, FFT = 9984, 16384                        # overlap-add: a block and its echo fill the transform
IGNORE = 255
CLASS_OF_SET = np.array([0, 1, 2, 4, 3, 5, 6, IGNORE], np.uint8)       # index: bits of the slots that speak
NOISES_HELD_OUT = {"running_tap", "Shopping_Mall_Ambiance-SoundBible.com-1942498626"}


def convolve(signal, response):
    """A signal with a response given as its transform [FFT/2+1]: overlap-add in one batch of transforms."""
    blocks = -(-len(signal) // BLOCK)
    padded = torch.zeros(blocks * BLOCK)
    padded[:len(signal)] = torch.from_numpy(signal)
    y = torch.fft.irfft(torch.fft.rfft(padded.view(blocks, BLOCK), FFT) * response, FFT)
    out = y[:, :BLOCK].clone()
    out[1:, :ECHO] += y[:-1, BLOCK:]
    return out.view(-1)[:len(signal)].numpy()


def read_layouts():
    """Real references as arrays of turns (start, end, speaker number) in seconds, one array a recording."""
    layouts = []
    for path in sorted((DATA / "rttm").glob("*/*.rttm")):
        names, turns = {}, []
        for line in path.read_text().splitlines():
            field = line.split()
            if field[:1] == ["SPEAKER"]:
                start = float(field[3])
                turns.append((start, start + float(field[4]), names.setdefault(field[7], len(names))))
        layouts.append(np.array(sorted(turns)))
    return layouts


class Simulator:
    """`mix`: how often each kind of layout comes. `heldout`: strangers' voices and noises instead of those of training.
    `windows`: how many make a scene. `noise`: least and greatest dB of speech over noise. `corpora`: only these speakers.
    """

    SYNTHETIC = 0.25                            # share of scenes whose speakers are synthetic
    ALIKE, NEAREST = 0.35, 24                   # share of scenes whose speakers are alike; how many count as that

    def __init__(self, corpus, mix, seed, heldout=False, windows=4, noise=(4, 35), corpora=None):
        self.noise = noise
        self.corpus = corpus
        self.last(windows)
        self.kinds, self.odds = list(mix), np.array(list(mix.values())) / sum(mix.values())
        self.layouts = read_layouts()
        numbers = range(corpus.training, len(corpus.names)) if heldout else range(corpus.training)
        self.groups = {}
        for number in numbers:
            if corpora is None or corpus.corpora[number] in corpora:
                self.groups.setdefault(corpus.corpora[number], []).append(number)
        self.synthetic = self.groups.pop("synthetic", [])
        self.real = [n for group in self.groups.values() for n in group]
        self.recorded = [n for n in self.synthetic if not corpus.names[n].startswith("espeak")]
        teacher = CACHE / "teacher.npy"
        self.likeness = np.load(teacher) if teacher.exists() and not heldout else None
        setup = np.random.default_rng(7 + heldout)                    # the same rooms and noises for every worker
        seats = torch.from_numpy(rooms(100 if heldout else 250, 7 + heldout))
        self.rooms = torch.fft.rfft(seats, FFT)
        self.frequencies = np.maximum(np.arange(FFT // 2 + 1) * RATE / FFT, 50.0)
        self.noises = self.read_noises(setup, heldout)
        self.rng = np.random.default_rng([seed, 99])
        self.twins = None

    def last(self, windows):
        """From now on a scene lasts so many windows: at most as many as the simulator was made for."""
        self.count, self.length = windows, windows * WINDOW

    # -- parts ---------------------------------------------------------------------------------------------------

    def read_noises(self, rng, heldout):
        """Five lists of signals, each at least as long as a scene, at unit loudness."""
        recorded = []
        for path in sorted((DATA / "noise").glob("*.flac")):
            if (path.stem in NOISES_HELD_OUT) == heldout:
                audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
                audio = scipy.signal.resample_poly(audio[:, 0], RATE, rate) if rate != RATE else audio[:, 0]
                recorded.append(np.tile(audio, 1 + self.length // len(audio)))
        coloured = []
        for _ in range(20):
            spectrum = np.fft.rfft(rng.normal(0, 1, 2 * self.length))
            slope = np.maximum(np.arange(len(spectrum)), 100.0) ** -rng.uniform(-0.3, 1.2)
            wobble = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, 12), rng.uniform(-1, 1, 12))
            coloured.append(np.fft.irfft(spectrum * slope * 10 ** (wobble * 0.5)))
        babble = []
        for _ in range(16):
            self.rng = rng
            voices = [self.speech(int(s), self.length // STEP)[0] for s in rng.choice(self.real, rng.integers(4, 9))]
            babble.append(sum(voices))
        events = [self.events(rng) for _ in range(24)]
        pauses = [self.pauses(rng) for _ in range(48)]
        return [[(n / np.sqrt(np.square(n).mean())).astype(np.float32) for n in group]
                for group in (recorded, coloured, babble, events, pauses)]

    def pauses(self, rng):
        """What microphones hear when nobody speaks: pauses of many speakers' recordings (breath, lips, clicks, chairs, the
        room), made loud."""
        parts, have = [], 0
        while have < self.length:
            files = self.corpus.of_speaker[int(rng.choice(self.real))]
            start, length = files[rng.integers(len(files))]
            for first, end in runs(self.corpus.speech[start // STEP:(start + length) // STEP] == 0):
                if end - first < 20:
                    continue
                sound = self.corpus.samples[start + first * STEP:start + end * STEP].astype(np.float32)
                sound *= 10 ** rng.normal(0, 0.3) / (np.sqrt(np.square(sound).mean()) + 1)
                sound[:80] *= np.linspace(0, 1, 80)
                sound[-80:] *= np.linspace(1, 0, 80)
                parts.append(sound)
                have += len(sound)
        return np.concatenate(parts)

    def events(self, rng):
        """Sudden sounds that are not speech, over a hiss: knocks, rustling and whistles of 10 ms to 1 s."""
        signal = rng.normal(0, 0.002, self.length)
        for _ in range(rng.integers(self.length // 16000, self.length // 4000)):
            count = int(RATE * np.exp(rng.uniform(np.log(0.01), np.log(1.0))))
            time = np.arange(count) / count
            if rng.random() < 0.25:
                pitch = np.exp(rng.uniform(np.log(150), np.log(4000))) * (1 + rng.uniform(-0.3, 0.3) * time)
                sound = sum(rng.random() * np.sin(h * 2 * np.pi * np.cumsum(pitch) / RATE) for h in (1, 2, 3))
            else:
                centre, width = np.exp(rng.uniform(np.log(80), np.log(6000))), rng.uniform(0.2, 2)
                octaves = np.log2(np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20) / centre)
                sound = np.fft.irfft(np.fft.rfft(rng.normal(0, 1, count)) * np.exp(-(octaves / width) ** 2), count)
            sound *= np.exp(-time * rng.uniform(0, 8)) * np.minimum(1, time * rng.uniform(5, 200))
            start = rng.integers(self.length - count)
            signal[start:start + count] += sound / (np.sqrt(np.square(sound).mean()) + 1e-9) * 10 ** rng.normal(-1, 0.4)
        return signal

    def speech(self, speaker, frames):
        """`frames` x 10 ms of one speaker, from where a word begins, at unit loudness, and its labels."""
        audio, labels = np.zeros(frames * STEP, np.float32), np.zeros(frames, bool)
        files, have = self.corpus.of_speaker[speaker], 0
        while have < frames:
            start, length = files[self.rng.integers(len(files))]
            heard = self.corpus.speech[start // STEP:(start + length) // STEP]
            onsets = runs(heard)
            if len(onsets) == 0:
                continue
            first, end = onsets[self.rng.integers(len(onsets))]
            if end - first > 150 and self.rng.random() < 0.5:         # into the middle of a long run of speech
                first += self.rng.integers(end - first - 100)
            count = min(len(heard) - first, frames - have)
            begin = start + first * STEP
            audio[have * STEP:(have + count) * STEP] = self.corpus.samples[begin:begin + count * STEP]
            labels[have:have + count] = heard[first:first + count]
            have += count
        audio[-80:] *= np.linspace(1, 0, 80, dtype=np.float32)
        loudness = np.sqrt(np.square(audio.reshape(frames, STEP)[labels]).mean())
        return audio / max(loudness, 1.0), labels

    def pick(self, count):
        """Different speakers: synthetic ones, or real ones of one corpus, or any real ones."""
        chance = self.rng.random()
        if chance < self.SYNTHETIC and self.synthetic:
            pool = self.synthetic if self.rng.random() < 0.5 else self.recorded      # made of people's recordings
        elif chance < 0.65:
            weights = np.array([len(g) for g in self.groups.values()], float)
            names = list(self.groups)
            pool = self.groups[names[self.rng.choice(len(names), p=weights / weights.sum())]]
        else:
            pool = self.real
        if len(pool) < count:
            pool = self.real
        if self.likeness is not None and 1 < count < self.NEAREST < len(pool) and self.rng.random() < self.ALIKE:
            pool = np.asarray(pool)
            alike = self.likeness[pool] @ self.likeness[self.rng.choice(pool)]
            pool = pool[np.argsort(-alike)[:self.NEAREST]]
        return self.rng.choice(pool, count, replace=False)

    # -- layouts: [(start, end, who)] in 10 ms frames of the scene ----------------------------------------------------

    def layout(self, kind):
        rng, whole = self.rng, self.length // STEP
        if kind == "empty":
            return []
        if kind == "solo":
            spans = rng.integers(150, 301, self.count)
            return [(s, s + n, k) for k, n in enumerate(spans) for s in [300 * k + rng.integers(0, 301 - n)]]
        if kind == "quick":
            count, turns, last = rng.integers(1, 4), [], 0
            reach, who = -rng.integers(0, 200), 0
            while reach < whole:
                start = reach + int(rng.normal(-30, 80))                      # a fifth of the speech overlaps
                end = start + int(np.exp(rng.normal(4.9, 0.7)))                # median 1.3 s
                turns.append((start, end, who))
                reach, last = max(reach, end), who
                who = rng.integers(count) if count < 2 else (last + rng.integers(1, count)) % count
        else:
            reference = self.layouts[rng.integers(len(self.layouts))]
            pace = rng.uniform(0.7, 1.3)
            begin = rng.uniform(0, max(reference[:, 1].max() - whole / 100 / pace, 1))
            turns = [((a - begin) * 100 * pace, (b - begin) * 100 * pace, who) for a, b, who in reference]
        clipped = [(max(0, int(a)), min(whole, int(b)), int(who)) for a, b, who in turns]
        return [(a, b, who) for a, b, who in clipped if b - a >= 15]

    # -- a scene --------------------------------------------------------------------------------------------------

    def scene(self):
        """-> samples int16, labels [speakers, samples/160] bool, corpus numbers of the speakers."""
        rng = self.rng
        kind = self.kinds[rng.choice(len(self.kinds), p=self.odds)]
        turns = self.layout(kind)
        present = sorted({who for _, _, who in turns})
        if kind == "solo" and self.twins is not None:
            speakers, self.twins = self.twins, None
        else:
            speakers = self.pick(len(present)) if present else np.zeros(0, int)
            self.twins = speakers if kind == "solo" else self.twins
        labels = np.zeros((len(present), self.length // STEP), bool)
        mixture = np.zeros(self.length, np.float32)
        room = self.random_room()
        toned, calls = rng.random() < 0.6, rng.random() < 0.08
        spread = 8 if rng.random() < 0.25 else 4                      # dB: some sit far from the microphone
        for row, who in enumerate(present):
            track = np.zeros(self.length, np.float32)
            for start, end, other in turns:
                if other == who:
                    audio, heard = self.speech(int(speakers[row]), end - start)
                    track[start * STEP:end * STEP] = audio * 10 ** rng.uniform(-0.1, 0.1)
                    labels[row, start:end] = heard
            voice = self.heard(track, room, row, toned)
            mixture += (self.telephone(voice) if calls else voice) * 10 ** (rng.normal(0, spread) / 20)
        if present:
            heard = mixture.reshape(-1, STEP)[labels.any(0)]
            mixture /= np.sqrt(np.square(heard).mean()) + 1e-9 if len(heard) else 1.0
        return self.channel(mixture, labels), labels, speakers

    def random_room(self):
        """The seats of a room, or None: no room at all."""
        return self.rooms[self.rng.integers(len(self.rooms))] if self.rng.random() < 0.5 else None

    def heard(self, track, room, seat, toned):
        """A voice through its seat of the room and its tone control."""
        if room is None and not toned:
            return track
        response = room[seat % SEATS] if room is not None else torch.ones(FFT // 2 + 1)
        return convolve(track, response * self.tone() if toned else response)

    def tone(self):
        """A gentle tone control: a tilt and two broad bumps, as gains per frequency."""
        octaves = np.log2(self.frequencies / 1000)
        gain = octaves * self.rng.normal(0, 1.5)
        for _ in range(2):
            gain = gain + self.rng.normal(0, 4) * np.exp(-(octaves - self.rng.uniform(-3, 3)) ** 2)
        return torch.from_numpy((10 ** (gain / 20)).astype(np.float32))

    def telephone(self, signal):
        low, high = self.rng.uniform(150, 350), self.rng.uniform(3000, 3800)
        band = scipy.signal.butter(4, [low, high], "band", fs=RATE, output="sos")
        return scipy.signal.sosfilt(band, signal).astype(np.float32)

    def channel(self, mixture, labels):
        """Noise, gate, band, distortion, level: from speech at unit loudness to what a sound card delivers."""
        rng = self.rng
        chance = rng.random()
        if chance < 0.8 or not labels.any():
            group = self.noises[np.searchsorted([0.2, 0.32, 0.42, 0.58], chance)]
            noise = group[rng.integers(len(group))]
            start = rng.integers(len(noise) - self.length + 1)
            mixture = mixture + noise[start:start + self.length] * 10 ** (-rng.uniform(*self.noise) / 20)
        if rng.random() < 0.15:
            reach = rng.integers(1, 30)
            keep = np.convolve(labels.any(0), np.ones(2 * reach + 1), "same") > 0
            mixture = mixture * np.repeat(keep, STEP).astype(np.float32)
        if rng.random() < 0.12:
            mixture = self.telephone(mixture)
        peak = np.abs(mixture).max() + 1e-9
        if rng.random() < 0.08:
            mixture = np.clip(mixture, -peak * rng.uniform(0.1, 0.6), peak * rng.uniform(0.1, 0.6))
        if rng.random() < 0.08:
            pressed = np.sign(mixture) * np.log1p(255 * np.abs(mixture) / peak) / np.log(256)
            pressed = np.rint(pressed * 127) / 127
            mixture = (np.sign(pressed) * np.expm1(np.abs(pressed) * np.log(256)) / 255 * peak).astype(np.float32)
        level = 10 ** rng.uniform(-2.2, -0.5)                                    # loudest sample: -44 to -10 dB
        mixture = mixture * (level / peak)
        if rng.random() < 0.05:
            mixture = mixture + rng.uniform(-0.02, 0.02)
        return np.clip(np.rint(mixture * 32768), -32768, 32767).astype(np.int16)

    # -- windows --------------------------------------------------------------------------------------------------

    def windows(self):
        """A scene cut up: samples [W,48000] int16, powerset classes [W,150] uint8, speakers of slots [W,3].

        Slots are in order of appearance. A window with more than three speakers keeps the three that talk most; frames in
        which another or three at once are heard are IGNOREd. The label of a 20 ms frame is that of its first half.
        A slot is -1 where nobody is, and where a speaker is alone for less than 0.4 s: too little for a voice.
        """
        samples, labels, speakers = self.scene()
        classes = np.zeros((self.count, FRAMES), np.uint8)
        slots = np.full((self.count, 3), -1, np.int64)
        for w in range(self.count):
            heard = labels[:, 2 * FRAMES * w:2 * FRAMES * (w + 1):2]
            order = [k for k in np.argsort(-heard.sum(1), kind="stable") if heard[k].any()]
            kept = sorted(order[:3], key=lambda k: np.argmax(heard[k]))
            bits = sum((heard[k].astype(int) << s for s, k in enumerate(kept)), np.zeros(FRAMES, int))
            classes[w] = CLASS_OF_SET[bits]
            classes[w][heard[order[3:]].any(0)] = IGNORE
            for s, k in enumerate(kept):
                if np.count_nonzero(classes[w] == CLASS_OF_SET[1 << s]) >= 20:
                    slots[w, s] = speakers[k]
        return samples.reshape(self.count, WINDOW), classes, slots
