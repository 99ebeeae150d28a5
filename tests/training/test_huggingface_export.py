"""A Hugging Face captioner and the bundle made of it write the same tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from click.testing import CliRunner
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

import cutline
from cutline.captioning.bundle import Bundle, read_bundle
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.decoding import decode
from cutline.captioning.options import DecodingOptions, Strategy, resolve
from cutline.captioning.runtime import Runtime, open_runtime
from cutline.cli.huggingface import command
from cutline.errors import CaptionerUnavailable, OutputError
from cutline.images import to_pixels
from cutline.training.huggingface_export import export_hugging_face

SIDE, PATCH = 16, 4
SIZES = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}
WORDS = ["<pad>", "<sos>", "<end>", "<unk>", *(f"word{place}" for place in range(30))]
LONGEST = 8


def save_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<sos>", eos_token="<end>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)


def save(model: Any, folder: Path, *, seed: int) -> Path:
    """Save a model with random weights that are sure enough of themselves to tell photos apart."""
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1 and "norm" not in name.lower():
                weights.normal_(std=0.5, generator=generator)
            elif "bias" in name:
                weights.normal_(std=0.1, generator=generator)
    make_ending_likelier(model)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_std=[0.3, 0.4, 0.5]).save_pretrained(
        folder
    )
    return folder


def make_ending_likelier(model: Any, *, by: float = 1.0) -> None:
    """Raise the logit of <end>, so that captions differ in length."""
    with torch.no_grad():
        writer = getattr(model, "text_decoder", None) or model.decoder
        if hasattr(writer, "cls"):
            writer.cls.predictions.decoder.bias[2] += by
        else:  # GPT-2's head has no bias, but its last norm has
            bias = writer.transformer.ln_f.bias
            writer.transformer.wte.weight[2] += by * bias / bias.square().sum()


def encoder_decoder(writes: Any, *, start: int, end: int, pad: int) -> Any:
    sees = transformers.ViTConfig(
        **{**SIZES, "hidden_size": 24}, num_hidden_layers=1, image_size=SIDE, patch_size=PATCH
    )
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(sees, writes)
    model = transformers.VisionEncoderDecoderModel(config=config)
    for each in (model.config, model.generation_config):
        each.decoder_start_token_id, each.eos_token_id, each.pad_token_id = start, end, pad
    return model


def vit_gpt2(folder: Path) -> Path:
    """As the ViT-GPT2 that people use: one token for start, end and padding; the encoder of another width."""
    writes = transformers.GPT2Config(
        vocab_size=len(WORDS),
        n_embd=16,
        n_layer=2,
        n_head=4,
        n_positions=32,
        bos_token_id=2,
        eos_token_id=2,
        scale_attn_by_inverse_layer_idx=True,
    )
    model = encoder_decoder(writes, start=2, end=2, pad=2)
    model.generation_config.num_beams = 4
    model.generation_config.max_length = 10
    return save(model, folder, seed=1)


def vit_bert(folder: Path) -> Path:
    """With a vocabulary that is larger than the tokenizer's."""
    writes = transformers.BertConfig(
        num_hidden_layers=2, vocab_size=len(WORDS) + 3, **SIZES, max_position_embeddings=32, pad_token_id=0
    )
    return save(encoder_decoder(writes, start=1, end=2, pad=0), folder, seed=2)


def blip(folder: Path) -> Path:
    writes = transformers.BlipTextConfig(
        num_hidden_layers=2,
        vocab_size=len(WORDS),
        encoder_hidden_size=16,
        bos_token_id=1,
        sep_token_id=2,
        eos_token_id=2,
        pad_token_id=0,
        max_position_embeddings=32,
        projection_dim=16,
        **SIZES,
    )
    sees = transformers.BlipVisionConfig(
        **SIZES, num_hidden_layers=1, image_size=SIDE, patch_size=PATCH, projection_dim=16
    )
    config = transformers.BlipConfig(
        text_config=writes.to_dict(),
        vision_config=sees.to_dict(),
        projection_dim=16,
        image_text_hidden_size=16,
    )
    return save(transformers.BlipForConditionalGeneration(config), folder, seed=3)


