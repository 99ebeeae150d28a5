"""The one guard for whatever a language model writes: true to the photo, kind, and as it was asked for.

`check` says what is wrong with a text, `mend` takes away what can be taken away. Neither adds a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from cutline.model_answers import clean_lines
from cutline.refusals import is_refusal
from cutline.styles.support import (
    HASHTAG,
    data_lines,
    is_english,
    pictures,
    related,
    said_words,
    singular,
    unsupported_in,
    words,
)
from cutline.styles.voice import Voice, visible

EMOJI = re.compile(
    "[\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\u3030\u303d\U0001f000-\U0001faff]"
    "(?:[\ufe0f\u200d\U0001f3fb-\U0001f3ff]|(?<=\u200d).)*"
)
MAX_EMOJI = 2
_SENTENCE = re.compile(r"\S.*?(?:[.!?]+(?=\s|$)|$)")


class Fault(StrEnum):
    """A way in which a text breaks the rules. The value is how people are told."""

    EMPTY = "nothing was written"
    REFUSAL = "the model refused"
    UNSUPPORTED = "it says what the description does not support"
    INSULT = "it insults"
    AVOIDED = "it uses a word to avoid"
    TOO_LONG = "it is too long"
    TOO_SHORT = "it is too short"
    HASHTAGS = "it has the wrong number of hashtags"
    EMOJI = "it has emoji where none are wanted, too many, or of what is not there"
    ECHO = "it repeats the instructions"
    MARKUP = "it has a link, an address or code"
    SAME = "it was written before"
    UNRELATED = "it has nothing to do with the description"


GRAVE = frozenset(Fault) - {Fault.TOO_LONG, Fault.TOO_SHORT, Fault.HASHTAGS, Fault.EMOJI}
"""What a text may not be shown with; of the others, a text is still true and kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A caption in its parts. removed: what the guard took away, as it stood."""

    body: str
    hashtags: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.body, *self.hashtags)).strip()


def parse(answer: str) -> Text:
    """A model's answer as a caption: without what models say around it (`clean_lines`), hashtags apart.

    Lines of a poem are joined by " / ".
    """
    lines = [visible(line) for line in clean_lines(answer)]
    tags = tuple(dict.fromkeys(HASHTAG.findall(" ".join(lines))))
    bodies = [" ".join(HASHTAG.sub("", line).split()) for line in lines]
    return Text(body=_SLASHES.sub("/", " / ".join(bodies)).strip(" /"), hashtags=tags)


_SLASHES = re.compile(r"(?<!\S)/(?:\s+/)*(?!\S)")


def check(text: Text, voice: Voice, sources: Sequence[str]) -> tuple[Fault, ...]:
    """The faults of a text. sources: the description, and whatever else supports what is said.

    In languages other than English, things and relations to the description are not looked for.
    """
    fewest, most = voice.length.chars
    emoji = len(EMOJI.findall(text.body))
    found = {
        Fault.EMPTY: not words(text.body),
        Fault.REFUSAL: is_refusal(text.body),
        Fault.UNSUPPORTED: bool(unsupported_in(str(text), voice.language, sources)),
        Fault.INSULT: bool(insults_in(str(text), sources)),
        Fault.AVOIDED: bool(_avoided(str(text), voice)),
        Fault.TOO_LONG: len(text.body) > most,
        Fault.TOO_SHORT: len(text.body) < fewest,
        Fault.HASHTAGS: len(text.hashtags) != voice.hashtags,
        Fault.EMOJI: emoji > (MAX_EMOJI if voice.emoji else 0) or bool(_pictures(text.body, voice, sources)),
        Fault.ECHO: _echoes(text.body, sources),
        Fault.MARKUP: bool(MARKUP.search(str(text))),
        Fault.UNRELATED: is_english(voice.language) and not related(str(text), sources),
    }
    return tuple(fault for fault, is_so in found.items() if is_so)


_TOLD_AT_THE_END = frozenset({Fault.EMPTY, Fault.UNRELATED})
_FLOOD = 2  # times the length that is asked for


def rejects(unfinished: Text, voice: Voice, sources: Sequence[str]) -> bool:
    """Whether a text has a fault that nothing which may follow can mend, or is without end."""
    if len(unfinished.body) > _FLOOD * voice.length.chars[1]:
        return True
    return not (GRAVE - _TOLD_AT_THE_END).isdisjoint(check(unfinished, voice, sources))


def mend(text: Text, voice: Voice, sources: Sequence[str]) -> Text:
    """The text without the hashtags, emoji and sentences that break the rules, and cut to its length.

    What is left may be empty, and is to be checked again.
    """
    tags = _kept_tags(text.hashtags, voice, sources)
    body = text.body if voice.emoji else _without_emoji(text.body, 0)
    for sign in _pictures(body, voice, sources):
        body = " ".join(body.replace(sign, "").split())
    body = _without_emoji(body, MAX_EMOJI)
    body = _within(_supported_sentences(body, voice, sources), voice.length.chars[1])
    removed = [tag for tag in text.hashtags if tag not in tags]
    if body != text.body:
        removed += _lost(text.body, body)
    return Text(body=body, hashtags=tags, removed=(*text.removed, *removed))


def _kept_tags(tags: Iterable[str], voice: Voice, sources: Sequence[str]) -> tuple[str, ...]:
    kept = [tag for tag in tags if not _breaks(tag, voice, sources)]
    return tuple(kept[: voice.hashtags])


def _breaks(text: str, voice: Voice, sources: Sequence[str]) -> bool:
    return bool(
        unsupported_in(text, voice.language, sources)
        or _avoided(text, voice)
        or insults_in(text, sources)
        or MARKUP.search(text)
    )


def _pictures(body: str, voice: Voice, sources: Sequence[str]) -> set[str]:
    return pictures(body, sources) if is_english(voice.language) else set()


def _avoided(text: str, voice: Voice) -> set[str]:
    return said_words(text) & {word for each in voice.avoid for word in words(each)}


def insults_in(text: str, sources: Sequence[str] = ()) -> set[str]:
    """The words of a text that insult, in their singular, but those that its sources have."""
    return {singular(word) for word in said_words(text)} & _insults() - set(words(" ".join(sources)))


def _supported_sentences(body: str, voice: Voice, sources: Sequence[str]) -> str:
    sentences = [each.strip() for each in _SENTENCE.findall(body)]
    kept = [each for each in sentences if each and not _breaks(each, voice, sources)]
    return body if len(kept) == len(sentences) else " ".join(kept)


def _within(body: str, most: int) -> str:
    """The first sentences that fit; nothing where the first one does not."""
    if len(body) <= most:
        return body
    kept = ""
    for sentence in _SENTENCE.findall(body):
        longer = f"{kept} {sentence.strip()}".strip()
        if len(longer) > most:
            break
        kept = longer
    return kept


def _without_emoji(body: str, most: int) -> str:
    seen = 0

    def keep(match: re.Match[str]) -> str:
        nonlocal seen
        seen += 1
        return match[0] if seen <= most else ""

    return " ".join(EMOJI.sub(keep, body).split())


def _lost(before: str, after: str) -> list[str]:
    """What stood before and does not any more: whole sentences, else words and signs."""
    sentences = [each.strip() for each in _SENTENCE.findall(before)]
    gone = [each for each in sentences if each and _without_emoji(each, 0) not in after]
    emoji = [each for each in EMOJI.findall(before) if each not in after]
    return gone + emoji


MARKUP = re.compile(
    r"https?:|www\.|&#?\w+;|\S@\S|(?<!\w)@\w|<[/|!a-z]|\$\(|[{}`\\]|\|\||&&|\]\(|\b\w{2,}\.(?:com|net|org|io|de|ru|info|biz)\b",
    re.IGNORECASE,
)


def _echoes(body: str, sources: Sequence[str]) -> bool:
    """Whether instructions are repeated, which no caption does."""
    said = body.lower()
    given = " ".join(sources).lower()
    return "system prompt" in said or any(mark in said and mark not in given for mark in _MARKS_OF_PROMPTS)


_MARKS_OF_PROMPTS = (
    "description:",
    "tone:",
    "audience:",
    "hashtags:",
    "instructions",
    "json object",
    "as an assistant",
)


@cache
def _insults() -> frozenset[str]:
    return frozenset(data_lines("insults.txt"))
