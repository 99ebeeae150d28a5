"""A Hugging Face image-to-text model as a captioner: ``cutline.load("hf:FOLDER")``.

The one module of captioning that needs torch and transformers; it is imported only when such a model is
asked for. A vision-encoder-decoder can also be exported to a bundle, and then runs many times faster.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from cutline.captioning.options import OPTIONS, DecodingOptions, Strategy, check_choices
from cutline.captioning.protocol import Caption, ModelInfo, as_list
from cutline.errors import CaptionerUnavailable, MissingExtra, OptionError
from cutline.images import open_image

if TYPE_CHECKING:
    from PIL import Image

    from cutline.captioning.protocol import Sources

BATCH_SIZE = 8
DEFAULT_LENGTH = 30


class HuggingFaceCaptioner:
    """A model that transformers loads, from a folder or by its name on the hub.

    Raises MissingExtra without torch and transformers, CaptionerUnavailable where the model does not load.
    What an option leaves None is as the model's own generation config has it. Log-probabilities are of the
    tokens after the prefix. There are no attention maps.
    """

    version = "unversioned"

    def __init__(self, place: str, *, batch_size: int = BATCH_SIZE) -> None:
        self._torch = _library("torch")
        transformers = _library("transformers")
        try:
            self._model: Any = transformers.AutoModelForImageTextToText.from_pretrained(place).eval()
            self._processor: Any = transformers.AutoImageProcessor.from_pretrained(place)
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(place)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise CaptionerUnavailable(
                f"No image-to-text model could be loaded from {place}: {_first_line(error)}",
                hint="Name a folder saved by transformers, with processor and tokenizer.",
            ) from error
        self.name = PurePath(place).name
        self._batch_size = batch_size

    def about(self) -> ModelInfo:
        """Its name; nothing else is known."""
        return ModelInfo(name=self.name, version=self.version)

    def caption(
        self, images: Sources, *, n: int = 1, options: DecodingOptions | None = None
    ) -> list[list[Caption]]:
        """As Captioner."""
        asked = options or DecodingOptions()
        settings = self._settings(asked, n)
        prefix = self._prefix(asked.prefix) if asked.prefix else []
        opened = [open_image(image) for image in as_list(images)]
        return [
            captions
            for start in range(0, len(opened), self._batch_size)
            for captions in self._batch(opened[start : start + self._batch_size], asked, settings, prefix, n)
        ]

    def _batch(
        self,
        images: Sequence[Image.Image],
        asked: DecodingOptions,
        settings: Mapping[str, Any],
        prefix: list[int],
        n: int,
    ) -> Iterator[list[Caption]]:
        if not self._samples(settings):
            yield from self._generate(images, settings, prefix, n)
            return
        for image in images:  # alone, so that what is drawn does not depend on the others
            with self._torch.random.fork_rng(devices=[]):
                if asked.seed is None:
                    self._torch.seed()
                else:
                    self._torch.manual_seed(_seed_of(image, asked.seed))
                yield from self._generate([image], settings, prefix, n)

    def _generate(
        self, images: Sequence[Image.Image], settings: Mapping[str, Any], prefix: list[int], n: int
    ) -> list[list[Caption]]:
        inputs = {"pixel_values": self._processor(images=list(images), return_tensors="pt")["pixel_values"]}
        if prefix:
            inputs |= self._prompt(prefix, len(images))
        with self._torch.inference_mode():
            found = self._model.generate(
                **inputs, **settings, return_dict_in_generate=True, output_logits=True
            )
            log_probs = self._writer.compute_transition_scores(
                found.sequences, found.logits, getattr(found, "beam_indices", None), normalize_logits=True
            )
        captions = [
            self._written(tokens, scores)
            for tokens, scores in zip(found.sequences.tolist(), log_probs.tolist(), strict=True)
        ]
        return [captions[start : start + n] for start in range(0, len(captions), n)]

    def _written(self, tokens: list[int], scores: list[float]) -> Caption:
        """Write a caption of the tokens, of which only the last ones, the generated, have scores."""
        generated = tokens[len(tokens) - len(scores) :]
        length = generated.index(self._end_id) + 1 if self._end_id in generated else len(generated)
        text = self._tokenizer.decode(tokens, skip_special_tokens=True).strip()
        return Caption(
            text=text,
            log_prob=float(sum(scores[:length])),
            token_log_probs=tuple(scores[:length]),
            words=tuple(text.split()),
        )

    def _settings(self, asked: DecodingOptions, n: int) -> dict[str, Any]:
        """The options as transformers names them. Raises OptionError for those that it lacks."""
        check_choices(asked, n=n)
        if asked.no_repeat_words:
            raise OptionError("no_repeat_words is not available for Hugging Face models.")
        if asked.diversity and n > 1:
            raise OptionError("diversity is not available for Hugging Face models.")
        prefix = len(self._prefix(asked.prefix)) if asked.prefix else 0
        settings: dict[str, Any] = {"num_return_sequences": n}
        if asked.max_length is not None:  # ours leaves out the end token, theirs the prefix
            settings["max_new_tokens"] = max(asked.max_length - prefix, 0) + 1
            settings["forced_eos_token_id"] = self._end_id
        elif not any(
            (self._writer.generation_config.max_new_tokens, self._writer.generation_config.max_length)
        ):
            settings["max_new_tokens"] = DEFAULT_LENGTH  # not every model says when to stop
        if asked.min_length is not None:
            settings["min_new_tokens"] = max(asked.min_length - prefix, 0)
        same = {
            "length_penalty": asked.length_penalty,
            "no_repeat_ngram_size": asked.no_repeat_ngram,
            "temperature": asked.temperature,
            "top_k": asked.top_k,
            "top_p": asked.top_p,
        }
        settings |= {name: value for name, value in same.items() if value is not None}
        return settings | self._strategy(asked, n)

    def _strategy(self, asked: DecodingOptions, n: int) -> dict[str, Any]:
        own = self._writer.generation_config
        strategy = asked.strategy
        if strategy is None and own.do_sample:
            strategy = Strategy.SAMPLE
        if strategy is Strategy.SAMPLE:
            top = {"top_k": 0} if asked.top_k is None and asked.strategy is not None else {}
            return {"do_sample": True, "num_beams": 1, **top}
        if strategy is Strategy.GREEDY:
            return {"do_sample": False, "num_beams": 1}
        usual = OPTIONS["beam_size"].default if strategy is Strategy.BEAM else (own.num_beams or 1)
        return {"do_sample": False, "num_beams": max(n, asked.beam_size or usual)}

    def _prefix(self, text: str) -> list[int]:
        tokens: list[int] = self._tokenizer.encode(
            text.strip(), add_special_tokens=False, split_special_tokens=True
        )
        unknown = self._tokenizer.unk_token_id
        if unknown is not None and unknown in tokens and unknown != self._end_id:
            raise OptionError(f"The prefix {text!r} has a word that this model does not know.")
        return tokens

    def _prompt(self, prefix: list[int], images: int) -> dict[str, Any]:
        """The prefix as the model expects it. Raises OptionError if it takes none."""
        kind = self._model.config.model_type
        if kind == "blip":  # it puts its own start token first, and drops the last one
            return {"input_ids": self._torch.tensor([[0, *prefix, 0]] * images)}
        if kind == "vision-encoder-decoder":
            start = self._model.generation_config.decoder_start_token_id
            return {"decoder_input_ids": self._torch.tensor([[start, *prefix]] * images)}
        raise OptionError(f"Models of the kind {kind} do not support a prefix.")

    def _samples(self, settings: Mapping[str, Any]) -> bool:
        return bool(settings["do_sample"])

    @property
    def _writer(self) -> Any:
        """The part of the model that writes: BLIP's generate is that of its text decoder."""
        return self._model.text_decoder if self._model.config.model_type == "blip" else self._model

    @property
    def _end_id(self) -> int:
        if self._model.config.model_type == "blip":
            return int(self._model.config.text_config.sep_token_id)
        end: int | list[int] = self._model.generation_config.eos_token_id
        return end[0] if isinstance(end, list) else end


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(
            f"Hugging Face models need {name}, which is not installed.",
            hint="Install it with: pip install 'cutline[train]'",
        ) from error


def _seed_of(image: Image.Image, seed: int) -> int:
    """An image's own seed, of the given seed and its pixels, whatever its position in a batch."""
    digest = hashlib.blake2b(image.tobytes(), digest_size=8, key=str(seed).encode()).digest()
    return int.from_bytes(digest[:7])


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
