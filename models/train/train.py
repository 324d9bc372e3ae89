"""Trains the network on simulated scenes, in two stages, resuming from its last checkpoint when there is one.

    python models/train/train.py --steps 7500           # out/train/last.pt, log on standard output
    python models/train/train.py --network w2v --name w2v --tutor models/motet-cnn.onnx

Stage one (the first 40 % of the steps) is mostly single voices, so that the trunk learns what tells people apart; stage
two is mostly conversations. Both stages have all four losses:

    activity   cross-entropy over the seven powerset classes, under whichever renaming of the local speakers fits the
               window best: which slot a speaker gets is the network's own business;
    voices     additive angular margin (Deng et al., 2019) over all training speakers, for every slot in which a speaker is
               heard alone for 0.4 s or more. Half of the windows pool their frames by the reference, half by what the
               network itself believes, as it will have to when it works;
    pairs      supervised contrast within the batch. Solo scenes come in twos with the same four speakers, in other rooms,
               noises and words: a voice must be nearer to its twin than to those heard through its own channel. It
               teaches from the first step, while 3000 centres take thousands of steps to find their places;
    teacher    a linear map of the voice must point where the teacher (teacher.py) points for the clean speaker.

`--start MODEL.onnx` goes on from an exported model: its weights, and centres from its own voices; stage two only.

`--tutor MODEL.onnx` distils an exported model, which hears the same windows. Centres begin where its voices are, and two losses
are added, under the renaming of local speakers in which the tutor and the network agree best:

    lesson     divergence of the network's powerset probabilities from the tutor's;
    echo       one minus the cosine of their voices, where both the reference and the tutor hear a speaker alone for 0.4 s.

What is exported is an exponential average of the weights. The forward and backward passes run in bfloat16 where the
processor has it; losses, statistics of batch norm and weights stay in float32.
"""

import argparse
import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import corpus
import diarizer
import start
import teacher
import trainer
from features import LogMel
from network import ALONE, CLASSES, NETWORKS, SPEAKERS, VOICE
from simulate import IGNORE, Simulator

STAGES = [(0.4, dict(solo=0.85, real=0.08, quick=0.05, empty=0.02)),
          (1.0, dict(solo=0.22, real=0.36, quick=0.34, empty=0.08))]
PERMUTATIONS = torch.tensor(list(itertools.permutations(range(SPEAKERS))))                   # [6,3]: slot s becomes p[s]
RENAMED = torch.tensor([[CLASSES.index(tuple(sorted(p[s] for s in c))) for c in CLASSES]     # [6,7]: class c becomes
                        for p in PERMUTATIONS.tolist()])
SCALE, MARGIN, PAIR_SCALE = 30.0, 0.2, 12.0
TEACHER_WEIGHT, LESSON_WEIGHT, ECHO_WEIGHT = 4.0, 2.0, 4.0


class Batches(torch.utils.data.IterableDataset):
    """Endless batches of inputs (log-mel features, or samples as int16), powerset classes and slots, and of what the tutor
    says if there is one: probabilities and voices. Made where a data loader runs it."""

    def __init__(self, kind, tutor, mix, scenes, seed):
        self.kind, self.tutor, self.mix, self.scenes, self.seed = kind, tutor, mix, scenes, seed

    def __iter__(self):
        torch.set_num_threads(1)
        simulator = Simulator(corpus.Corpus(), self.mix, self.seed)
        mel, tutor = LogMel(), diarizer.Model(self.tutor) if self.tutor else None
        while True:
            samples, classes, slots = (torch.cat([torch.from_numpy(x) for x in parts])
                                       for parts in zip(*(simulator.windows() for _ in range(self.scenes))))
            inputs = samples if self.kind == "waveform" else self.masked(mel(samples / 32768.0))
            lesson = map(torch.from_numpy, tutor(samples.numpy()) if tutor else ())
            yield inputs, classes.long(), slots, *lesson

    @staticmethod
    def masked(features):
        """A band of up to 12 bins goes silent in every third window (SpecAugment's frequency mask)."""
        for window in features[torch.rand(len(features)) < 1 / 3]:
            width = int(torch.randint(1, 13, ()))
            low = int(torch.randint(0, window.shape[1] - width, ()))
            window[:, low:low + width] = window[:, low:low + width].mean()
        return features


