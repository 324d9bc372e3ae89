"""The networks of the zoo: built from their libraries' own classes where there is one, with seeded random weights.

A family is what the exporters need to know of one: how to build it, what to feed it (two shapes), which axes are free.
The widths are small and the layers few, and everything that decides which operators a file has is as published:
activations, norms, position codes, masks, heads, convolutions. wav2vec2-base and distilhubert are there in full size too.
"""

from dataclasses import dataclass, field
from typing import Callable

import numpy as np
import torch
import transformers

import speaker


@dataclass
class Family:
    name: str
    build: Callable  # () -> module whose forward takes the inputs in this order and returns the outputs in theirs
    feeds: Callable  # (number) -> {input: array}; numbers 0 and 1 have different shapes
    axes: dict  # input -> {axis: name}
    outputs: list
    output_axes: dict = field(default_factory=dict)
    ranges: dict = field(default_factory=dict)  # name of an axis -> the range the newer exporter may assume
    legacy: bool = True  # whether torch's older exporter takes it
    dynamo: bool = True  # whether the newer one does, and leaves the axes free
    skip: tuple = ()  # variants that ONNX Runtime makes but cannot run itself
    heads: int = 0  # of its attention, where ONNX Runtime's transformer optimiser can fuse it


class Taking(torch.nn.Module):
    """A network of transformers as a function of its inputs by position, giving the one output that users take."""

    def __init__(self, model, names, pick):
        super().__init__()
        self.model, self.names, self.pick = model, names, pick

    def forward(self, *values):
        return self.pick(self.model(**dict(zip(self.names, values)), return_dict=False))


def lively(model):
    """Fresh weights leave biases at 0, norms at 1 and batch statistics at rest, and hide whoever drops them: move every
    vector a little."""
    with torch.no_grad():
        for value in list(model.parameters()) + [b for b in model.buffers() if b.is_floating_point()]:
            if value.dim() == 1:
                value += 0.1 * torch.rand_like(value) * value.std().nan_to_num(1).clamp(min=1)
    return model.eval()


def noise(seed, batch, samples):
    """Noise with a swell, unit variance: the normalised waveform that the speech encoders expect."""
    random = np.random.default_rng(seed)
    swell = 1 + 0.8 * np.sin(2 * np.pi * np.arange(samples) / 16000 * 3)
    wave = random.standard_normal((batch, samples)) * swell
    return (wave / wave.std()).astype(np.float32)


# --- speech encoders: a waveform in, frames out ------------------------------------------------------------------


def speech(name, seed, model, samples=(16000, 8000), dynamo=True):
    def build():
        torch.manual_seed(seed)
        return Taking(lively(model()), ["input_values"], lambda out: out[0])

    def feeds(number):
        return {"input_values": noise(10 * seed + number, 1 + number, samples[number])}

    axes = {0: "batch", 1: "samples"}
    return Family(
        name,
        build,
        feeds,
        {"input_values": axes},
        ["last_hidden_state"],
        {"last_hidden_state": {0: "batch", 1: "frames"}},
        ranges={"samples": (4000, 480000)},
        dynamo=dynamo,
    )


SMALL_STEM = dict(conv_dim=[48] * 7, hidden_size=96, num_attention_heads=4, intermediate_size=192, num_hidden_layers=2)
SMALL_STEM |= dict(num_conv_pos_embedding_groups=8, num_conv_pos_embeddings=32)


def wavlm():
    return transformers.WavLMModel(transformers.WavLMConfig(**SMALL_STEM))


def conformer():
    settings = SMALL_STEM | dict(position_embeddings_type="relative", conv_depthwise_kernel_size=15)
    return transformers.Wav2Vec2ConformerModel(transformers.Wav2Vec2ConformerConfig(**settings))


def hubert(**settings):
    return transformers.HubertModel(transformers.HubertConfig(**(SMALL_STEM | settings)))


def whisper_encoder():
    config = transformers.WhisperConfig(
        num_mel_bins=40,
        d_model=96,
        encoder_layers=2,
        encoder_attention_heads=4,
        encoder_ffn_dim=192,
        max_source_positions=200,
    )
    return transformers.models.whisper.modeling_whisper.WhisperEncoder(config)


def whisper():
    """Its positions are a table, so the length is fixed: 30 s there, 4 s here. Two shapes are two batch sizes."""

    def build():
        torch.manual_seed(21)
        return Taking(lively(whisper_encoder()), ["input_features"], lambda out: out[0])

    def feeds(number):
        random = np.random.default_rng(210 + number)
        return {"input_features": random.normal(0, 0.7, (1 + number, 40, 400)).astype(np.float32)}

    axes = {0: "batch"}
    return Family(
        "whisper-encoder", build, feeds, {"input_features": axes}, ["last_hidden_state"], {"last_hidden_state": axes}
    )


# --- text encoders: token numbers in, one row a token out ---------------------------------------------------------


