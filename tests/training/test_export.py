"""Bundles write what the torch model that they come from would write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_system import (
    COLUMNS,
    CONCEPTS,
    ROWS,
    WIDTH,
    WORDS,
    PlainTail,
    tiny_system,
    tiny_transformer,
    word_tokenizer,
)
from torch import Tensor, nn

from cutline.captioning.bundle import TrainingData, read_bundle
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.decoding import decode
from cutline.captioning.options import DecodingOptions, Strategy, resolve
from cutline.captioning.runtime import Runtime, open_runtime
from cutline.images import Preprocessing
from cutline.training.concepts import ConceptBonus
from cutline.training.export import BONUS, BundleDetails, export_bundle
from cutline.training.generation import generate
from cutline.training.lstm import LstmCaptioner, LstmConfig
from cutline.training.systems import CaptionSystem
from cutline.training.transformer import TransformerCaptioner
from cutline.training.vocabulary import END_ID, PAD_ID, START_ID, UNKNOWN_ID

SIDE = 24


class PixelTrunk(nn.Module):
    """One convolution over the pixels, to the grid that the tiny system wants."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            3, WIDTH, (SIDE // ROWS, SIDE // COLUMNS), (SIDE // ROWS, SIDE // COLUMNS)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, H, W, 3] -> [B, ROWS, COLUMNS, WIDTH]."""
        return self.convolution(pixels.permute(0, 3, 1, 2).float() / 64 - 2).permute(0, 2, 3, 1)


def sharpen(captioner: nn.Module) -> None:
    """Make random weights tell photos and places apart, where they would write one word for ever."""
    with torch.no_grad():
        for name, parameter in captioner.named_parameters():
            if parameter.ndim == 2:
                parameter.mul_(20 if name.startswith("embedding") else 4)
        if isinstance(captioner, TransformerCaptioner):
            captioner.positions.normal_(std=4)


def transformer() -> CaptionSystem:
    return tiny_system(seed=3)


def transformer_of_regions() -> CaptionSystem:
    return CaptionSystem(PlainTail(), tiny_transformer(seed=3, concepts=0, decoder_layers=1))


def lstm() -> CaptionSystem:
    torch.manual_seed(3)
    config = LstmConfig(
        vocabulary=len(WORDS),
        feature_width=WIDTH,
        rows=ROWS,
        columns=COLUMNS,
        width=12,
        hidden=20,
        attention_width=10,
        embedding_width=9,
        max_tokens=12,
    )
    return CaptionSystem(PlainTail(), LstmCaptioner(config))


SYSTEMS = {"transformer": transformer, "transformer-of-regions": transformer_of_regions, "lstm": lstm}


class Exported:
    """A torch system, and the bundle that was made of it."""

    def __init__(self, folder: Path, kind: str, *, bonus: ConceptBonus | None = None) -> None:
        torch.manual_seed(5)
        self.trunk = PixelTrunk().eval()
        self.system: CaptionSystem = SYSTEMS[kind]()
        sharpen(self.system.captioner)
        self.system.train()
        details = BundleDetails(
            name="tiny",
            version="1.2.3",
            licence="CC0-1.0",
            preprocessing=Preprocessing(width_px=SIDE, height_px=SIDE, mode="crop"),
            decoding=DecodingOptions(strategy=Strategy.BEAM, beam_size=2, max_length=8),
            training_data=TrainingData(hash="none", description="random weights"),
            card="# Tiny\n",
            metrics={"cider": 1.0},
        )
        self.manifest = export_bundle(folder, self.trunk, self.system, word_tokenizer(), details, bonus=bonus)
        self.was_training = self.system.training
        self.system.eval()
        self.bundle = read_bundle(folder)
        self.runtime: Runtime = open_runtime(self.bundle, threads=1)

    def memory(self, pixels: np.ndarray) -> Any:
        """What torch remembers of photos."""
        with torch.no_grad():
            regions = self.system.regions(self.trunk(torch.from_numpy(pixels)))
            memory = self.system.remember(regions, self.system.concept_logits(regions))
            return self.system.captioner.memory_heads(memory)