def activity_loss(log_probabilities, classes):
    """-> loss, and the classes and permutation [N,3] under the best renaming of each window."""
    heard = classes != IGNORE
    safe = classes.where(heard, torch.zeros_like(classes))
    renamed = RENAMED[:, safe]                                                               # [6,N,T]
    fit = log_probabilities.unsqueeze(0).expand(len(RENAMED), -1, -1, -1).gather(3, renamed.unsqueeze(3)).squeeze(3)
    best = (fit.detach() * heard).sum(2).argmax(0)                                           # [N]
    window = torch.arange(len(classes))
    return -fit[best, window][heard].mean(), renamed[best, window], PERMUTATIONS[best]


def lesson_loss(log_probabilities, taught):
    """Divergence from the tutor's probabilities -> loss, and the permutation [N,3] of the tutor's slots to the network's."""
    renamed = log_probabilities[:, :, RENAMED]                                               # [N,T,6,7]
    cross, best = (-renamed * taught.unsqueeze(2)).sum(3).mean(1).min(1)                     # over the renamings
    entropy = -torch.xlogy(taught, taught).sum(2).mean()
    return cross.mean() - entropy, PERMUTATIONS[best]


def echo_loss(vectors, filled, permutation, taught, voices):
    """Voices [B,128] of the slots `filled` [N,3] against the tutor's [N,3,128]."""
    sure = ALONE[taught.argmax(2)].sum(1) >= diarizer.ENOUGH                                 # [N,3]
    sure = torch.zeros_like(sure).scatter(1, permutation, sure)[filled]
    voices = torch.zeros_like(voices).scatter(1, permutation.unsqueeze(2).expand_as(voices), voices)[filled]
    return 1 - (vectors * voices).sum(1)[sure].mean()


class Speakers(nn.Module):
    """Additive angular margin: the right speaker's cosine must win by `margin` radians."""

    def __init__(self, count):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(count, VOICE) * 0.1)
        self.like = nn.Linear(VOICE, teacher.VECTOR, bias=False)
        self.register_buffer("targets", torch.from_numpy(np.load(teacher.TARGETS)), persistent=False)

    def forward(self, voices, speakers, margin):
        cosine = F.linear(voices, F.normalize(self.centres))
        right = cosine.gather(1, speakers[:, None]).clamp(-0.999, 0.999)
        pushed = torch.cos(torch.acos(right) + margin)
        logits = SCALE * cosine.scatter(1, speakers[:, None], pushed)
        return F.cross_entropy(logits, speakers), (cosine.argmax(1) == speakers).float().mean()

    def unlike(self, voices, speakers):
        """One minus the cosine to the teacher's vectors."""
        return 1 - F.cosine_similarity(self.like(voices), self.targets[speakers]).mean()


def pair_loss(voices, speakers):
    """Supervised contrast: other pieces of the same speaker must come out on top of all other voices in the batch."""
    self = torch.eye(len(voices), dtype=torch.bool)
    logits = (PAIR_SCALE * voices @ voices.T).masked_fill(self, -1e4)
    same = (speakers[:, None] == speakers) & ~self
    paired = same.any(1)
    fit = torch.log_softmax(logits, 1)
    return -((fit * same).sum(1)[paired] / same.sum(1)[paired]).mean()


