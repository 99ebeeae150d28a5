"""Texts of posts as captions, with hashtags, mentions and links apart."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

# Letters as hashtags have them: \w lacks the vowel signs of Indian scripts and Thai, and joiners.
_LETTER = r"[\w\u0300-\u036f\u0900-\u0dff\u0e31-\u0e4e\u200c\u200d]"
_HASHTAG = re.compile(rf"(?<![\w&/])[#\uff03](?=\d*[^\W\d])({_LETTER}+)")
_LINK = re.compile(
    r"\b(?:https?://|www\.)[^\s<>\"]+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|io|co|me|de|uk|ly|gl|app|blog|be)/[^\s<>\"]*",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
_NAME = r"@[\w.]*\w(?:@[\w-]+(?:\.[\w-]+)+)?"
_MENTION = re.compile(rf"(?<![\w@./])({_NAME})")
# "with @ann and @bob" goes as a whole: nothing may be left of it that ends in the air.
_JOINED = re.compile(
    rf"(?:(?<!\w)(?:with|w/|by|via|cc|feat\.?|ft\.?|photo by|and|&|\+|,|\U0001f4f7:?)\s*)*"
    rf"(?<![\w@./]){_NAME}",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_OF_SCRIPT_WITHOUT_SPACES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff]")
_FILE_NAME = re.compile(
    r"(?:(?:img|image|dsc[nf]?|dscf|pxl|mvimg|vid|gopr|p|photo|foto|bild|screen ?shot|wp|dji|scan|untitled)"
    r"[\s_-]*[\d\s_().:-]*(?:at [\d.: ]+(?:[ap]m)?)?|[\d\s_().:-]+)(?:\.\w{2,4})?",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z\u00df-\u00ff])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_")
_OPEN = re.compile(  # a sentence cannot end here: "on the #beach"
    r"(?<![\w#])(?:the|an?|my|our|your|his|her|their|this|that|these|those|some|of|in|on|at|to|from|for|into|near|is|are"
    r"|der|die|das|ein|eine|im|am|vom|le|la|les|un|une|du|des|el|los|las|una|del|il|lo|uma|o|os|as)\s+$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])\s+")
_LOOSE = " \t-\u2013\u2014|:\u2022\u00b7,;/\\>\u2193\u2192\u2b07\ufe0f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """A text, "" where nothing is left, and what stood in it besides; without # and @."""

    caption: str
    hashtags: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


def clean(text: str) -> Cleaned:
    """Take hashtags, mentions and links out of a text.

    Hashtags at the end, or on lines of their own, go; within a sentence their words stay: "my #LittleDog
    runs" becomes "my Little Dog runs".
    """
    text = unicodedata.normalize("NFC", html.unescape(text)).replace("\u200b", "").replace("\ufeff", "")
    links = tuple(dict.fromkeys(_LINK.findall(text)))
    text = _LINK.sub(" ", text)
    mentions = tuple(dict.fromkeys(name[1:] for name in _MENTION.findall(text)))
    hashtags = tuple(dict.fromkeys(_HASHTAG.findall(text)))
    lines = [line for line in map(_clean_line, text.splitlines()) if line]
    return Cleaned(caption=_joined(lines), hashtags=hashtags, mentions=mentions, links=links)


def _clean_line(line: str) -> str:
    line = _EMAIL.sub(" ", _JOINED.sub(" ", line))
    line = _HASHTAG.sub(lambda match: _CAMEL.sub(" ", match[1]), line[: _end_of_text(line)])
    line = re.sub(r"\(\s*\)|\[\s*\]", " ", line)
    line = re.sub(r"\s+([.,!?;:])", r"\1", " ".join(line.split()))
    line = re.sub(r",(?=[,.!?;:])", "", line)
    return line.strip(_LOOSE) if _WORD.search(line) else ""


def _end_of_text(line: str) -> int:
    """Where the hashtags begin that a line ends with; one that a sentence needs is part of the text."""
    end = len(line)
    for tag in reversed(list(_HASHTAG.finditer(line))):
        if _WORD.search(line[tag.end() : end]):
            break
        end = tag.start()
        if _OPEN.search(line[:end]):
            return tag.end()
    return end


def _joined(lines: list[str]) -> str:
    """Lines as sentences: one that ends without a mark gets a full stop, unless it is the last."""
    *before, last = lines or [""]
    return " ".join(
        [*(line if line[-1] in ".!?\u2026\u3002\uff01\uff1f" else f"{line}." for line in before), last]
    )


def words_in(text: str) -> int:
    """How many words a text has; of scripts without spaces, how many characters."""
    dense = len(_OF_SCRIPT_WITHOUT_SPACES.findall(text))
    return dense + sum(1 for word in _WORD.findall(text) if not _OF_SCRIPT_WITHOUT_SPACES.search(word))


def is_file_name(text: str) -> bool:
    """Whether a text is what a camera or a program calls photos: IMG_1234, DSC01234.JPG, Untitled."""
    return _FILE_NAME.fullmatch(text.strip()) is not None


def shortened(text: str, max_words: int) -> str:
    """As many whole sentences as have so many words; "" where the first has more."""
    kept: list[str] = []
    count = 0
    for sentence in _sentences(text):
        count += words_in(sentence)
        if count > max_words:
            break
        kept.append(sentence)
    return " ".join(kept)


def _sentences(text: str) -> Iterator[str]:
    yield from filter(None, _SENTENCE.split(text))
