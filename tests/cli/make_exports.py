"""Makes the small exports of tests/cli/models: the architectures of networks that people bring along, with few channels
and seeded random weights, from PyTorch's exporter. What they say is noise; that they are taken is what they test. Needs
torch and transformers; the files are in the tree, so tests do not run this."""
import pathlib
import sys

import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model

root = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "tests/zoo"))
import speaker  # noqa: E402


class HiddenStates(torch.nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_values):
        return self.encoder(input_values).last_hidden_state


class Ecapa(torch.nn.Module):
    """Samples in: what the export of SpeechBrain's network with its front end looks like from outside."""

    def __init__(self):
        super().__init__()
        self.network = speaker.EcapaTdnn(bins=20, channels=8, embedding=24)
        self.register_buffer("filters", torch.randn(20, 1, 400) / 20)

    def forward(self, waveform):
        energy = torch.nn.functional.conv1d(waveform[:, None], self.filters, stride=160).square()
        features = torch.log(energy + 1e-6).transpose(1, 2)
        return self.network(features - features.mean(1, keepdim=True))


def export(name, network, inputs, input_names, output_names, dynamic):
    torch.onnx.export(network.eval(), inputs, str(root / "tests/cli/models" / f"{name}.onnx"), input_names=input_names,
                      output_names=output_names, dynamic_axes=dynamic, opset_version=17, dynamo=False)


torch.manual_seed(5)
small = Wav2Vec2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                       conv_dim=(8,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4)
segmentation = speaker.Segmentation(filters=8, hidden=8)
segmentation.classes.weight.data *= 30          # so that it makes up its mind
export("segmentation", segmentation, torch.zeros(1, 1, 160000), ["x"], ["y"],
       {"x": {0: "N", 2: "T"}, "y": {0: "N", 1: "frames"}})
export("resnet34", speaker.ResNet34(bins=80, width=1, embedding=24), torch.randn(1, 200, 80), ["feats"], ["embs"],
       {"feats": {0: "B", 1: "T"}, "embs": {0: "B"}})
export("ecapa", Ecapa(), torch.randn(1, 48000), ["waveform"], ["voice"], {"waveform": {1: "samples"}})
export("titanet", speaker.SeparableTdnn(bins=80, channels=16, embedding=24),
       (torch.randn(1, 80, 200), torch.tensor([200])), ["audio_signal", "length"], ["logits", "embs"],
       {"audio_signal": {0: "B", 2: "T"}, "length": {0: "B"}, "logits": {0: "B"}, "embs": {0: "B"}})
export("wav2vec2", HiddenStates(Wav2Vec2Model(small)), torch.randn(1, 48000), ["input_values"], ["last_hidden_state"],
       {"input_values": {0: "batch", 1: "samples"}, "last_hidden_state": {0: "batch", 1: "frames"}})
