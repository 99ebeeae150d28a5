"""What happens to a caption before it becomes tokens, each step an option.

Steps that only rewrite characters (lower-casing, punctuation, numbers) are also stored inside tokenizer.json,
so inference repeats them by itself. Steps that replace whole words (stop words, lemmas, stems) are not: they
change the very sentences that a model learns to write, and serve analysis and comparison with older work.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Literal, TypeAlias, get_args

from tokenizers import Regex, normalizers

from cutline.errors import ConfigError, MissingExtra

Punctuation: TypeAlias = Literal["drop", "keep"]
Numbers: TypeAlias = Literal["keep", "words", "drop"]
TokenizerKind: TypeAlias = Literal["word", "bpe"]

# Two-letter code -> the name of its Snowball stemmer. simplemma knows all of these codes too.
_STEMMERS: Mapping[str, str] = {
    "da": "danish",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "it": "italian",
    "nl": "dutch",
    "pt": "portuguese",
    "sv": "swedish",
}
LANGUAGES = tuple(_STEMMERS)

_SMALL_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip

# English function words. Prepositions of place stay out: in a caption "on" and "under" are content.
_STOP_WORDS = """
    a an the this that these those some any each
    i me my we us our you your he him his she her hers it its they them their theirs
    am is are was were be been being has have had having do does did doing will would shall should can could
    may might must and or but if then than so as of to who whom whose which what there here
    's n't 're 've 'm 'll 'd very just also too
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

_WORD = re.compile(r"[\w'-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig:
    """How captions become tokens.

    punctuation: "drop" keeps letters, digits and the hyphens and apostrophes inside words; "keep" also keeps
    . , ! and ? (quotes, brackets and other symbols always go). numbers: "words" spells zero to twelve out.
    stop_words: True keeps them. minimum_count: words rarer than this in training become <unk>.
    vocabulary_size: the most tokens to keep, the four special ones included.
    """

    lowercase: bool = True
    punctuation: Punctuation = "drop"
    numbers: Numbers = "keep"
    stop_words: bool = True
    lemmatise: bool = False
    stem: bool = False
    minimum_count: int = 1
    tokenizer: TokenizerKind = "word"
    vocabulary_size: int = 10_000
    language: str = "en"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("punctuation", Punctuation),
            ("numbers", Numbers),
            ("tokenizer", TokenizerKind),
        ):
            value = getattr(self, name)
            if value not in get_args(allowed):
                raise ConfigError(
                    f"The text option {name} is {value!r}.",
                    hint=f"Use one of {', '.join(get_args(allowed))}.",
                )
        if self.minimum_count < 1:
            raise ConfigError(
                f"The text option minimum_count is {self.minimum_count}, but must be at least 1."
            )
        if self.vocabulary_size < 5:
            raise ConfigError(f"A vocabulary of {self.vocabulary_size} tokens has no room for words.")
        if self.lemmatise and self.stem:
            raise ConfigError("Choose either lemmatise or stem.")
        if self.language not in _STEMMERS:
            raise ConfigError(
                f"Unknown language {self.language!r}.", hint=f"Use one of {', '.join(LANGUAGES)}."
            )
        if not self.stop_words and self.language != "en":
            raise ConfigError("Stop words are available for English only.", hint="Set stop_words to true.")


@lru_cache(maxsize=16)
def character_normaliser(config: TextConfig) -> normalizers.Normalizer:
    """The steps that rewrite characters, as the part of tokenizer.json that repeats them at inference."""
    steps: list[normalizers.Normalizer] = [
        normalizers.NFKC(),
        normalizers.Replace(Regex(r"\p{Cc}|\p{Cf}"), " "),
        normalizers.Replace(Regex("[\u2018\u2019\u00b4`]"), "'"),
        normalizers.Replace(Regex("[\u2010-\u2015]"), "-"),
        normalizers.Replace(Regex(r"\s*&\s*"), " and "),
    ]
    if config.lowercase:
        steps.append(normalizers.Lowercase())
    kept = "" if config.punctuation == "drop" else ".,!?"
    # Hyphens and apostrophes inside a word belong to it; so do a parted " 's" and the point in 3.5.
    inside = r"(?<=\w)[-'](?=\w)|'(?=(?:s|re|ve|m|ll|d)(?!\w))|(?<=\d)[.,](?=\d)"
    steps.append(normalizers.Replace(Regex(rf"(?!{inside})[^\w\s{kept}]|_"), " "))
    steps.append(normalizers.Replace(Regex(r"(?<=\w)\s+(?=(?:n't|'(?:s|re|ve|m|ll|d))(?!\w))"), ""))
    if config.numbers == "drop":
        steps.append(normalizers.Replace(Regex(r"(?<![\w-])\d+(?:[.,/]\d+)*(?![\w-])"), " "))
    elif config.numbers == "words":
        for value, word in enumerate(_SMALL_NUMBERS):
            steps.append(normalizers.Replace(Regex(rf"(?<![\w-]|\d[.,])0*{value}(?![\w-]|[.,]\d)"), word))
    if kept:
        steps.append(normalizers.Replace(Regex(rf"\s+(?=[{kept}])"), ""))
    return normalizers.Sequence([*steps, normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()])


def normalise_caption(caption: str, config: TextConfig) -> str:
    """The caption as training sees it: words parted by single spaces; may come out empty.

    Raises MissingExtra when lemmatise or stem is on and its library is not installed.
    """
    text: str = character_normaliser(config).normalize_str(caption)
    if not config.stop_words:
        text = _tidied(_WORD.sub(lambda match: "" if _is_stop_word(match[0]) else match[0], text))
    replace = _word_replacer(config)
    return text if replace is None else _WORD.sub(lambda match: replace(match[0]), text)


def _is_stop_word(word: str) -> bool:
    lowered = word.lower()
    return lowered in STOP_WORDS or lowered.removesuffix("n't").removesuffix("'s") in STOP_WORDS


def _tidied(text: str) -> str:
    """No double spaces, and no comma left alone where the word before it went."""
    return re.sub(r"\s+(?=[.,!?])", "", re.sub(r"\s+", " ", text)).strip(" ,")


def _word_replacer(config: TextConfig) -> Callable[[str], str] | None:
    if config.lemmatise:
        return _lemmatiser(config.language)
    return _stemmer(config.language) if config.stem else None


@lru_cache(maxsize=8)
def _lemmatiser(language: str) -> Callable[[str], str]:
    simplemma = _library("simplemma", "lemmatise")
    return lru_cache(maxsize=100_000)(lambda word: str(simplemma.lemmatize(word, lang=language)))


@lru_cache(maxsize=8)
def _stemmer(language: str) -> Callable[[str], str]:
    stemmer = _library("snowballstemmer", "stem").stemmer(_STEMMERS[language])
    return lru_cache(maxsize=100_000)(lambda word: str(stemmer.stemWord(word)))


def _library(name: str, option: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(
            f"The text option {option} needs {name}.", hint="Install it with: pip install 'cutline[train]'"
        ) from error
