"""A writer's weights as the folder that `cutline.styles` loads: ONNX in four or eight bits, and its manifest.

Weights are rounded in blocks of 32, each with a scale of its own, and computed with in float32.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization.matmul_nbits_quantizer import (  # type: ignore[import-untyped]
    DefaultWeightOnlyQuantConfig,
    MatMulNBitsQuantizer,
)
from tokenizers import Tokenizer
from torch import Tensor, nn

from cutline.styles.causal import DECODER, FORMAT, MANIFEST, TOKENIZER
from cutline.training.export import export_graph
from cutline.training.writer.base import tokenizer_json
from cutline.training.writer.config import WriterRecipe
from cutline.training.writer.model import CausalTransformer

PROMPT_VERSION = "voice/1"
_BLOCK = 32


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
    with tempfile.TemporaryDirectory() as temporary:
        exported = Path(temporary) / DECODER
        export_step(model, exported)
        quantised(exported, folder / DECODER, bits=recipe.export.bits)
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


def quantised(source: Path, target: Path, *, bits: int) -> None:
    """Round the weights of products to ``bits`` bits, and the embeddings to four."""
    config = DefaultWeightOnlyQuantConfig(
        block_size=_BLOCK, is_symmetric=True, bits=bits, op_types_to_quantize=("MatMul", "Gather")
    )
    quantiser = MatMulNBitsQuantizer(onnx.load(str(source)), algo_config=config)
    quantiser.process()
    quantiser.model.save_model_to_file(str(target), use_external_data_format=False)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
