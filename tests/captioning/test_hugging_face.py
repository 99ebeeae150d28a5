"""Real transformers models, tiny and random, saved to a folder; golden against their own generate()."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import cutline
from cutline.captioning.hugging_face import DEFAULT_LENGTH
from cutline.captioning.options import DecodingOptions, Strategy
from cutline.errors import CaptionerUnavailable, ImageMissing, OptionError

# Imported by what needs them: they take longer than all else that is collected here.
MISSING = [name for name in ("torch", "transformers") if find_spec(name) is None]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")]

WORDS = ["<pad>", "<sos>", "<end>", "<unk>", "a", "dog", "runs", "and", "sleeps"]
TEXT = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A folder for each kind of model."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine, threads for such small models mostly wait for each other
    home = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    yield {"vit-gpt2": save_vit_gpt2(home / "vit-gpt2"), "blip": save_blip(home / "blip")}
    torch.set_num_threads(threads)
    transformers.utils.logging.enable_progress_bar()


def fast_tokenizer() -> Any:
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<sos>",
        eos_token="<end>",
        unk_token="<unk>",
    )


def sharpen(model: Any) -> Any:
    """Make a random model sure enough of itself that its sentences differ from photo to photo."""
    import torch

    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1 and "norm" not in name:
                weights.normal_(std=0.6)
    return model.eval()


def save_vit_gpt2(folder: Path) -> Path:
    import transformers
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    sees = transformers.ViTConfig(**SMALL, image_size=16, patch_size=8)
    writes = transformers.GPT2Config(
        vocab_size=9, n_embd=16, n_layer=1, n_head=2, n_positions=32, add_cross_attention=True, **TEXT
    )
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(sees, writes)
    model = sharpen(transformers.VisionEncoderDecoderModel(config=config))
    for each in (model.config, model.generation_config):
        each.decoder_start_token_id, each.pad_token_id, each.eos_token_id = 1, 0, 2
    model.generation_config.max_new_tokens = 6
    model.generation_config.min_new_tokens = 2
    model.save_pretrained(folder)
    fast_tokenizer().save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def save_blip(folder: Path) -> Path:
    import transformers
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    writes = transformers.BlipTextConfig(
        vocab_size=9,
        encoder_hidden_size=16,
        sep_token_id=2,
        max_position_embeddings=32,
        projection_dim=16,
        **SMALL,
        **TEXT,
    )
    sees = transformers.BlipVisionConfig(**SMALL, image_size=16, patch_size=8, projection_dim=16)
    config = transformers.BlipConfig(
        text_config=writes.to_dict(),
        vision_config=sees.to_dict(),
        projection_dim=16,
        image_text_hidden_size=16,
    )
    sharpen(transformers.BlipForConditionalGeneration(config)).save_pretrained(folder)
    processor = BlipImageProcessorPil(size={"height": 16, "width": 16})
    transformers.BlipProcessor(processor, fast_tokenizer()).save_pretrained(folder)
    return folder


@pytest.fixture(params=["vit-gpt2", "blip"])
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


PHOTOS = [Image.linear_gradient("L").rotate(90 * i).convert("RGB") for i in range(4)] + [
    Image.new("RGB", (40, 30), colour) for colour in ("red", "lime", "blue", "white", "black", "teal")
]


def golden(folder: Path, **settings: Any) -> list[list[str]]:
    """What a user of transformers gets, photo by photo."""
    import transformers

    model = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    tokenizer = fast_tokenizer()
    return [
        tokenizer.batch_decode(
            model.generate(**processor(images=photo, return_tensors="pt"), **settings),
            skip_special_tokens=True,
        )
        for photo in PHOTOS
    ]


def texts(captions: list[list[cutline.Caption]]) -> list[list[str]]:
    return [[each.text for each in of_one] for of_one in captions]


def test_beams_are_those_of_transformers_and_differ_between_photos(folder: Path) -> None:
    loaded = cutline.load(f"hf:{folder}")
    assert isinstance(loaded, cutline.Captioner)
    assert loaded.name == folder.name
    options = DecodingOptions(
        strategy=Strategy.BEAM, beam_size=3, min_length=3, max_length=8, length_penalty=0.7
    )
    found = texts(loaded.caption(PHOTOS, n=2, options=options))
    assert found == golden(
        folder,
        num_beams=3,
        num_return_sequences=2,
        min_new_tokens=3,
        max_new_tokens=9,
        length_penalty=0.7,
        forced_eos_token_id=2,
        do_sample=False,
    )
    assert len({each[0] for each in found}) > 1


def test_unasked_it_does_as_the_model_was_saved_to_do(folder: Path) -> None:
    settings = {} if folder.name == "vit-gpt2" else {"max_new_tokens": DEFAULT_LENGTH}
    found = texts(cutline.load(f"hf:{folder}").caption(PHOTOS))
    assert found == golden(folder, **settings)
    assert any(text for (text,) in found)


def test_log_probs_are_those_of_the_tokens(folder: Path) -> None:
    loaded = cutline.load(f"hf:{folder}")
    greedy = DecodingOptions(strategy=Strategy.GREEDY, max_length=6)
    drawn = DecodingOptions(strategy=Strategy.SAMPLE, seed=1, max_length=6, temperature=3.0)
    for options in (greedy, drawn):
        for (caption,) in loaded.caption(PHOTOS, options=options):
            assert 1 <= len(caption.token_log_probs) <= 7
            assert all(each <= 0 for each in caption.token_log_probs)
            assert caption.log_prob == pytest.approx(sum(caption.token_log_probs))


def test_log_probs_are_what_one_pass_over_the_sentence_gives(folder: Path) -> None:
    options = DecodingOptions(strategy=Strategy.BEAM, beam_size=4, prefix="a dog", min_length=3, max_length=3)
    found = [each for (each,) in cutline.load(f"hf:{folder}").caption(PHOTOS, options=options)]
    whole = [each for each in found if len(each.words) == 3]  # special tokens are no words
    assert whole
    for photo, caption in zip(PHOTOS, found, strict=True):
        if caption in whole:
            tokens = [1, *(WORDS.index(word) for word in caption.words), 2]
            wanted = one_pass(folder, photo, tokens)
            assert caption.token_log_probs == pytest.approx(wanted[2:], abs=1e-4)


def one_pass(folder: Path, photo: Image.Image, tokens: list[int]) -> list[float]:
    """The log-probability of each token after the first, by the model's own forward pass."""
    import torch
    import transformers

    model = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    pixels = processor(images=photo, return_tensors="pt")["pixel_values"]
    told = torch.tensor([tokens[:-1]])
    with torch.inference_mode():
        if folder.name == "blip":
            seen = model.vision_model(pixel_values=pixels)[0]
            logits = model.text_decoder(input_ids=told, encoder_hidden_states=seen).logits
        else:
            logits = model(pixel_values=pixels, decoder_input_ids=told).logits
    log_probs = logits[0].log_softmax(dim=-1)
    return [float(log_probs[i, token]) for i, token in enumerate(tokens[1:])]


