"""The model that ships, as a writer: it writes word by word, and takes back a word that breaks a rule."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

import numpy as np
from numpy.typing import NDArray

from cutline.errors import OptionError
from cutline.styles.causal import SENTENCE_ENDS, CausalModel, Context
from cutline.styles.guard import EMOJI, MAX_EMOJI, parse, rejects
from cutline.styles.support import (
    HASHTAG,
    all_words,
    data_lines,
    function_words,
    is_english,
    pictures,
    related,
    words,
)
from cutline.styles.voice import Voice
from cutline.styles.writing import Task, Written

TEMPERATURE = 0.5
TOP_P = 0.92
GUIDANCE = 1.7
PLAUSIBLE = 4.0  # nats below the likeliest token
PLAIN = "plain"
TRIES_PER_WORD = 12
_NEARLY = 0.7  # of the longest length: from there on the next end of a sentence ends the caption
_HALF = 0.5  # of it: from there on a sentence is more and more pressed to end
_PRESSURE = 8.0  # nats, where the longest length is reached


LANGUAGE = "en"


def folder() -> Traversable:
    """Where the model that ships is, if it is there."""
    return resources.files("cutline.styles") / "data" / "model"


def built_in_writer() -> BuiltInWriter:
    """The model that ships. Raises BundleMissing, BundleDamaged."""
    return BuiltInWriter(CausalModel(folder()))


def prompt(description: str, voice: Voice) -> str:
    """What the model reads before it writes, in training as in use."""
    emoji = "; emoji" if voice.emoji else ""
    return f"{description}\n{voice.tone}; {voice.audience}; {voice.length}; {voice.hashtags}{emoji}\n"


class BuiltInWriter:
    """A Writer of a `CausalModel`. Words are sampled from the likeliest (Holtzman et al., 2020: top-p)."""

    def __init__(self, model: CausalModel) -> None:
        self._model = model
        self.name = model.name
        self.version = model.version
        self.prompt_version = model.prompt_version

    def write(self, task: Task, *, seed: int) -> Generator[Written, None, None]:
        """As Writer. Raises OptionError for another language than English."""
        if not is_english(task.voice.language):
            raise OptionError(
                "The language model that ships writes English.", hint="Name another one for other languages."
            )
        asked = prompt(task.description, task.voice)
        plain = prompt(task.description, replace(task.voice, tone=PLAIN))
        context = _Context(self._model, self._read(asked), self._read(plain) if plain != asked else None)
        draft = _Draft(self._model, task, _random(seed, asked), context)
        while (word := draft.next_word()) is not None:
            yield word
        yield from draft.hashtags()

    def _read(self, asked: str) -> Context:
        return self._model.read(self._model.encode(asked)[-self._model.max_tokens // 2 :])


@dataclass(frozen=True, slots=True)
class _Context:
    """What was read in the tone that is asked for, and the same in a plain one."""

    model: CausalModel
    asked: Context
    plain: Context | None

    def after(self, tokens: list[int]) -> _Context:
        """The context after some more tokens."""
        plain = self.plain and self.model.read(tokens, self.plain)
        return _Context(self.model, self.model.read(tokens, self.asked), plain)

    def odds(self, *, pressure: float = 0.0) -> NDArray[np.float32]:
        """The next token's odds, as logarithms, with what sets the tone apart from a plain one made stronger.

        Classifier-free guidance (Sanchez et al., 2023), among the tokens that are likely without it.
        pressure: nats by which the end of a sentence is likelier.
        """
        asked: NDArray[np.float32] = self.asked.log_probs
        # Only where it might have ended: the more pressing, the less likely an end will do.
        may_end = self.model.ends_sentence & (asked > asked.max() - PLAUSIBLE - pressure / 2)
        asked = asked + (pressure * may_end).astype(np.float32)
        if self.plain is None:
            return asked
        guided = asked + (GUIDANCE - 1) * (self.asked.log_probs - self.plain.log_probs)
        odds: NDArray[np.float32] = np.where(asked > asked.max() - PLAUSIBLE, guided, asked - _FAR)
        return odds


def _random(seed: int, asked: str) -> np.random.Generator:
    """Random numbers of a seed and a prompt: captions of two photos with one seed have nothing in common."""
    digest = hashlib.sha256(f"{seed}\n{asked}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


@dataclass(slots=True)
class _Draft:
    """A caption as far as it is written. ``text`` holds whole words alone, each of them checked."""

    model: CausalModel
    task: Task
    random: np.random.Generator
    context: _Context
    text: str = ""
    tokens: int = 0
    drawn: int | None = None  # the token that ended the last word, and begins the next

    def next_word(self) -> Written | None:
        """The next word of the body; None at its end."""
        fewest, most = self.task.voice.length.chars
        if self.text.endswith(SENTENCE_ENDS) and len(self.text) > _NEARLY * most:
            return None
        ends = {self.model.end_id, *self.model.encode("\n")[:1]}
        banned: set[int] = (
            ends if len(self.text) < fewest or not related(self.text, self.task.sources) else set()
        )
        for _ in range(TRIES_PER_WORD):
            word = self._word(banned)
            if word is None:
                return None
            if self._is_right(self.text + word.text) and "#" not in word.text:
                return self._take(word)
            banned.add(word.tokens[0])
        return None

    def hashtags(self) -> Generator[Written, None, None]:
        """As many hashtags as are wanted, as far as right ones come to the model's mind."""
        wanted = self.task.voice.hashtags
        found: set[str] = set()
        banned: set[int] = set()
        for _ in range(TRIES_PER_WORD * wanted):
            if len(found) == wanted or self.tokens > self.model.max_tokens:
                return
            word = self._word(banned, lead=" #" if found else "\n#")
            tag = "" if word is None else word.text.strip()
            if word and HASHTAG.fullmatch(tag) and tag not in found and self._is_right(self.text + word.text):
                found.add(tag)
                banned = set()
                yield self._take(word)
            elif word:
                banned.add(word.tokens[0])

    def _take(self, word: _Word) -> Written:
        self.text += word.text
        self.tokens += len(word.tokens)
        self.context = word.context
        self.drawn = word.drawn
        return Written(text=word.text, log_prob=word.log_prob)

    def _is_right(self, text: str) -> bool:
        said = parse(text)
        if _BROKEN.search(said.body) or "/ /" in text or _is_repetitive(said.body):
            return False
        given = " ".join((*self.task.sources, self.task.voice.tone))
        if not all_words(str(said)) - all_words(given) <= known_words():
            return False
        if len(EMOJI.findall(said.body)) > (MAX_EMOJI if self.task.voice.emoji else 0):
            return False
        if pictures(said.body, self.task.sources):
            return False
        if len(said.body) > self.task.voice.length.chars[1]:
            return False
        return not rejects(said, self.task.voice, self.task.sources)

    def _word(self, banned: set[int], *, lead: str = "") -> _Word | None:
        """Sample tokens up to where the next word begins. None where the caption ends instead."""
        context = self.context
        text, log_prob = "", 0.0
        tokens: list[int] = []
        drawn = None
        if lead:
            context = context.after(self.model.encode(lead))
        while len(tokens) < _MOST_TOKENS_OF_A_WORD:
            if not tokens:
                token = self._first(banned, context, lead=lead)
            else:
                may_be_pressed = not lead and not text.endswith(SENTENCE_ENDS)
                pressure = self._pressure(len(self.text) + len(text)) if may_be_pressed else 0.0
                token = _sample(context.odds(pressure=pressure), self.random)
            decoded = self.model.decode([*tokens, token])
            if token == self.model.end_id or (tokens and _begins_another(decoded[len(text) :])):
                drawn = token
                break
            log_prob += float(context.asked.log_probs[token])
            tokens.append(token)
            text = decoded
            context = context.after([token])
        if not tokens or text.startswith("\n"):
            return None
        return _Word(text=lead + text, tokens=tokens, log_prob=log_prob, context=context, drawn=drawn)

    def _pressure(self, chars: int) -> float:
        """How much a sentence is to end that makes the body that many characters long."""
        most = self.task.voice.length.chars[1]
        return _PRESSURE * max(0.0, chars / most - _HALF) / (1 - _HALF)

    def _first(self, banned: set[int], context: _Context, *, lead: str) -> int:
        """The first token of a word: the one that was drawn, else one that begins a word as well."""
        if lead or self.drawn is None:
            return _sample(context.odds(), self.random, banned)
        if self.drawn not in banned:
            return self.drawn
        return _sample(np.where(self.model.begins_word, context.odds(), -np.inf), self.random, banned)


