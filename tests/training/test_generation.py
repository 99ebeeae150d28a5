"""Writing with a torch model: ends, forbidden tokens, and samples that follow the distribution."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cutline.training.generation import caption_ids, generate
from cutline.training.vocabulary import END_ID, PAD_ID, START_ID, UNKNOWN_ID

VOCABULARY = 8


class Script:
    """A model whose distribution at step t is row t of a table for each image: [B, L, V]."""

    def __init__(self, table: Tensor) -> None:
        self.table = table
        self.fed: list[Tensor] = []

    def initial(self, memory: Any, count: int) -> int:
        return 0

    def step(self, tokens: Tensor, state: int, memory: Any) -> tuple[Tensor, int, Tensor]:
        self.fed.append(tokens)
        row = self.table[:, min(state, self.table.shape[1] - 1)]
        return row.unsqueeze(1).expand(-1, tokens.shape[1], -1).clone(), state + 1, torch.zeros(())


def likes(*tokens: int) -> Tensor:
    """Logits that prefer one token at each step: [L, V]."""
    table = torch.zeros(len(tokens), VOCABULARY)
    for place, token in enumerate(tokens):
        table[place, token] = 10.0
    return table


def test_each_caption_ends_at_its_end_and_is_padded_after() -> None:
    model = Script(torch.stack([likes(5, END_ID, 6, 6), likes(4, 5, 6, END_ID)]))
    ids = generate(model, None, images=2, max_tokens=9)
    assert ids[:, 0].tolist() == [[5, END_ID, PAD_ID, PAD_ID], [4, 5, 6, END_ID]]
    assert model.fed[0].tolist() == [[START_ID], [START_ID]]
    assert [caption_ids(row) for row in ids[:, 0]] == [[5], [4, 5, 6]]


def test_writing_stops_at_the_longest() -> None:
    ids = generate(Script(likes(5)[None]), None, images=1, max_tokens=3)
    assert ids.tolist() == [[[5, 5, 5]]]
    assert caption_ids(ids[0, 0]) == [5, 5, 5]


@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_padding_start_and_unknown_are_never_written(temperature: float) -> None:
    table = torch.full((1, 1, VOCABULARY), 0.0)
    table[..., [PAD_ID, START_ID, UNKNOWN_ID]] = 50.0
    ids = generate(Script(table), None, images=1, count=50, max_tokens=4, temperature=temperature)
    written = [token for row in ids[0] for token in caption_ids(row)]
    assert not {PAD_ID, START_ID, UNKNOWN_ID} & set(written)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_samples_follow_the_distribution(temperature: float) -> None:
    torch.manual_seed(0)
    wanted = torch.tensor([0.0, 0.0, 0.1, 0.0, 0.2, 0.3, 0.4, 0.0])
    table = wanted.clamp_min(1e-9).log()[None, None]
    ids = generate(Script(table), None, images=1, count=4000, max_tokens=1, temperature=temperature)
    shares = torch.bincount(ids.flatten(), minlength=VOCABULARY) / ids.numel()
    expected = wanted ** (1 / temperature)
    torch.testing.assert_close(shares, expected / expected.sum(), atol=0.03, rtol=0)


def test_samples_of_the_same_seed_are_the_same() -> None:
    model = Script(torch.zeros(2, 1, VOCABULARY))
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(generate(model, None, images=2, count=5, temperature=1.0).tolist())
    assert drawn[0] == drawn[1] != drawn[2]