def test_a_prefix_is_kept(folder: Path) -> None:
    loaded = cutline.load(f"hf:{folder}")
    for strategy in Strategy:
        options = DecodingOptions(strategy=strategy, prefix="a dog", max_length=6)
        found = texts(loaded.caption(PHOTOS[:3], options=options))
        assert all(text.startswith("a dog") for (text,) in found)
        assert all(len(text.split()) <= 6 for (text,) in found)
    with pytest.raises(OptionError, match="does not know"):
        loaded.caption(PHOTOS[0], options=DecodingOptions(prefix="a zebra"))


@pytest.mark.parametrize("options", [{"diversity": 0.5}, {"no_repeat_words": True}])
def test_what_transformers_lacks_is_refused(folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="not available for Hugging Face models"):
        cutline.load(f"hf:{folder}").caption(PHOTOS[0], n=2, options=DecodingOptions(**options))


def test_samples_follow_the_seed_and_the_photo_not_its_place(folder: Path) -> None:
    loaded = cutline.load(f"hf:{folder}")
    options = DecodingOptions(strategy=Strategy.SAMPLE, seed=4, temperature=2.0, max_length=8)
    forwards = texts(loaded.caption(PHOTOS, n=2, options=options))
    backwards = texts(loaded.caption(PHOTOS[::-1], n=2, options=options))[::-1]
    assert forwards == backwards
    other = DecodingOptions(seed=5).over(options)
    assert forwards != texts(loaded.caption(PHOTOS, n=2, options=other))


def test_what_cannot_be_loaded_or_read_is_said_so(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CaptionerUnavailable, match="No image-to-text model"):
        cutline.load(f"hf:{tmp_path}")
    with pytest.raises(ImageMissing):
        cutline.load(f"hf:{folder}").caption(tmp_path / "none.jpg")