MODELS = {"vit-gpt2": vit_gpt2, "vit-bert": vit_bert, "blip": blip}


class EndsAtLast(transformers.LogitsProcessor):  # type: ignore[misc]
    """A sentence of LONGEST words ends, at what the end costs there (theirs would give it for nothing)."""

    def __init__(self, end: int) -> None:
        self.end = end

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if input_ids.shape[1] <= LONGEST:
            return scores
        return torch.full_like(scores, -torch.inf).index_copy(
            1, torch.tensor([self.end]), scores[:, [self.end]]
        )


class Twins:
    """A model in a folder, and the bundle that was made of it."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.source = MODELS[kind](folder / f"my {kind}")
        options = ["--version", "2", "--licence", "CC0-1.0"]
        done = CliRunner().invoke(command, [str(self.source), str(folder / "bundle"), *options])
        assert done.exception is None, done.exception
        assert f"my-{kind}@2 is at {folder / 'bundle'}" in done.output
        self.bundle: Bundle = read_bundle(folder / "bundle")
        self.runtime: Runtime = open_runtime(self.bundle, threads=1)
        self.theirs: Any = transformers.AutoModelForImageTextToText.from_pretrained(self.source).eval()
        self.processor: Any = transformers.AutoImageProcessor.from_pretrained(self.source)

    def generate(self, images: list[Image.Image], **settings: Any) -> list[tuple[int, ...]]:
        """What transformers writes, without start, end and padding, under the rules that ours obeys."""
        architecture = self.bundle.manifest.architecture
        end = architecture.end_id
        never = {architecture.pad_id, architecture.start_id, architecture.unknown_id}
        with torch.no_grad():
            found = self.theirs.generate(
                **self.processor(images=images, return_tensors="pt"),
                max_new_tokens=LONGEST + 1,
                logits_processor=transformers.LogitsProcessorList([EndsAtLast(end)]),
                **({"suppress_tokens": [token for token in never if token < len(WORDS)]} | settings),
            ).tolist()
        rows = [row[1:] for row in found]  # the start token
        return [tuple(row[: row.index(end)] if end in row else row) for row in rows]

    def write(self, images: list[Image.Image], **options: Any) -> list[tuple[int, ...]]:
        """What our runtime writes."""
        manifest = self.bundle.manifest
        pixels = np.stack([to_pixels(image, manifest.preprocessing) for image in images])
        decoding = resolve(DecodingOptions(max_length=LONGEST, **options), n=1, longest=LONGEST)
        found = decode(self.runtime, self.runtime.encode(pixels), manifest.architecture, decoding)
        return [best.tokens for (best, *_) in found]

    def score(self, image: Image.Image, tokens: tuple[int, ...], penalty: float) -> float:
        """What a beam search ranks a sentence by, according to the torch model."""
        start, end = {"vit-gpt2": 2, "vit-bert": 1, "blip": 1}[self.kind], 2
        seen = self.processor(images=image, return_tensors="pt")
        fed, wanted = torch.tensor([[start, *tokens]]), torch.tensor([*tokens, end])
        with torch.no_grad():
            if self.kind == "blip":
                looked = self.theirs.vision_model(**seen).last_hidden_state
                logits = self.theirs.text_decoder(fed, encoder_hidden_states=looked).logits
            else:
                logits = self.theirs(**seen, decoder_input_ids=fed).logits
        log_probs = logits[0].log_softmax(-1).gather(1, wanted[:, None])
        return float(log_probs.sum()) / len(wanted) ** penalty


@pytest.fixture(scope="module", params=list(MODELS))
def twins(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    transformers.utils.logging.disable_progress_bar()
    yield Twins(request.param, tmp_path_factory.mktemp("twins"))
    transformers.utils.logging.enable_progress_bar()


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)).resize(
            (40, 30), Image.Resampling.BICUBIC
        )
        for _ in range(12)
    ]


def test_greedy_captions_are_those_of_generate(twins: Twins, images: list[Image.Image]) -> None:
    expected = twins.generate(images, do_sample=False, num_beams=1)
    assert twins.write(images, strategy=Strategy.GREEDY) == expected
    assert len(set(expected)) > 4


@pytest.mark.parametrize("penalty", [0.0, 0.7, 2.0])
def test_beam_captions_are_those_of_generate_or_likelier(
    twins: Twins, images: list[Image.Image], penalty: float
) -> None:
    expected = twins.generate(
        images, do_sample=False, num_beams=3, length_penalty=penalty, early_stopping="never"
    )
    found = twins.write(images, strategy=Strategy.BEAM, beam_size=3, length_penalty=penalty)
    assert sum(mine == theirs for mine, theirs in zip(found, expected, strict=True)) >= len(images) / 2
    for image, mine, theirs in zip(images, found, expected, strict=True):
        if mine != theirs:  # ours also weighs sentences whose end is not among the three best continuations
            assert twins.score(image, mine, penalty) > twins.score(image, theirs, penalty)


def test_the_bundle_is_loaded_like_any_other(twins: Twins, images: list[Image.Image]) -> None:
    ours = BundleCaptioner(twins.bundle, threads=1)
    theirs = cutline.load(f"hf:{twins.source}")
    options = DecodingOptions(strategy=Strategy.GREEDY, max_length=LONGEST)
    greedy: dict[str, Any] = {"do_sample": False, "num_beams": 1}
    bound, free = twins.generate(images, **greedy), twins.generate(images, **greedy, suppress_tokens=None)
    # Theirs may write padding, start and unknown, which ours never does: then the captions must differ.
    plain = [image for image, *both in zip(images, bound, free, strict=True) if both[0] == both[1]]
    assert len(plain) > 2
    for image in plain[:4]:
        ((mine,),), ((other,),) = ours.caption(image, options=options), theirs.caption(image, options=options)
        assert mine.text.rstrip(".").lower() == other.text
        assert mine.log_prob == pytest.approx(other.log_prob, abs=1e-3)
        assert mine.attention is not None
        assert mine.attention.shape == (len(mine.words), SIDE // PATCH, SIDE // PATCH)
        assert (mine.attention.sum((1, 2)) <= 1 + 1e-5).all()


def test_special_tokens_are_told_apart(twins: Twins) -> None:
    architecture = twins.bundle.manifest.architecture
    ids = {architecture.start_id, architecture.end_id, architecture.pad_id, architecture.unknown_id}
    assert len(ids) == 4
    assert architecture.end_id == 2
    # GPT-2 starts and pads with its end token, and gets two more names for it; BERT's was rounded up.
    assert architecture.vocabulary - len(WORDS) == {"vit-gpt2": 2, "vit-bert": 3, "blip": 0}[twins.kind]


def test_preprocessing_and_generation_defaults_are_carried_over(twins: Twins) -> None:
    manifest = twins.bundle.manifest
    decoding = manifest.decoding
    assert (manifest.name, manifest.version, manifest.licence) == (f"my-{twins.kind}", "2", "CC0-1.0")
    assert (manifest.preprocessing.mode, manifest.preprocessing.resample) == ("squash", "bilinear")
    asked = (decoding.strategy, decoding.beam_size, decoding.max_length)
    assert asked == ((Strategy.BEAM, 4, 8) if twins.kind == "vit-gpt2" else (Strategy.GREEDY, 1, 18))


def test_the_command_replaces_nothing_unasked(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "bundle").mkdir()
    refused = CliRunner().invoke(command, [str(tmp_path / "model"), str(tmp_path / "bundle")])
    assert isinstance(refused.exception, OutputError)


@pytest.mark.parametrize("content", [None, {"model_type": "vit"}, {"model_type": "no-such-thing"}])
def test_a_folder_without_a_captioner_is_one_clear_error(tmp_path: Path, content: object) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(CaptionerUnavailable):
        export_hugging_face(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