def text(name, seed, model, inputs=("input_ids", "attention_mask"), padding=0, **more):
    vocabulary = 500

    def build():
        torch.manual_seed(seed)
        return Taking(lively(model(vocabulary)), inputs, lambda out: out[0])

    def feeds(number):
        random = np.random.default_rng(10 * seed + number)
        batch, length = (2, 16) if number == 0 else (3, 27)
        kept = np.arange(length) < random.integers(length // 2, length, batch)[:, None]
        kept[0] = True
        values = {
            "input_ids": np.where(kept, random.integers(5, vocabulary, (batch, length)), padding),
            "attention_mask": kept.astype(np.int64),
            "token_type_ids": np.where(kept, (np.arange(length) > length // 3), 0).astype(np.int64),
        }
        return {key: values[key] for key in inputs}

    axes = {0: "batch", 1: "tokens"}
    return Family(
        name,
        build,
        feeds,
        {key: axes for key in inputs},
        ["last_hidden_state"],
        {"last_hidden_state": axes},
        {"tokens": (2, 400)},
        **more
    )


SMALL_TEXT = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128)


def bert(vocabulary):
    return transformers.BertModel(transformers.BertConfig(vocab_size=vocabulary, **SMALL_TEXT), add_pooling_layer=False)


def eager(vocabulary):
    """Attention spelt out in matrix products, as files of some years ago have it and as optimisers know it."""
    settings = dict(attn_implementation="eager", **SMALL_TEXT)
    return transformers.BertModel(transformers.BertConfig(vocab_size=vocabulary, **settings), add_pooling_layer=False)


def minilm(vocabulary):
    settings = dict(hidden_size=96, num_hidden_layers=3, num_attention_heads=12, intermediate_size=384)
    return transformers.BertModel(transformers.BertConfig(vocab_size=vocabulary, **settings), add_pooling_layer=False)


def roberta(vocabulary):
    config = transformers.RobertaConfig(
        vocab_size=vocabulary, max_position_embeddings=514, pad_token_id=1, **SMALL_TEXT
    )
    return transformers.RobertaModel(config, add_pooling_layer=False)


def mpnet(vocabulary):
    return transformers.MPNetModel(
        transformers.MPNetConfig(vocab_size=vocabulary, pad_token_id=1, **SMALL_TEXT), add_pooling_layer=False
    )


def gemma(vocabulary):
    """The text encoder of EmbeddingGemma: Gemma 3 looking both ways, grouped queries, two kinds of layers."""
    config = transformers.Gemma3TextConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        query_pre_attn_scalar=32,
        sliding_window=12,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        use_bidirectional_attention=True,
        use_cache=False,
    )
    return transformers.Gemma3TextModel(config)


# --- networks on mel bins, and the segmentation network on samples -------------------------------------------------


def features(name, seed, model, axis=1):
    def build():
        torch.manual_seed(seed)
        return lively(model())

    def feeds(number):
        shape = [2 - number, 40]
        shape.insert(axis, 120 if number == 0 else 77)
        return {"features": np.random.default_rng(10 * seed + number).standard_normal(shape).astype(np.float32)}

    axes = {0: "batch", axis: "frames"}
    return Family(
        name,
        build,
        feeds,
        {"features": axes},
        ["embedding"],
        {"embedding": {0: "batch"}},
        ranges={"frames": (40, 4000)},
    )


def titanet():
    def build():
        torch.manual_seed(34)
        return lively(speaker.SeparableTdnn())

    def feeds(number):
        frames = 120 if number == 0 else 77
        signal = np.random.default_rng(340 + number).standard_normal((2, 40, frames)).astype(np.float32)
        return {"audio_signal": signal, "length": np.array([frames, frames - 31], np.int64)}

    axes = {"audio_signal": {0: "batch", 2: "frames"}, "length": {0: "batch"}}
    return Family(
        "titanet",
        build,
        feeds,
        axes,
        ["logits", "embs"],
        {"logits": {0: "batch"}, "embs": {0: "batch"}},
        ranges={"frames": (40, 4000)},
    )


def segmentation():
    def build():
        torch.manual_seed(31)
        return lively(speaker.Segmentation())

    def feeds(number):
        return {"waveform": noise(310 + number, 1 + number, 32000 if number == 0 else 16000)[:, None]}

    axes = {0: "batch", 2: "samples"}
    return Family(
        "segmentation",
        build,
        feeds,
        {"waveform": axes},
        ["scores"],
        {"scores": {0: "batch", 1: "frames"}},
        dynamo=False,
    )


FAMILIES = [
    speech("wav2vec2", 11, lambda: transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**SMALL_STEM))),
    speech("hubert", 12, hubert),
    speech("hubert-large", 13, lambda: hubert(feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True)),
    speech("wavlm", 14, wavlm),
    speech("conformer", 15, conformer, dynamo=False),
    whisper(),
    text("bert", 1, bert, ("input_ids", "attention_mask", "token_type_ids")),
    text("minilm", 2, minilm, ("input_ids", "attention_mask", "token_type_ids")),
    text("roberta", 3, roberta, padding=1),
    # quantised as a whole, the logarithm of mpnet's position buckets leads beyond their table
    text("mpnet", 4, mpnet, padding=1, skip=("qdq", "qoperator")),
    text("gemma", 5, gemma, legacy=False),
    text("bert-eager", 6, eager, ("input_ids", "attention_mask", "token_type_ids"), heads=4),
    segmentation(),
    features("ecapa", 32, speaker.EcapaTdnn),
    features("resnet34", 33, speaker.ResNet34),
    titanet(),
]

# In full size, which only their FP32 files have.
FULL = [
    speech(
        "distilhubert",
        2,
        lambda: transformers.HubertModel(transformers.HubertConfig(num_hidden_layers=2, feat_proj_layer_norm=False)),
        (48000, 24000),
    ),
    speech("wav2vec2-base", 1, lambda: transformers.Wav2Vec2Model(transformers.Wav2Vec2Config()), (48000, 24000)),
]
