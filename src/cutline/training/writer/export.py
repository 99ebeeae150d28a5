"""A writer's weights as the folder that `cutline.styles` loads: ONNX with rounded weights, and its manifest.

Weights are held in four bits and computed with in float32. The file is compressed: where steps are coarse,
most numbers are small, and take less than four bits in it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from tokenizers import Tokenizer
from torch import Tensor, nn

from cutline.styles.causal import DECODER, FORMAT, MANIFEST, TOKENIZER
from cutline.training.export import export_graph
from cutline.training.writer.base import tokenizer_json
from cutline.training.writer.config import WriterRecipe
from cutline.training.writer.model import CausalTransformer
from cutline.training.writer.rounding import Rounding, round_weights

PROMPT_VERSION = "voice/1"
EMBEDDINGS = Rounding(step=0.35, block=32)
_ZERO = 8
_MICROSOFT = "com.microsoft"


class _Step(nn.Module):
    """Tokens [1, T] and past [2 * layers, K, P, W] -> the last one's logits [V], present."""

    def __init__(self, model: CausalTransformer) -> None:
        super().__init__()
        self.model = model
        self.output = nn.Buffer(model.embedding.weight.detach().T.contiguous())

    def forward(self, tokens: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """One step."""
        states, present = self.model(tokens, past.unsqueeze(1))
        logits = states[:, -1] @ self.output  # not nn.Linear: what it becomes is not quantised
        return logits[0], present.squeeze(1)


def write_model(
    model: CausalTransformer, tokenizer: Tokenizer, recipe: WriterRecipe, folder: Path, *, end: int
) -> None:
    """Write the folder. Raises OutputError where it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    rounding = Rounding(step=recipe.rounding.step, block=recipe.rounding.block)
    with tempfile.TemporaryDirectory() as temporary:
        exported = Path(temporary) / "decoder.onnx"
        export_step(model, exported)
        graph = rounded(onnx.load(str(exported)), rounding, vocabulary=model.shape.vocabulary)
    # Without a name and a time the same weights are the same file.
    (folder / DECODER).write_bytes(gzip.compress(graph.SerializeToString(), compresslevel=9, mtime=0))
    (folder / TOKENIZER).write_text(tokenizer_json(tokenizer), encoding="utf-8")
    shape = model.shape
    manifest = {
        "format": FORMAT,
        "name": recipe.export.name,
        "version": recipe.export.version,
        "prompt_version": PROMPT_VERSION,
        "end_id": end,
        "layers": shape.layers,
        "heads": shape.key_heads,
        "width": shape.head_width,
        "max_tokens": recipe.max_tokens,
        "sha256": {name: _sha256(folder / name) for name in (DECODER, TOKENIZER)},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def export_step(model: CausalTransformer, path: Path) -> None:
    """Write the graph of one step, in float32."""
    round_weights(model, None, None)
    shape = model.shape
    past = torch.zeros(2 * shape.layers, shape.key_heads, 5, shape.head_width)
    export_graph(
        _Step(model),
        (torch.zeros(1, 3, dtype=torch.long), past),
        path,
        inputs=["tokens", "past"],
        outputs=["logits", "present"],
        dynamic=({1: torch.export.Dim("T", min=1)}, {2: torch.export.Dim("P", min=0)}),
    )


def rounded(model: onnx.ModelProto, rounding: Rounding, *, vocabulary: int) -> onnx.ModelProto:
    """The model with the weights of products rounded, and embeddings that are taken from the last of them."""
    graph = model.graph
    held = {each.name: each for each in graph.initializer}
    for place, node in enumerate(graph.node):
        if node.op_type == "MatMul" and node.input[1] in held:
            weights = numpy_helper.to_array(held[node.input[1]]).T
            chosen = EMBEDDINGS if len(weights) == vocabulary else rounding
            graph.node[place].CopyFrom(_product(node, weights, chosen, graph))
    (gathered,) = (node for node in graph.node if node.op_type == "Gather" and node.input[0] in held)
    (output,) = (node for node in graph.node if node.op_type == "MatMulNBits" and _rows(node) == vocabulary)
    _share_embeddings(graph, gathered, output)
    used = {name for node in graph.node for name in node.input}
    for name, matrix in held.items():
        if name not in used:
            graph.initializer.remove(matrix)
    if not any(each.domain == _MICROSOFT for each in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))
    return model


def _product(
    node: onnx.NodeProto, weights: NDArray[np.float32], rounding: Rounding, graph: onnx.GraphProto
) -> onnx.NodeProto:
    """A product with weights [out, in], which ONNX Runtime holds as two numbers from 0 to 15 a byte."""
    numbers, steps = rounding.parts(torch.tensor(weights))
    block = rounding.block & -rounding.block  # the largest power of two in it, which the runtime wants
    steps = steps.squeeze(-1).repeat_interleave(rounding.block // block, dim=1)
    nibbles = (numbers + _ZERO).to(torch.uint8).reshape(len(weights), -1, block)
    packed = nibbles[..., 0::2] | nibbles[..., 1::2] << 4
    name = node.input[1]
    graph.initializer.append(numpy_helper.from_array(packed.numpy(), f"{name}_Q4"))
    graph.initializer.append(numpy_helper.from_array(steps.numpy(), f"{name}_scales"))
    return helper.make_node(
        "MatMulNBits",
        [node.input[0], f"{name}_Q4", f"{name}_scales"],
        list(node.output),
        node.name,
        domain=_MICROSOFT,
        N=weights.shape[0],
        K=weights.shape[1],
        bits=4,
        block_size=block,
    )


def _share_embeddings(graph: onnx.GraphProto, gathered: onnx.NodeProto, output: onnx.NodeProto) -> None:
    """Let the embeddings be those numbers that the output's product has, in the shape that they need."""
    shape = numpy_helper.from_array(np.array([_rows(output), -1]), "embedding_shape")
    graph.initializer.append(shape)
    rows = helper.make_node("Reshape", [output.input[1], shape.name], ["embedding_Q4"])
    looked_up = helper.make_node(
        "GatherBlockQuantized",
        ["embedding_Q4", gathered.input[1], output.input[2]],
        list(gathered.output),
        gathered.name,
        domain=_MICROSOFT,
        bits=4,
        block_size=EMBEDDINGS.block,
        gather_axis=0,
        quantize_axis=1,
    )
    gathered.CopyFrom(looked_up)
    graph.node.insert(0, rows)


def _rows(node: onnx.NodeProto) -> int:
    return int(next(each.i for each in node.attribute if each.name == "N"))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
