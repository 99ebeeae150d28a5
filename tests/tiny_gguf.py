"""A tiny language model of the Llama family in a GGUF file: random weights, tokens of bytes, some words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import pre_tokenizers

END = "<|endoftext|>"
WIDTH, INNER, LAYERS = 32, 64, 3
MERGES = ("t h", "Ġ d", "Ġd o", "Ġdo g", "Ġ b")
TEMPLATE = "{% for message in messages %}{{ message.content }}\n{% endfor %}"


def write_tiny_gguf(path: Path) -> Path:
    """Write the file; needs gguf."""
    import gguf

    random = np.random.default_rng(0)
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [END, *bytes_, *(merge.replace(" ", "") for merge in MERGES)]
    file = gguf.GGUFWriter(path, "llama")
    file.add_block_count(LAYERS)
    file.add_context_length(4096)
    file.add_embedding_length(WIDTH)
    file.add_feed_forward_length(INNER)
    file.add_head_count(2)
    file.add_head_count_kv(1)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(WIDTH // 2)
    file.add_rope_freq_base(10_000.0)
    file.add_vocab_size(len(tokens))
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("smollm")
    file.add_token_list(tokens)
    file.add_token_types([3] + [1] * (len(tokens) - 1))
    file.add_token_merges(list(MERGES))
    for add in (file.add_bos_token_id, file.add_eos_token_id, file.add_unk_token_id):
        add(0)
    file.add_chat_template(TEMPLATE)

    def add_weights(name: str, *shape: int) -> None:
        norm = name.endswith("norm")
        values = np.ones(shape) if norm else random.standard_normal(shape) * 0.1
        file.add_tensor(f"{name}.weight", values.astype(np.float32))

    add_weights("token_embd", len(tokens), WIDTH)
    add_weights("output_norm", WIDTH)
    for layer in range(LAYERS):
        for name, *shape in (
            ("attn_norm", WIDTH),
            ("attn_q", WIDTH, WIDTH),
            ("attn_k", WIDTH // 2, WIDTH),
            ("attn_v", WIDTH // 2, WIDTH),
            ("attn_output", WIDTH, WIDTH),
            ("ffn_norm", WIDTH),
            ("ffn_gate", INNER, WIDTH),
            ("ffn_up", INNER, WIDTH),
            ("ffn_down", WIDTH, INNER),
        ):
            add_weights(f"blk.{layer}.{name}", *shape)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path
