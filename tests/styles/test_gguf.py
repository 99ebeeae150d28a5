"""A GGUF file as a writer: a tiny model of the Llama family, written here, run by llama.cpp."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutline import styles
from cutline.errors import CaptionerUnavailable
from cutline.styles.gguf import gguf_writer
from cutline.styles.writing import Task, Writer

gguf = pytest.importorskip("gguf")
pytest.importorskip("xllamacpp")

WIDTH, INNER, BYTES = 32, 64, 256
TASK = Task(description="A dog runs.", voice=styles.Voice(tone="dry"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer with random weights, over bytes."""
    import numpy as np

    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    random = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.1).astype(np.float32)

    file = gguf.GGUFWriter(path, "llama")
    file.add_block_count(1)
    file.add_context_length(4096)
    file.add_embedding_length(WIDTH)
    file.add_feed_forward_length(INNER)
    file.add_head_count(2)
    file.add_head_count_kv(2)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(WIDTH // 2)
    file.add_vocab_size(3 + BYTES)
    file.add_tokenizer_model("llama")
    file.add_token_list([b"<unk>", b"<s>", b"</s>", *(b"<0x%02X>" % byte for byte in range(BYTES))])
    file.add_token_scores([0.0] * (3 + BYTES))
    file.add_token_types([2, 3, 3] + [6] * BYTES)
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    file.add_unk_token_id(0)
    file.add_chat_template("{% for message in messages %}{{ message.content }}\n{% endfor %}")
    file.add_tensor("token_embd.weight", weights(3 + BYTES, WIDTH))
    file.add_tensor("output.weight", weights(3 + BYTES, WIDTH))
    shapes = {"ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER)}
    shapes |= dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (WIDTH, WIDTH))
    for name, shape in shapes.items():
        file.add_tensor(f"blk.0.{name}.weight", weights(*shape))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        file.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


@pytest.fixture(scope="module")
def writer(model: Path) -> Writer:
    return gguf_writer(str(model))


def test_a_file_writes_piece_by_piece(writer: Writer) -> None:
    pieces = list(writer.write(TASK, seed=1))
    assert len(pieces) > 1
    assert writer.name == "tiny"


def test_a_text_can_be_left_before_its_end(writer: Writer) -> None:
    for _ in range(2):  # the second would wait for ever if the first went on
        pieces = writer.write(TASK, seed=1)
        next(pieces)
        pieces.close()


def test_a_request_beyond_its_context_is_an_error_with_the_reason(writer: Writer) -> None:
    long = Task(description="A dog runs. " * 600, voice=TASK.voice)
    with pytest.raises(CaptionerUnavailable, match="context size"):
        list(writer.write(long, seed=1))


def test_what_random_weights_write_is_refused(model: Path) -> None:
    [styled] = styles.load(f"gguf:{model}").restyle("A dog runs along the beach.", TASK.voice)
    assert styled.text == "A dog runs along the beach."
    assert styled.refused


def test_a_file_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CaptionerUnavailable, match="There is no file"):
        styles.load(f"gguf:{tmp_path / 'none.gguf'}")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(CaptionerUnavailable, match="cannot be loaded"):
        styles.load(f"gguf:{tmp_path / 'bad.gguf'}")