_MOST_TOKENS_OF_A_WORD = 16
_BROKEN = re.compile(r"\ufffd|\w{2}[.!?,;:]+[^\W\d]")
_MOST_OF_A_WORD = 3


@cache
def known_words() -> frozenset[str]:
    """The words that may be written beside those that were given: a model of syllables makes up others."""
    return frozenset(data_lines("words.txt"))


def _is_repetitive(body: str) -> bool:
    """Whether the last word of a text stands there before it, too often, or ends what was said before."""
    said = words(body)
    if len(said) < 2:
        return False
    if said[-1] == said[-2] or (said[-1] not in function_words() and said.count(said[-1]) > _MOST_OF_A_WORD):
        return True
    threes = list(zip(said, said[1:], said[2:], strict=False))
    return bool(threes) and threes[-1] in threes[:-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    text: str
    tokens: Sequence[int]
    log_prob: float
    context: _Context
    drawn: int | None


def _begins_another(piece: str) -> bool:
    return piece[:1].isspace()


def _sample(log_probs: NDArray[np.float32], random: np.random.Generator, banned: Collection[int] = ()) -> int:
    """Sample from the likeliest tokens that make up TOP_P together, at TEMPERATURE."""
    scaled = log_probs / TEMPERATURE
    if banned:
        scaled[list(banned)] = -np.inf
    order = np.argsort(-scaled)[:_CANDIDATES]
    odds = np.exp(scaled[order] - scaled[order[0]])
    odds /= odds.sum()
    kept = int(np.searchsorted(np.cumsum(odds), TOP_P)) + 1
    return int(random.choice(order[:kept], p=odds[:kept] / odds[:kept].sum()))


_CANDIDATES = 200
_FAR = 50.0  # nats: such a token is taken where no other one is left