class Trainer(trainer.Trainer):
    FIGURES = ["activity {:.3f}", "(frames wrong {:.1%})", " voices {:.2f}", "(right {:.1%})", " pairs {:.2f}", " unlike {:.3f}",
               " lesson {:.3f}", " echo {:.3f}"]

    def __init__(self, options):
        torch.manual_seed(options.seed)
        model, self.speakers = NETWORKS[options.network](), Speakers(corpus.Corpus().training)
        decayed = [p for p in model.parameters() if p.dim() > 1]
        plain = [p for p in model.parameters() if p.dim() <= 1]
        groups = [dict(params=decayed, weight_decay=0.05, pace=1.0), dict(params=plain, weight_decay=0.0, pace=1.0),
                  dict(params=list(self.speakers.parameters()), weight_decay=0.01, pace=2.0)]
        super().__init__(options, model, groups, speakers=self.speakers)
        if not self.resume() and (options.start or options.tutor):
            self.begin_from(options.start or options.tutor)

    @torch.no_grad()
    def begin_from(self, path, batches=100):
        """Every speaker's centre where an exported model hears the speaker; its weights, too, if training starts from it."""
        solo = self.loader(dict(solo=1.0), self.options.seed + 1000, path)
        if path == self.options.start:
            start.start(self.model, path, next(solo)[0])
            self.average = self.weights()
        sums = torch.zeros_like(self.speakers.centres)
        for _, classes, slots, probabilities, voices in itertools.islice(solo, batches):
            _, _, permutation = activity_loss(probabilities.clamp(min=1e-9).log(), classes)
            named = torch.full_like(slots, -1).scatter(1, permutation, slots)
            sums.index_add_(0, named[named >= 0], voices[named >= 0])
        heard = sums.norm(dim=1) > 0
        self.speakers.centres[heard] = F.normalize(sums[heard])
        print(f"from {path}: {int(heard.sum())} of {len(heard)} centres", flush=True)

    def loader(self, mix, seed, tutor):
        batches = Batches(self.model.INPUT, tutor, mix, self.options.scenes, seed)
        for inputs, *rest in torch.utils.data.DataLoader(batches, None, num_workers=1, prefetch_factor=8):
            yield inputs / 32768.0 if inputs.dtype == torch.int16 else inputs, *rest

    def update(self, inputs, classes, slots, *lesson):
        model = self.model
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bfloat16):
            frames, voice_frames = model.trunk(inputs)
            log_probabilities = model.activity(frames, voice_frames).float()
        activity, renamed, permutation = activity_loss(log_probabilities, classes)
        reference = F.one_hot(renamed, len(CLASSES)).float()
        believed = torch.rand(len(inputs), 1, 1) < 0.5
        weights = model.weights(torch.where(believed, log_probabilities.detach().exp(), reference))
        statistics = model.pool.statistics(voice_frames.float(), weights)      # a difference of squares: float32
        renamed_slots = torch.full_like(slots, -1).scatter(1, permutation, slots)
        filled = renamed_slots >= 0
        margin = MARGIN * min(1.0, self.progress() / 0.5)              # slowly: at first it only hides who is who
        vectors, present = model.pool.vector(statistics[filled]), renamed_slots[filled]
        voices, right = self.speakers(vectors, present, margin)
        pairs, unlike = pair_loss(vectors, present), self.speakers.unlike(vectors, present)
        loss = self.options.activity_weight * activity + voices + pairs + TEACHER_WEIGHT * unlike
        told = []
        if lesson:
            probabilities, tutor_voices = lesson
            divergence, permutation = lesson_loss(log_probabilities, probabilities)
            told = [divergence, echo_loss(vectors, filled, permutation, probabilities, tutor_voices)]
            loss = loss + LESSON_WEIGHT * told[0] + ECHO_WEIGHT * told[1]
        self.descend(loss, 5.0)
        wrong = (log_probabilities.argmax(2) != renamed)[classes != IGNORE].float().mean()
        return torch.stack([activity, wrong, voices, right, pairs, unlike, *told]).detach()

    def run(self):
        options = self.options
        for end, mix in STAGES:
            if self.step >= end * options.steps or (options.start and end < 1):
                continue
            print(f"step {self.step}: {mix}", flush=True)
            self.train(self.loader(mix, options.seed + self.step, options.tutor), end * options.steps)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--name", default="last", help="of the checkpoint, out/train/NAME.pt")
    arguments.add_argument("--network", choices=NETWORKS, default="cnn")
    arguments.add_argument("--start", help="an exported model to go on from")
    arguments.add_argument("--tutor", help="an exported model to learn from")
    arguments.add_argument("--steps", type=int, default=7500)
    arguments.add_argument("--scenes", type=int, default=16, help="in a batch; four windows each")
    arguments.add_argument("--rate", type=float, default=1e-3)
    arguments.add_argument("--activity-weight", type=float, default=2.0)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--float32", dest="bfloat16", action="store_false")
    Trainer(arguments.parse_args()).run()
