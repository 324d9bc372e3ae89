"""What all training runs have in common: a falling rate, an average of the weights, a checkpoint, a log.

A run resumes from its last checkpoint, out/train/NAME.pt, when there is one. What is exported in the end is an exponential
average of the weights. A subclass says what a step is: `update` takes a batch and returns figures to log.
"""

import math
import os
import time

import torch

import corpus

RISE, FLOOR = 0.04, 0.01        # of the run, in which the rate rises; of the rate, to which it falls


class Trainer:
    FIGURES = []                # how each of the figures of `update` is logged
    BETAS = 0.9, 0.98           # of AdamW
    KEEP, EVERY = 0.999, 4      # of the average at a step, which is taken every so many steps
    LOGGED, SAVED = 50, 250     # steps

    def __init__(self, options, model, groups, **parts):
        """groups: of parameters, with their weight_decay and pace (rate / the run's rate). parts: modules that are saved
        beside the model."""
        self.options, self.model, self.parts, self.step = options, model, parts, 0
        self.optimizer = torch.optim.AdamW(groups, lr=options.rate, betas=self.BETAS, fused=True)
        self.average = self.weights()
        self.checkpoint = corpus.OUT / f"{options.name}.pt"

    def weights(self):
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def resume(self):
        """False when there is nothing to resume from."""
        if not self.checkpoint.exists():
            return False
        state = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.step = state["average"], state["step"]
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        print(f"resuming at step {self.step}", flush=True)
        return True

    def save(self):
        """Written aside and renamed, so that a killed run leaves the checkpoint before."""
        aside = self.checkpoint.with_suffix(".tmp")
        torch.save(dict(model=self.model.state_dict(), average=self.average, optimizer=self.optimizer.state_dict(),
                        step=self.step, **{name: part.state_dict() for name, part in self.parts.items()}), aside)
        os.replace(aside, self.checkpoint)

    # -- steps ---------------------------------------------------------------------------------------------------

    def progress(self):
        return self.step / self.options.steps

    def rate(self):
        """A short rise, then half a cosine."""
        if self.progress() < RISE:
            return self.options.rate * self.progress() / RISE
        return self.options.rate * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * self.progress())))

    def descend(self, loss, longest):
        """One step down a loss, along a gradient no longer than `longest`."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate() * group["pace"]
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), longest)
        self.optimizer.step()
        self.step += 1
        if self.step % self.EVERY == 0:
            self.take_average(min(self.KEEP, self.step / (self.step + 20)) ** self.EVERY)

    @torch.no_grad()
    def take_average(self, keep):
        for name, value in self.model.state_dict().items():
            if value.dtype.is_floating_point:
                self.average[name].lerp_(value, 1 - keep)

    def update(self, *batch):
        """A step on a batch -> figures."""
        raise NotImplementedError

    def train(self, batches, end):
        """Until step `end`."""
        start, sums, seen = time.time(), 0, 0
        while self.step < end:
            sums, seen = sums + self.update(*next(batches)), seen + 1
            if self.step % self.LOGGED == 0:
                figures = " ".join(form.format(value) for form, value in zip(self.FIGURES, (sums / seen).tolist()))
                print(f"{self.step:6d}  {figures}  {(time.time() - start) / seen:.2f} s/step", flush=True)
                start, sums, seen = time.time(), 0, 0
            if self.step % self.SAVED == 0:
                self.save()
        self.save()
