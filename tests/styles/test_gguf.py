"""A GGUF file as a writer: a tiny model of the Llama family, written here, run by llama.cpp."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutline import styles
from cutline.errors import CaptionerUnavailable
from cutline.styles.gguf import gguf_writer
from cutline.styles.writing import Task, Writer
from tests.tiny_gguf import write_tiny_gguf

pytest.importorskip("gguf")
pytest.importorskip("xllamacpp")

TASK = Task(description="A dog runs.", voice=styles.Voice(tone="dry"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


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