@pytest.fixture(scope="module", params=["transformer", "transformer-of-regions", "lstm"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(tmp_path_factory.mktemp("bundle") / "tiny", request.param)


def photos(count: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.parametrize("images", [1, 3])
def test_the_encoder_graph_remembers_what_torch_does(exported: Exported, images: int) -> None:
    pixels = photos(images)
    encoded = exported.runtime.encode(pixels)
    expected = torch.utils._pytree.tree_leaves(exported.memory(pixels))
    assert len(encoded.memory) == len(expected)
    for name, tensor in zip(encoded.memory, expected, strict=True):
        assert name.startswith("memory.")
        np.testing.assert_allclose(encoded.memory[name], tensor.numpy(), atol=1e-3)


@pytest.mark.parametrize(("images", "beams"), [(1, 1), (1, 4), (3, 1), (2, 5)])
def test_the_step_graph_says_what_torch_says(exported: Exported, images: int, beams: int) -> None:
    pixels, captioner = photos(images, seed=images), exported.system.captioner
    memory = exported.memory(pixels)
    encoded = exported.runtime.encode(pixels)
    past, state = captioner.initial(memory, beams), encoded.state
    state = {name: np.repeat(value, beams, axis=1) for name, value in state.items()}
    rng = np.random.default_rng(9)
    tokens = np.full((images, beams), START_ID)
    for _ in range(4):  # the first step's state is empty
        with torch.no_grad():
            logits, past, attention = captioner.step(torch.from_numpy(tokens), past, memory)
        step = exported.runtime.step(tokens, encoded.memory, state, full=True)
        assert step.log_probs is not None
        np.testing.assert_allclose(step.log_probs, logits.log_softmax(-1).numpy(), atol=2e-3)
        np.testing.assert_allclose(step.attention, attention.numpy(), atol=1e-4)
        assert step.attention.shape == (images, beams, ROWS * COLUMNS)
        assert (step.attention.sum(-1) <= 1 + 1e-5).all()
        best = np.take_along_axis(step.log_probs, step.top_tokens, axis=-1)
        np.testing.assert_allclose(best, step.top_log_probs, atol=1e-6)
        assert (np.diff(step.top_log_probs) <= 0).all()
        state, tokens = step.state, rng.integers(4, len(WORDS), (images, beams))


def test_concepts_add_to_the_scores_of_their_words(tmp_path: Path) -> None:
    usual = [0.75, 0.2, *[0.0] * (len(CONCEPTS) - 2)]
    # One concept is no word: a decoder of other words can have it.
    words = {word: place for place, word in enumerate(WORDS) if word != CONCEPTS[-1]}
    words |= {"<none>": WORDS.index(CONCEPTS[-1])}
    bonus = ConceptBonus(CONCEPTS, usual, words, weight=0.7)
    exported, pixels = Exported(tmp_path / "bundle", "transformer", bonus=bonus), photos(3)
    encoded = exported.runtime.encode(pixels)
    known = encoded.memory[BONUS]
    with torch.no_grad():
        regions = exported.system.regions(exported.trunk(torch.from_numpy(pixels)))
        chances = torch.sigmoid(exported.system.concept_logits(regions)).numpy()
    for place, word in enumerate(WORDS):
        gains = np.zeros(len(pixels))
        if word in CONCEPTS[:-1]:  # the last is no word here
            concept = CONCEPTS.index(word)
            often = max(usual[concept], 0.002)
            gains = 0.7 * np.log(np.maximum(chances[:, concept], often) / often)
        np.testing.assert_allclose(known[:, place], gains, atol=1e-3)
        shown = (chances[:, concept], -np.log(often)) if word in CONCEPTS[:-1] else (0, 0)
        assert encoded.concepts is not None
        for row, wanted in enumerate(shown):
            np.testing.assert_allclose(encoded.concepts[:, row, place], wanted, atol=1e-3)
    assert known.max() > 0
    tokens = np.full((3, 2), START_ID)
    state = {name: np.repeat(value, 2, axis=1) for name, value in encoded.state.items()}
    memory, captioner = exported.memory(pixels), exported.system.captioner
    with torch.no_grad():
        logits, _, _ = captioner.step(torch.from_numpy(tokens), captioner.initial(memory, 2), memory)
    step = exported.runtime.step(tokens, encoded.memory, state, full=True)
    assert step.log_probs is not None
    expected = (logits + torch.from_numpy(known).unsqueeze(1)).log_softmax(-1)
    np.testing.assert_allclose(step.log_probs, expected.numpy(), atol=2e-3)


def test_greedy_captions_of_the_bundle_are_torchs(exported: Exported) -> None:
    pixels, captioner = photos(6), exported.system.captioner
    decoding = resolve(DecodingOptions(strategy=Strategy.GREEDY, max_length=7), n=1, longest=11)
    found = decode(
        exported.runtime, exported.runtime.encode(pixels), exported.manifest.architecture, decoding
    )
    ids = generate(captioner, exported.memory(pixels), images=6, max_tokens=7)[:, 0].tolist()
    expected = [tuple(row[: row.index(END_ID)] if END_ID in row else row) for row in ids]
    assert [one.tokens for (one,) in found] == expected
    assert len(set(expected)) > 1


def test_beam_search_over_the_bundle_finds_what_a_plain_search_over_torch_finds(exported: Exported) -> None:
    pixels = photos(4, seed=2)
    decoding = resolve(DecodingOptions(strategy=Strategy.BEAM, beam_size=3, max_length=6), n=1, longest=11)
    found = decode(
        exported.runtime, exported.runtime.encode(pixels), exported.manifest.architecture, decoding
    )
    for image, (best,) in enumerate(found):
        memory = exported.memory(pixels[image : image + 1])
        tokens, score = plain_beam_search(exported.system, memory, beams=3, longest=6, penalty=0.7)
        assert best.tokens == tokens
        assert best.score == pytest.approx(score, abs=1e-3)


def plain_beam_search(
    system: CaptionSystem, memory: Any, *, beams: int, longest: int, penalty: float
) -> tuple[tuple[int, ...], float]:
    """Beam search as one would write it on a blackboard: no batch, no cache, no shortcut."""
    alive: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    ended: list[tuple[tuple[int, ...], float]] = []
    for length in range(longest + 1):
        continued = []
        for tokens, total in alive:
            log_probs = next_log_probs(system, memory, tokens)
            log_probs[[PAD_ID, START_ID, UNKNOWN_ID]] = -torch.inf
            allowed = [END_ID] if length == longest else range(len(log_probs))
            continued += [((*tokens, token), total + float(log_probs[token])) for token in allowed]
        best = sorted(continued, key=lambda one: -one[1])[: 2 * beams]
        ended += [
            (tokens[:-1], total / len(tokens) ** penalty) for tokens, total in best if tokens[-1] == END_ID
        ]
        alive = [one for one in best if one[0][-1] != END_ID][:beams]
    return max(ended, key=lambda one: one[1])


@torch.no_grad()
def next_log_probs(system: CaptionSystem, memory: Any, tokens: tuple[int, ...]) -> Tensor:
    captioner = system.captioner
    state = captioner.initial(memory, 1)
    for token in (START_ID, *tokens):
        logits, state, _ = captioner.step(torch.tensor([[token]]), state, memory)
    return logits[0, 0].log_softmax(-1)


def test_a_bundle_says_what_it_is_and_captions_photos(exported: Exported) -> None:
    manifest = exported.manifest
    assert (manifest.name, manifest.version, manifest.architecture.grid) == ("tiny", "1.2.3", (ROWS, COLUMNS))
    assert manifest.preprocessing.mode == "crop"
    assert manifest.created
    ((caption,),) = BundleCaptioner(exported.bundle, threads=1).caption(Image.fromarray(photos(1)[0]))
    assert caption.words
    assert caption.attention is not None
    assert caption.attention.shape == (len(caption.words), ROWS, COLUMNS)


def test_exporting_leaves_the_system_as_it_was(exported: Exported) -> None:
    assert exported.was_training
