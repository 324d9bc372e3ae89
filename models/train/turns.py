"""Goes on training what hears turns in motet-cnn, its voices held still, resuming from its last checkpoint when there is one.

    python models/train/turns.py --start out/train/cnn.onnx                 # out/train/turns.pt

In train.py the losses of the voices are twenty times that of the activity, and both pull at what is common to them. Here the
activity is alone: its convolutions, its attention, all windows of conversations, none of single voices. The network that it
starts from is an exported one; if that is of the kind that had one trunk for both, the turns' convolutions begin as the voices'.
"""

import argparse

import torch

import start
import trainer
from network import Cnn
from simulate import IGNORE
from train import Batches, activity_loss

MIX = dict(real=0.48, quick=0.44, empty=0.08)


class Trainer(trainer.Trainer):
    FIGURES = ["activity {:.3f}", "(frames wrong {:.1%})"]

    def __init__(self, options):
        torch.manual_seed(options.seed)
        model = Cnn()
        model.hold_voices()
        trained = [p for p in model.parameters() if p.requires_grad]
        groups = [dict(params=[p for p in trained if p.dim() > 1], weight_decay=0.05, pace=1.0),
                  dict(params=[p for p in trained if p.dim() <= 1], weight_decay=0.0, pace=1.0)]
        super().__init__(options, model, groups)
        if not self.resume():
            start.start(model, options.start, next(self.batches())[0])
            model.hold_voices()                                 # start leaves everything in training
            self.average = self.weights()
        self.hear = torch.compile(lambda inputs: model.activity(*model.trunk(inputs)))

    def batches(self):
        batches = Batches(self.model.INPUT, None, MIX, self.options.scenes, self.options.seed + self.step)
        return iter(torch.utils.data.DataLoader(batches, None, num_workers=1, prefetch_factor=8))

    def update(self, inputs, classes, slots):
        with torch.autocast("cpu", torch.bfloat16):
            log_probabilities = self.hear(inputs).float()
        loss, renamed, _ = activity_loss(log_probabilities, classes)
        self.descend(loss, 1.0)
        wrong = (log_probabilities.argmax(2) != renamed)[classes != IGNORE].float().mean()
        return torch.stack([loss, wrong]).detach()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--name", default="turns", help="of the checkpoint, out/train/NAME.pt")
    arguments.add_argument("--start", required=True, metavar="MODEL.onnx", help="the exported model to go on from")
    arguments.add_argument("--steps", type=int, default=7500)
    arguments.add_argument("--scenes", type=int, default=16, help="in a batch; four windows each")
    arguments.add_argument("--rate", type=float, default=2.5e-4)
    arguments.add_argument("--seed", type=int, default=2)
    training = Trainer(arguments.parse_args())
    training.train(training.batches(), training.options.steps)
