"""Networks of speaker recognition and diarization that no library here brings along, as their papers describe them,
with fewer channels: what the exporter makes of the architecture is what counts, not the size."""

import torch
from torch import nn


class SincConv(nn.Module):
    """Band-pass filters from two learned frequencies each (Ravanelli and Bengio 2018), as SincNet begins."""

    def __init__(self, filters, taps, stride, rate=16000):
        super().__init__()
        self.taps, self.stride, self.rate = taps, stride, rate
        edges = torch.linspace(30, rate / 2 - 200, filters + 1)
        self.low = nn.Parameter(edges[:-1].clone())
        self.band = nn.Parameter(edges.diff())
        before = (
            torch.arange(-(taps // 2), 0) / rate * 2 * torch.pi
        )  # the filters are symmetric: half of each is enough
        self.register_buffer("window", torch.hamming_window(taps, periodic=False)[: taps // 2])
        self.register_buffer("time", before)

    def forward(self, x):
        low = self.low.abs()[:, None] + 50
        high = torch.clamp(low + self.band.abs()[:, None] + 50, max=self.rate / 2)
        half = (torch.sin(high * self.time) - torch.sin(low * self.time)) / (self.time / 2) * self.window
        filters = torch.cat([half, 2 * (high - low), half.flip(1)], 1) / (2 * (high - low))
        return nn.functional.conv1d(x, filters[:, None], stride=self.stride)


class Segmentation(nn.Module):
    """SincNet, bidirectional LSTM, powerset classes: the shape of pyannote's PyanNet (Bredin 2023)."""

    def __init__(self, filters=20, hidden=32, classes=7):
        super().__init__()
        self.wave_norm = nn.InstanceNorm1d(1, affine=True)
        self.convs = nn.ModuleList([SincConv(filters, 251, 10), nn.Conv1d(filters, 16, 5), nn.Conv1d(16, 16, 5)])
        self.norms = nn.ModuleList([nn.InstanceNorm1d(width, affine=True) for width in (filters, 16, 16)])
        self.lstm = nn.LSTM(16, hidden, num_layers=2, bidirectional=True, batch_first=True)
        self.linear = nn.ModuleList([nn.Linear(2 * hidden, 32), nn.Linear(32, 32)])
        self.classes = nn.Linear(32, classes)

    def forward(self, waveform):
        x = self.wave_norm(waveform)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            x = conv(x)
            x = nn.functional.leaky_relu(norm(nn.functional.max_pool1d(x.abs() if i == 0 else x, 3, 3)))
        x, _ = self.lstm(x.transpose(1, 2))
        for linear in self.linear:
            x = nn.functional.leaky_relu(linear(x))
        return torch.log_softmax(self.classes(x), -1)


def statistics(x, weights):
    mean = (weights * x).sum(2)
    deviation = ((weights * (x - mean[:, :, None]) ** 2).sum(2)).clamp(min=1e-9).sqrt()
    return mean, deviation


class AttentivePooling(nn.Module):
    """Mean and deviation over time, weighted by what each channel attends to (Okabe 2018; ECAPA adds the context)."""

    def __init__(self, channels, bottleneck=32):
        super().__init__()
        self.first = nn.Conv1d(3 * channels, bottleneck, 1)
        self.norm = nn.BatchNorm1d(bottleneck)
        self.second = nn.Conv1d(bottleneck, channels, 1)

    def forward(self, x):
        mean, deviation = statistics(x, torch.ones_like(x) / x.shape[2])
        context = torch.cat([x, mean[:, :, None].expand_as(x), deviation[:, :, None].expand_as(x)], 1)
        scores = self.second(torch.tanh(self.norm(torch.relu(self.first(context)))))
        return torch.cat(statistics(x, scores.softmax(2)), 1)


class SqueezeExcite(nn.Module):
    def __init__(self, channels, bottleneck=16):
        super().__init__()
        self.first, self.second = nn.Conv1d(channels, bottleneck, 1), nn.Conv1d(bottleneck, channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.second(torch.relu(self.first(x.mean(2, keepdim=True)))))


class TdnnBlock(nn.Module):
    def __init__(self, inputs, outputs, taps, dilation=1):
        super().__init__()
        pad = dilation * (taps - 1) // 2
        self.conv = nn.Conv1d(inputs, outputs, taps, dilation=dilation, padding=pad, padding_mode="reflect")
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x):
        return self.norm(torch.relu(self.conv(x)))


class SeRes2Block(nn.Module):
    def __init__(self, channels, dilation, scale=4):
        super().__init__()
        self.before, self.after = TdnnBlock(channels, channels, 1), TdnnBlock(channels, channels, 1)
        width = channels // scale
        self.parts = nn.ModuleList([TdnnBlock(width, width, 3, dilation) for _ in range(scale - 1)])
        self.gate = SqueezeExcite(channels)

    def forward(self, x):
        pieces = torch.chunk(self.before(x), len(self.parts) + 1, 1)
        out, last = [pieces[0]], None
        for part, piece in zip(self.parts, pieces[1:]):
            last = part(piece if last is None else piece + last)
            out.append(last)
        return self.gate(self.after(torch.cat(out, 1))) + x


class EcapaTdnn(nn.Module):
    """Desplanques et al. 2020."""

    def __init__(self, bins=40, channels=64, embedding=48):
        super().__init__()
        self.first = TdnnBlock(bins, channels, 5)
        self.blocks = nn.ModuleList([SeRes2Block(channels, dilation) for dilation in (2, 3, 4)])
        self.merge = TdnnBlock(3 * channels, 3 * channels, 1)
        self.pool = AttentivePooling(3 * channels)
        self.norm = nn.BatchNorm1d(6 * channels)
        self.embed = nn.Conv1d(6 * channels, embedding, 1)

    def forward(self, features):
        x = self.first(features.transpose(1, 2))
        out = []
        for block in self.blocks:
            x = block(x)
            out.append(x)
        x = self.pool(self.merge(torch.cat(out, 1)))
        return self.embed(self.norm(x)[:, :, None]).squeeze(2)


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.convs = nn.ModuleList(
            [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)]
        )
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs) for _ in range(2)])
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = torch.relu(self.norms[0](self.convs[0](x)))
        y = self.norms[1](self.convs[1](y))
        return torch.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet34(nn.Module):
    """The r-vector network of WeSpeaker (Zeinali et al. 2019): 2-D ResNet34 over mel bins and time, statistics pooled."""

    def __init__(self, bins=40, width=8, embedding=32):
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        blocks, inputs = [], width
        for stage, count in enumerate((3, 4, 6, 3)):
            for i in range(count):
                blocks.append(BasicBlock(inputs, width << stage, 2 if stage and i == 0 else 1))
                inputs = width << stage
        self.blocks = nn.Sequential(*blocks)
        self.embed = nn.Linear(2 * inputs * (bins // 8), embedding)

    def forward(self, features):
        x = features.transpose(1, 2)[:, None]
        x = self.blocks(torch.relu(self.norm(self.first(x))))
        mean, deviation = x.mean(-1), torch.sqrt(torch.var(x, -1) + 1e-7)
        return self.embed(torch.cat([mean.flatten(1), deviation.flatten(1)], 1))


class SeparableBlock(nn.Module):
    """A mega-block of TitaNet (Koluguri et al. 2022): depthwise and pointwise convolutions, squeeze-excite, residual."""

    def __init__(self, inputs, outputs, taps, repeat):
        super().__init__()
        layers = []
        for i in range(repeat):
            width = inputs if i == 0 else outputs
            layers.append(nn.Conv1d(width, width, taps, padding=taps // 2, groups=width, bias=False))
            layers += [nn.Conv1d(width, outputs, 1, bias=False), nn.BatchNorm1d(outputs)]
            if i < repeat - 1:
                layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers, SqueezeExcite(outputs))
        self.residual = None
        if repeat > 1:
            self.residual = nn.Sequential(nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs))

    def forward(self, x, mask):
        y = self.layers(x * mask)
        return torch.relu(y if self.residual is None else y + self.residual(x))


class SeparableTdnn(nn.Module):
    """TitaNet in small: two inputs (features and the length of each), masked, two outputs (logits and embedding)."""

    def __init__(self, bins=40, channels=64, embedding=32, speakers=20):
        super().__init__()
        self.blocks = nn.ModuleList(
            [
                SeparableBlock(bins, channels, 3, 1),
                SeparableBlock(channels, channels, 7, 3),
                SeparableBlock(channels, channels, 11, 3),
                SeparableBlock(channels, 3 * channels, 1, 1),
            ]
        )
        self.pool = AttentivePooling(3 * channels)
        self.norm, self.embed = nn.BatchNorm1d(6 * channels), nn.Linear(6 * channels, embedding)
        self.logits = nn.Linear(embedding, speakers)

    def forward(self, audio_signal, length):
        frames = torch.arange(audio_signal.shape[2], device=audio_signal.device)
        mask = (frames[None] < length[:, None]).to(audio_signal.dtype)[:, None]
        x = audio_signal
        for block in self.blocks:
            x = block(x, mask)
        embedding = self.embed(self.norm(self.pool(x)))
        return self.logits(embedding), embedding
