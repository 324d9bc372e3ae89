"""Weights of an exported model back into the network, to go on training from a shipped file.

Export folds every batch norm into its neighbour. Here each gets back what it needs to work in training: the statistics
of its input over a few simulated windows, and scale and offset that undo them, so that the function stays the same.
Parts that the file does not know keep their first values, which contribute nothing (network.py starts them at zero); the turns'
convolutions, which motet-cnn 0.4 and those before did not have, begin as the voices'.
"""

import onnx
import onnx.numpy_helper
import torch
from torch import nn

from network import Cnn


def module_path(node):
    """'/blocks.0/first/first.0/Conv' -> 'blocks.0.first.0': the exporter repeats the parent's name."""
    path = ""
    for part in node.name.strip("/").split("/")[:-1]:
        parent = path.rpartition(".")[2]
        path = f"{path}{part[len(parent):]}" if parent and part.startswith(parent + ".") else f"{path}.{part}".strip(".")
    return {"score": "pool.score", "project": "pool.project"}.get(path, path)


def weights(path):
    """{state name: array}; what was a convolution with batch norm comes as NAME.0.weight and NAME.1.bias."""
    graph, found = onnx.load(path).graph, {}
    arrays = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name not in arrays or arrays[name].ndim == 0:
                continue
            if not name.startswith("onnx::"):
                found[name] = arrays[name]
            elif node.op_type == "MatMul":
                found[module_path(node) + ".weight"] = arrays[name].T
            elif node.op_type == "Conv":
                folded = module_path(node)
                found[folded + ".weight" if position == 1 else folded[:-1] + "1.bias"] = arrays[name]
    return found


def unfold(norm, mean, variance):
    """A batch norm that was the identity plus its bias: the same function of inputs with these statistics."""
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    if norm.affine:
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias += mean


@torch.no_grad()
def start(model, path, inputs):
    """Fills `model` from the file; `inputs` are windows for the statistics."""
    state, known = model.state_dict(), weights(path)
    for name, array in known.items():
        state[name].copy_(torch.from_numpy(array.copy()))
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d)]
    seen, hooks = {}, []
    for norm in norms:
        norm.running_var.fill_(1 - norm.eps)

        def look(module, inputs):
            x = inputs[0].transpose(0, 1).reshape(inputs[0].shape[1], -1) if inputs[0].dim() == 3 else inputs[0].T
            seen[module] = x.mean(1), x.var(1)
        hooks.append(norm.register_forward_pre_hook(look))
    model.eval()
    frames, voice_frames = model.trunk(inputs)
    statistics = model.pool.statistics(voice_frames, model.weights(model.activity(frames, voice_frames).exp()))
    model.pool.vector(statistics.reshape(-1, statistics.shape[-1]))
    for hook in hooks:
        hook.remove()
    for norm, (mean, variance) in seen.items():
        unfold(norm, mean, variance)
    mean, variance = seen[model.pool.norm]
    model.pool.project.bias += model.pool.project.weight @ mean
    model.pool.project.weight *= (variance + model.pool.norm.eps).sqrt()
    if isinstance(model, Cnn) and not any(name.startswith("turn_") for name in known):
        model.begin_turns()
    model.train()
