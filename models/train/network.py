"""The networks: two trunks under the same two heads, which answer "who is active when" and "what does each of them sound like".

    frames [N,C,150] of 20 ms, from a trunk
      |-> activity: layers of self-attention over the 150 frames, which see the trunk and the frames of the voices. A
      |   frame alone cannot say whether its voice was heard before in the window; comparing frames is what attention does.
      |   -> 7 powerset classes, log-probabilities.
      '-> voices: the frames where exactly one local speaker talks, weighted by a learned attention, give a mean and a
          standard deviation for each channel; a linear layer makes them a vector of 128, unit length.

Cnn, motet-cnn: features [N,300,80] less each bin's mean over the window; a strided convolution; residual blocks of dilated
convolutions. Voices have four, which see about 0.45 s to either side; turns have eight of their own, which see 1.2 s: what
tells people apart and what tells when somebody talks are not the same, and turns.py can train the one with the other held.

W2v, motet-w2v, after wav2vec 2.0 (Baevski et al., 2020): a stem of four strided convolutions on the samples [N,48000]
themselves, the first normalised per channel over the window; a grouped convolution that tells attention where a frame
is; four transformer layers. The stem begins in another way than theirs, because it has hours to learn where theirs had
weeks: its filters start as a bank on the mel scale, rectified, smoothed to 500 values a second. A logarithm follows,
without which the quiet one beside somebody loud is next to nothing. From there training takes the weights where it likes.

Everything is a plain convolution, matrix product, softmax or norm: what an inference engine runs as GEMM.
Shapes inside are constants but for the batch, so that the exported graph holds no shape arithmetic.

The powerset (Plaquet and Bredin, 2023): instead of three yes/no answers a frame belongs to one of seven classes:
nobody, one of three, or two of three at once; the order is that of models/README.md.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from features import BINS, RATE

WINDOW = 48000                 # samples: 3 s
FRAMES = 150                   # 20 ms output frames
SPEAKERS, VOICE = 3, 128
CLASSES = [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]

# [7,3]: is speaker k a member of class c / is it the only member?
MEMBER = torch.tensor([[float(k in c) for k in range(SPEAKERS)] for c in CLASSES])
ALONE = torch.tensor([[float(c == (k,)) for k in range(SPEAKERS)] for c in CLASSES])


def conv(inputs, outputs, width, dilation=1, stride=1):
    """Convolution that keeps the frame grid, then batch norm (folded into the convolution on export)."""
    pad = (width - stride) // 2 if stride > 1 else dilation * (width - 1) // 2
    return nn.Sequential(nn.Conv1d(inputs, outputs, width, stride, pad, dilation, bias=False), nn.BatchNorm1d(outputs))


class Block(nn.Module):
    def __init__(self, channels, dilation):
        super().__init__()
        self.first = conv(channels, channels, 3, dilation)
        self.second = conv(channels, channels, 3, dilation)

    def forward(self, x):
        return F.relu(x + self.second(F.relu(self.first(x))))


class Attention(nn.Module):
    """A transformer layer with the norms first; written out so that it exports as matrix products and one softmax."""

    def __init__(self, width, heads=4, inner=256):
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        for last in (self.out, self.down):                  # a new layer begins as the identity
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def split(self, x):
        return x.reshape(-1, FRAMES, self.heads, self.size).transpose(1, 2)

    def forward(self, x):
        y = self.norm1(x)
        q, k, v = self.split(self.query(y)), self.split(self.key(y)), self.split(self.value(y))
        scores = torch.matmul(q * self.size ** -0.5, k.transpose(2, 3))
        mixed = torch.matmul(torch.softmax(scores, -1), v).transpose(1, 2).reshape(-1, FRAMES, self.heads * self.size)
        x = x + self.out(mixed)
        return x + self.down(F.relu(self.up(self.norm2(x))))


class Pool(nn.Module):
    """Attentive statistics of chosen frames: mean and deviation of every channel under weights [N,3,150].

    Four groups of channels, each with its own attention. A sigmoid, not a softmax, scores a frame, so that the weights of
    the caller simply multiply it and nothing overflows. Batch norm without scale stands before the linear layer, which
    absorbs it on export.
    """

    HEADS = 4

    def __init__(self, channels, voice):
        super().__init__()
        self.size = channels // self.HEADS
        self.score = nn.Conv1d(channels, self.HEADS, 1)
        self.norm = nn.BatchNorm1d(2 * channels, affine=False)
        self.project = nn.Linear(2 * channels, voice)

    def statistics(self, x, weights):
        """x [N,C,150], weights [N,3,150] -> [N,3,2C]."""
        attention = torch.sigmoid(self.score(x)).unsqueeze(2) * weights.unsqueeze(1)               # [N,H,3,T]
        attention = attention / attention.sum(-1, keepdim=True)
        frames = x.transpose(1, 2).reshape(-1, FRAMES, self.HEADS, self.size).transpose(1, 2)       # [N,H,T,C/H]
        mean = torch.matmul(attention, frames)
        deviation = torch.sqrt(F.relu(torch.matmul(attention, frames * frames) - mean * mean) + 1e-4)
        joined = torch.cat([mean, deviation], -1)                                                   # [N,H,3,2C/H]
        return joined.transpose(1, 2).reshape(-1, SPEAKERS, 2 * self.HEADS * self.size)

    def vector(self, statistics):
        """[B,2C] -> [B,128] of unit length. Training calls it for the slots that hold somebody."""
        return F.normalize(self.project(self.norm(statistics)), dim=-1)


class Diarizer(nn.Module):
    """The heads. A trunk adds its own modules, then these, and has `frames`."""

    def add_heads(self, channels, gathered, layers, width=128, pooled=384):
        """channels: of the trunk's frames; gathered: of what the voices are made from."""
        self.narrow = nn.Conv1d(channels, width, 1)
        self.compare = nn.Conv1d(pooled, width, 1, bias=False)
        nn.init.zeros_(self.compare.weight)
        self.place = nn.Parameter(torch.randn(1, FRAMES, width) * 0.02)
        self.layers = nn.ModuleList(Attention(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.classes = nn.Linear(width, len(CLASSES))
        self.gather = conv(gathered, pooled, 1)
        self.pool = Pool(pooled, VOICE)
        self.register_buffer("member", MEMBER, persistent=False)
        self.register_buffer("alone", ALONE, persistent=False)

    def frames(self, inputs):
        """-> frames [N,C,150], and a list of what the voices are made from, of the same length."""
        raise NotImplementedError

    def trunk(self, inputs):
        """-> frames for the activity head [N,C,150] and for the voices [N,P,150]."""
        x, parts = self.frames(inputs)
        return x, F.relu(self.gather(torch.cat(parts, 1)))

    def activity(self, x, v):
        y = (self.narrow(x) + self.compare(v)).transpose(1, 2) + self.place
        for layer in self.layers:
            y = layer(y)
        return torch.log_softmax(self.classes(self.norm(y)), -1)

    def weights(self, probabilities):
        """Powerset probabilities [N,150,7] -> how much each frame counts for each speaker's voice [N,3,150].

        Frames of the speaker alone count fully, frames shared with another a thousandth, the rest next to nothing: a
        speaker never heard alone still gets the best vector that there is, and an empty slot a finite one.
        """
        alone = torch.matmul(probabilities, self.alone)
        member = torch.matmul(probabilities, self.member)
        return (alone + 1e-3 * member + 1e-6).transpose(1, 2)

    def forward(self, inputs):
        x, v = self.trunk(inputs)
        activity = self.activity(x, v)
        statistics = self.pool.statistics(v, self.weights(activity.exp()))
        voices = self.pool.project(statistics)                          # export folds pool.norm into pool.project
        return activity, voices / torch.sqrt((voices * voices).sum(-1, keepdim=True) + 1e-12)


class Cnn(Diarizer):
    NAME, INPUT = "motet-cnn", "log-mel"

    def __init__(self, channels=192):
        super().__init__()
        self.stem, self.blocks = self.convolutions(channels, (1, 2, 3, 4))
        self.turn_stem, self.turn_blocks = self.convolutions(channels, (1, 2, 3, 4, 2, 4, 6, 8))
        self.add_heads(channels, 2 * channels, layers=6)

    @staticmethod
    def convolutions(channels, dilations):
        return conv(BINS, channels, 6, stride=2), nn.ModuleList(Block(channels, d) for d in dilations)

    @torch.no_grad()
    def begin_turns(self):
        """The turns' convolutions begin as the voices'; blocks that those lack, as the identity."""
        self.turn_stem.load_state_dict(self.stem.state_dict())
        for block, like in zip(self.turn_blocks, self.blocks):
            block.load_state_dict(like.state_dict())
        for block in self.turn_blocks[len(self.blocks):]:
            block.second[1].weight.zero_()
            block.second[1].bias.zero_()

    def hold_voices(self):
        """From now on only what hears turns is trained."""
        for part in (self.stem, self.blocks, self.gather, self.pool):
            part.requires_grad_(False).eval()

    def frames(self, features):
        x = (features - features.mean(1, keepdim=True)) * 0.4          # 0.4: speech then varies by about one
        x = x.transpose(1, 2)
        turns = F.relu(self.turn_stem(x))
        for block in self.turn_blocks:
            turns = block(turns)
        voices = F.relu(self.stem(x))
        outputs = []
        for block in self.blocks:
            voices = block(voices)
            outputs.append(voices)
        return turns, [outputs[1], outputs[3]]


def filter_bank(count, length):
    """[count,1,length]: tones on the mel scale, 60 to 7600 Hz, of any phase, under a Hann window; no offset, energy 100.

    Each is normalised after it, so its energy only says how much a step of training turns it. At energy 1 that is too much:
    within 250 steps the high filters let what is below 600 Hz, where speech is 30 to 50 dB louder, through at -30 dB.
    """
    mel = np.linspace(*(np.log10(1 + f / 700) for f in (60, 7600)), count)
    time = np.arange(length) / RATE
    phases = np.random.default_rng(4).uniform(0, 2 * np.pi, (count, 1))
    filters = np.hanning(length) * np.cos(2 * np.pi * 700 * (10 ** mel[:, None] - 1) * time + phases)
    filters -= filters.mean(1, keepdims=True)
    filters *= 10 / np.sqrt(np.square(filters).sum(1, keepdims=True))
    return torch.from_numpy(filters[:, None].astype(np.float32))


class W2v(Diarizer):
    NAME, INPUT = "motet-w2v", "waveform"

    def __init__(self, filters=80, channels=256):
        super().__init__()
        self.filters = nn.Conv1d(1, filters, 96, stride=8, padding=44, bias=False)             # 2000 a second
        self.level = nn.InstanceNorm1d(filters, eps=1e-7, affine=True)                         # as much as rounding leaves
        self.smooth = nn.Conv1d(filters, filters, 8, stride=4, padding=2, bias=False)          # 500
        self.narrowing = conv(filters, 192, 9, stride=5)                                       # 100
        self.framing = conv(192, channels, 6, stride=2)                                        # 50
        self.nearby = nn.Conv1d(channels, channels, 31, padding=15, groups=16)
        self.encoder = nn.ModuleList(Attention(channels, inner=2 * channels) for _ in range(4))
        self.add_heads(channels, 2 * channels, layers=2)
        with torch.no_grad():
            self.filters.weight.copy_(filter_bank(filters, 96))
            self.smooth.weight.mul_(0.2)
            self.smooth.weight[range(filters), range(filters)] += torch.hann_window(8, periodic=False) / 4

    def frames(self, samples):
        x = (samples - samples.mean(1, keepdim=True)).unsqueeze(1)
        x = F.relu(self.smooth(F.relu(self.level(self.filters(x)))))
        x = torch.log(1 + 100 * x)
        x = F.gelu(self.framing(F.gelu(self.narrowing(x))))
        x = x + F.gelu(self.nearby(x))
        y = x.transpose(1, 2)
        for layer in self.encoder:
            y = layer(y)
        y = y.transpose(1, 2)
        return y, [x, y]


NETWORKS = {"cnn": Cnn, "w2v": W2v}
