"""The model that ships writes what it wrote when it was shipped, on any processor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from golden import ASKED, GOLDEN, greedy, largest_gap

from cutline import styles
from cutline.styles.built_in import folder
from cutline.styles.causal import MANIFEST, CausalModel
from cutline.styles.voice import voice_from
from tests.tiny_writer import DOG, write_tiny_writer

SAME = 0.2  # nats: ten times what another order of additions was seen to change

ships = pytest.mark.skipif(not (folder() / MANIFEST).is_file(), reason="no language model ships")


def test_a_greedy_text_is_told_from_another(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    model, voice = CausalModel(write_tiny_writer(tmp_path)), styles.Voice()
    tokens = greedy(model, DOG, voice)
    assert largest_gap(model, DOG, voice, tokens) == 0
    assert largest_gap(model, DOG, voice, [*tokens[:2], tokens[0], *tokens[2:]]) > SAME


@ships
def test_golden_texts_are_the_likeliest() -> None:
    model = CausalModel(folder())
    written = [json.loads(line) for line in GOLDEN.read_text("utf-8").splitlines()]
    assert len(written) == len(ASKED)
    gaps = {
        each["text"]: largest_gap(model, each["description"], voice_from(each["voice"]), each["tokens"])
        for each in written
    }
    assert {text: gap for text, gap in gaps.items() if gap > SAME} == {}


@pytest.mark.slow
@ships
def test_a_seed_gives_the_same_captions_and_another_seed_others() -> None:
    voice = styles.Voice(tone="quirky", length=styles.Length.SHORT, hashtags=2)
    one, same = styles.load(), styles.load()
    first, again, other = (
        writer.restyle(DOG, voice, seed=seed)[0] for writer, seed in ((one, 1), (same, 1), (same, 2))
    )
    assert first == again
    assert first.text != other.text
    assert not first.unsupported
