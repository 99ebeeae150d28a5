"""Token ids to words to a sentence, and a prefix's text to token ids.

A thin layer over Hugging Face ``tokenizers``. Words are the unit that people see: log-probabilities are of
tokens, attention maps are of words, and ``Words.spans`` joins the two.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer as Fast

from cutline.captioning.bundle import TOKENIZER, Bundle, TextStyle
from cutline.errors import BundleDamaged, OptionError

_CLINGS_LEFT = re.compile(r"[.,;:!?%)\]}\u2019'\u2026]+|n['\u2019]t|['\u2019](?:s|re|ll|ve|m|d|t|em)")
_CLINGS_RIGHT = frozenset("([{$#£€")
_CLINGS_BOTH = frozenset("-/\u2013")
_QUOTE = '"'
_ENDS = ".!?\u2026"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words of a caption, as spaced; ``spans`` are the [start, stop) of each one's tokens."""

    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


class Tokenizer:
    """A bundle's tokenizer. Raises BundleDamaged if tokenizer.json is invalid, or not of this model."""

    def __init__(self, bundle: Bundle) -> None:
        architecture = bundle.manifest.architecture
        try:
            self._fast = Fast.from_str(bundle.files[TOKENIZER].decode())
        except Exception as error:  # the Rust library raises bare Exception
            raise BundleDamaged(
                f"{TOKENIZER} of {bundle.where} is not a valid tokenizer: {error}."
            ) from error
        self._fast.encode_special_tokens = True  # "<end>" in a prefix is text, and no token
        size = self._fast.get_vocab_size(with_added_tokens=True)
        if size != architecture.vocabulary:
            raise BundleDamaged(
                f"{TOKENIZER} of {bundle.where} has {size} tokens; the model has {architecture.vocabulary}."
            )
        self._special = {
            architecture.unknown_id,
            architecture.start_id,
            architecture.end_id,
            architecture.pad_id,
        }
        self._style = bundle.manifest.text
        self._is_word_level = type(self._fast.model).__name__ == "WordLevel"
        ids = map(self._fast.token_to_id, self._style.function_words)
        known = tuple(token for token in ids if token is not None)
        self._function_words = known if self._is_word_level else None
        self._continuation = _text_attribute(self._fast.model, "continuing_subword_prefix")
        self._end_of_word = _text_attribute(self._fast.model, "end_of_word_suffix")
        self._word = functools.lru_cache(maxsize=2**16)(self._decode)

    def words(self, tokens: Sequence[int]) -> Words:
        """Group the tokens of a caption, special ones left out, into words."""
        if not tokens:
            return Words(words=(), spans=())
        starts = [i for i, token in enumerate(tokens) if i == 0 or self._starts_word(tokens[i - 1], token)]
        pieces = [
            (self._word(tuple(tokens[start:stop])), (start, stop))
            for start, stop in zip(starts, [*starts[1:], len(tokens)], strict=True)
        ]
        return _spaced(pieces)

    def sentence(self, words: Sequence[str]) -> str:
        """Write the words as the bundle's text style says: capital letter, full stop."""
        return sentence(words, self._style)

    def ids(self, text: str) -> list[int]:
        """The token ids of a text in lower case; a word that the model does not know is its unknown token."""
        return list(self._fast.encode(text.lower(), add_special_tokens=False).ids)

    def prefix_ids(self, text: str) -> tuple[int, ...]:
        """The token ids of a prefix. Raises OptionError for a word that the model does not know."""
        for variant in (text, text.lower()):
            encoding = self._fast.encode(variant, add_special_tokens=False)
            strange = [i for i, token in enumerate(encoding.ids) if token in self._special]
            if not strange:
                return tuple(encoding.ids)
        start, stop = encoding.offsets[strange[0]]
        raise OptionError(
            f"This model does not know the word {variant[start:stop]!r} of the prefix.",
            hint="Choose another word, or put it before the caption yourself.",
        )

    def repeatable_ids(self) -> tuple[int, ...]:
        """The token ids that no_repeat_words lets occur twice: those of the bundle's function words.

        Raises OptionError where the model's tokens are parts of words.
        """
        ids = self.function_word_ids()
        if ids is None:
            raise OptionError(
                "no_repeat_words needs a model whose tokens are words; this model's are parts of words."
            )
        return ids

    def function_word_ids(self) -> tuple[int, ...] | None:
        """The token ids of the bundle's function words, as far as the model knows them.

        None where the model's tokens are parts of words.
        """
        return self._function_words

    def token_of(self, word: str) -> int | None:
        """The one token that is this word within a sentence; None where it is several, or unknown."""
        ids = self._fast.encode(f" {word}", add_special_tokens=False).ids
        return ids[0] if len(ids) == 1 and ids[0] not in self._special else None

    def _decode(self, tokens: tuple[int, ...]) -> str:
        if self._is_word_level:
            return self._piece(tokens[0])
        return self._fast.decode(list(tokens), skip_special_tokens=True).strip()

    def _starts_word(self, before: int, token: int) -> bool:
        if self._is_word_level:
            return True
        piece = self._piece(token)
        if self._end_of_word:
            return self._piece(before).endswith(self._end_of_word)
        if self._continuation:
            return not piece.startswith(self._continuation)
        return piece.startswith(("\u0120", "\u2581"))  # ByteLevel's and Metaspace's sign for a space

    def _piece(self, token: int) -> str:
        return self._fast.id_to_token(token) or ""


def sentence(words: Sequence[str], style: TextStyle) -> str:
    """Join words to a sentence.

    >>> sentence(["a", "dog", "runs"], TextStyle())
    'A dog runs.'
    """
    text = " ".join(words)
    if style.sentence_case:
        text = re.sub(r"\bi\b(?=$|[ '\u2019])", "I", text)
        text = text[:1].upper() + text[1:]
    if style.full_stop and text and not text.endswith(tuple(_ENDS)):
        text = text.rstrip(" ,;:-") + "."
    return text


def _spaced(pieces: list[tuple[str, tuple[int, int]]]) -> Words:
    """Remove the spaces around punctuation, contractions, hyphens and brackets."""
    words: list[str] = []
    spans: list[tuple[int, int]] = []
    glue, quoted = False, False
    for text, span in pieces:
        opens = text == _QUOTE and not quoted
        closes = text == _QUOTE and quoted
        clings = closes or text in _CLINGS_BOTH or (not opens and _CLINGS_LEFT.fullmatch(text) is not None)
        if not text or (words and (glue or clings)):
            words[-1:] = [(words[-1] if words else "") + text]
            spans[-1:] = [(spans[-1][0] if spans else span[0], span[1])]
        else:
            words.append(text)
            spans.append(span)
        quoted = (quoted or opens) and not closes
        glue = opens or text in _CLINGS_RIGHT or text in _CLINGS_BOTH
    return Words(words=tuple(words), spans=tuple(spans))


def _text_attribute(model: object, name: str) -> str:
    value = getattr(model, name, None)
    return value if isinstance(value, str) else ""
