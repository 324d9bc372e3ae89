"""Goes on training pyannote's segmentation-3.0 on simulated conversations, resuming from its last checkpoint when there is one.

    python models/train/segmentation.py                                     # out/train/segmentation.pt
    python models/train/segmentation.py --export out/train/segmentation.onnx --share 0.3

An experiment: no model that is shipped comes from here, and the network's card (models/third-party) tells why. The network
knows real rooms, which a simulator cannot teach, and loses people in noise, echo and quick exchanges, which it can. It hears
windows of 10 s of the conversations of simulate.py, with the labels of three people at most and pauses of under half a
second filled, as people who write references do; the loss is the cross-entropy over the seven powerset classes, under
whichever renaming of the speakers fits a window best (Plaquet and Bredin 2023).

What it knew must not be lost: what is exported lies between the weights it came with and an exponential average of those
that it learnt (Wortsman et al., Robust fine-tuning of zero-shot models, 2022), --share of the way.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

import corpus
import trainer
from simulate import CLASS_OF_SET, IGNORE, Simulator
from train import activity_loss

sys.path.insert(0, str(corpus.TREE / "models" / "third-party"))
import export as third_party  # noqa: E402

WINDOW, FRAMES, STEP, FIRST = 160000, 589, 270, 495                 # samples; the middle of frame i is FIRST + i * STEP
MIX = dict(real=0.62, quick=0.33, empty=0.05)
THREES = 10                                                         # windows of the simulator in a scene: 30 s
MIDDLES = (FIRST + STEP * np.arange(FRAMES)) // corpus.STEP         # the simulator's labels that frames take
PAUSE = 50                                                          # labels of 10 ms: shorter ones are none


def trainable():
    """pyannote's network with its tensors as parameters."""
    network = third_party.Segmentation(third_party.weights("segmentation"))
    for name, value in list(network.named_buffers()):
        delattr(network, name)
        network.register_parameter(name, torch.nn.Parameter(value.clone()))
    return network


def bridge(labels):
    """The labels of each speaker with short pauses filled."""
    bridged = labels.copy()
    for row in bridged:
        for first, end in corpus.runs(~row):
            if 0 < first and end < len(row) and end - first < PAUSE:
                row[first:end] = True
    return bridged


def cut(samples, labels):
    """The windows of a scene and their classes; frames in which more than two, or a fourth speaker, are heard: IGNORE."""
    labels = bridge(labels)
    for start in range(0, len(samples) - WINDOW + 1, WINDOW):
        heard = labels[:, start // corpus.STEP + MIDDLES]
        order = np.argsort(-heard.sum(1), kind="stable")
        bits = sum((heard[k].astype(int) << s for s, k in enumerate(order[:3])), np.zeros(FRAMES, int))
        classes = CLASS_OF_SET[bits]
        classes[heard[order[3:]].any(0)] = IGNORE
        yield samples[start:start + WINDOW], classes


class Batches(torch.utils.data.IterableDataset):
    def __init__(self, scenes, seed):
        self.scenes, self.seed = scenes, seed

    def __iter__(self):
        torch.set_num_threads(1)
        simulator = Simulator(corpus.Corpus(), MIX, self.seed, windows=THREES)
        while True:
            windows = [w for _ in range(self.scenes) for w in cut(*simulator.scene()[:2])]
            yield tuple(torch.from_numpy(np.stack(part)) for part in zip(*windows))


class Trainer(trainer.Trainer):
    FIGURES = ["activity {:.3f}", "(frames wrong {:.1%})"]
    BETAS = 0.9, 0.999
    KEEP, EVERY, LOGGED, SAVED = 0.995, 1, 25, 100

    def __init__(self, options):
        torch.manual_seed(options.seed)
        network = trainable()
        super().__init__(options, network, [dict(params=list(network.parameters()), weight_decay=0.0, pace=1.0)])
        self.resume()

    def update(self, samples, classes):
        log_probabilities = self.model(samples / 32768.0)
        loss, renamed, _ = activity_loss(log_probabilities, classes.long())
        self.descend(loss, 1.0)
        wrong = (log_probabilities.argmax(2) != renamed)[classes != IGNORE].float().mean()
        return torch.stack([loss, wrong]).detach()

    def run(self):
        batches = Batches(self.options.scenes, self.options.seed + self.step)
        self.train(iter(torch.utils.data.DataLoader(batches, None, num_workers=1, prefetch_factor=8)), self.options.steps)

    def export(self, path, share, version):
        state = {name: value.detach().lerp(self.average[name], share) for name, value in trainable().named_parameters()}
        self.model.load_state_dict(state)
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        metadata = third_party.SEGMENTATION | {"name": path.stem, "version": version}
        metadata["licence"] = "MIT, (c) CNRS and the authors of motet"
        audio = [0.1 * torch.randn(n, WINDOW) for n in (1, 2)]
        third_party.write(self.model, audio, {"waveform": {0: "N"}, "activity": {0: "N"}}, ["waveform", "activity"],
                          metadata, path)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--name", default="segmentation", help="of the checkpoint, out/train/NAME.pt")
    arguments.add_argument("--steps", type=int, default=1600)
    arguments.add_argument("--scenes", type=int, default=8, help="in a batch; three windows each")
    arguments.add_argument("--rate", type=float, default=5e-4)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--export", type=Path, metavar="MODEL.onnx", help="write the checkpoint as a model instead")
    arguments.add_argument("--share", type=float, default=0.3, help="of the way from the first weights to those learnt")
    arguments.add_argument("--version", default="0.1")
    given = arguments.parse_args()
    training = Trainer(given)
    training.export(given.export, given.share, given.version) if given.export else training.run()
