"""The transformer captioner: what it may see, and that its ways of writing agree."""

from __future__ import annotations

import pytest
import torch
from tiny_system import COLUMNS, CONCEPTS, ROWS, WIDTH, WORDS, tiny_config
from torch import Tensor

from cutline.training.transformer import TransformerCaptioner, TransformerConfig


@pytest.fixture
def captioner() -> TransformerCaptioner:
    torch.manual_seed(0)
    return TransformerCaptioner(tiny_config(dropout=0.3)).eval()


def remembered(captioner: TransformerCaptioner, images: int = 2) -> Tensor:
    features = torch.randn(images, ROWS * COLUMNS, WIDTH)
    ids, scores = captioner.top_concepts(torch.randn(images, len(CONCEPTS)))
    return captioner.remember(features, ids, scores)


def tokens(images: int, captions: int, length: int) -> Tensor:
    return torch.randint(4, len(WORDS), (images, captions, length))


def test_a_word_sees_only_the_words_before_it(captioner: TransformerCaptioner) -> None:
    memory, words = remembered(captioner), tokens(2, 3, 7)
    changed = words.clone()
    changed[..., 4:] = tokens(2, 3, 3)
    before, after = captioner(memory, words), captioner(memory, changed)
    torch.testing.assert_close(before[..., :4, :], after[..., :4, :])
    assert not torch.allclose(before[..., 4, :], after[..., 4, :])


def test_captions_packed_together_are_as_if_alone(captioner: TransformerCaptioner) -> None:
    memory, words = remembered(captioner), tokens(2, 5, 6)
    together = captioner(memory, words)
    for place in range(5):
        torch.testing.assert_close(together[:, [place]], captioner(memory, words[:, [place]]))


def test_images_do_not_see_each_other(captioner: TransformerCaptioner) -> None:
    memory, words = remembered(captioner, 3), tokens(3, 2, 6)
    together = captioner(memory, words)
    torch.testing.assert_close(together[1:2], captioner(memory[1:2], words[1:2]), atol=1e-5, rtol=1e-5)


def test_step_by_step_is_teacher_forcing(captioner: TransformerCaptioner) -> None:
    memory, words = remembered(captioner), tokens(2, 3, 8)
    expected = captioner(memory, words)
    heads = captioner.memory_heads(memory)
    past = captioner.initial(heads, 3)
    for place in range(8):
        logits, past, attention = captioner.step(words[..., place], past, heads)
        torch.testing.assert_close(logits, expected[..., place, :], atol=1e-5, rtol=1e-4)
        assert attention.shape == (2, 3, ROWS * COLUMNS)
        assert bool((attention.sum(-1) <= 1 + 1e-5).all())
        assert past[0][0].shape[3] == place + 1


def test_logits_come_only_for_the_places_that_are_kept(captioner: TransformerCaptioner) -> None:
    memory, words = remembered(captioner), tokens(2, 3, 6)
    keep = torch.rand(2, 3, 6) < 0.5
    torch.testing.assert_close(captioner(memory, words, keep), captioner(memory, words)[keep])


def test_concepts_and_regions_both_reach_the_words(captioner: TransformerCaptioner) -> None:
    features = torch.randn(1, ROWS * COLUMNS, WIDTH)
    ids, scores = torch.tensor([[0, 1, 2, 3]]), torch.full((1, 4), 0.9)
    words = tokens(1, 1, 3)
    plain = captioner(captioner.remember(features, ids, scores), words)
    for changed in (
        captioner.remember(features.flip(1), ids, scores),
        captioner.remember(features, ids + 1, scores),
        captioner.remember(features, ids, scores / 2),
    ):
        assert not torch.allclose(captioner(changed, words), plain, atol=1e-4)


def test_without_a_photo_concepts_alone_are_remembered(captioner: TransformerCaptioner) -> None:
    memory = captioner.remember(None, torch.tensor([[0, 1, 2, 3]]), torch.full((1, 4), 0.9))
    assert memory.shape == (1, 4, captioner.config.width)
    assert captioner(memory, tokens(1, 2, 5)).shape == (1, 2, 5, len(WORDS))


def test_the_likeliest_concepts_come_first_with_their_probabilities(captioner: TransformerCaptioner) -> None:
    logits = torch.tensor([[-9.0, 2.0, -9.0, 0.0, 1.0, -9.0, -9.0, -1.0]])
    ids, scores = captioner.top_concepts(logits)
    assert ids.tolist() == [[1, 4, 3, 7]]
    torch.testing.assert_close(scores, torch.sigmoid(logits[:, [1, 4, 3, 7]]))


def test_words_share_one_embedding_for_reading_and_writing(captioner: TransformerCaptioner) -> None:
    sized = [
        name for name, each in captioner.named_parameters() if each.shape[0] == len(WORDS) and each.ndim == 2
    ]
    assert sized == ["embedding.weight"]


def test_dropout_acts_in_training_alone(captioner: TransformerCaptioner) -> None:
    torch.manual_seed(1)
    memory, words = remembered(captioner), tokens(2, 2, 4)
    torch.testing.assert_close(captioner(memory, words), captioner(memory, words))
    captioner.train()
    assert not torch.allclose(captioner(memory, words), captioner(memory, words))


def test_sizes_of_a_configuration() -> None:
    config = TransformerConfig(vocabulary=10, concepts=0, width=64, heads=4, rows=3, columns=5)
    assert (config.regions, config.head_width) == (15, 16)
