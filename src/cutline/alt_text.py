"""Shorten captions for alternative text at the end of a phrase.

This works by lists, not by grammar: words that a shortened sentence may not end in, and words before which a
phrase ends. A test runs them over real captions.
"""

from __future__ import annotations

from collections.abc import Callable

from cutline.errors import OptionError


def _words(*texts: str) -> frozenset[str]:
    return frozenset(" ".join(texts).split())


_PREPOSITIONS = _words(
    "about above across after against along among around as at atop before behind below beneath beside",
    "between by down during for from in inside into like near of off on onto out over past through to",
    "toward towards under underneath until up upon via with within without next",
)
_JOINING = _words("and or but nor while where when which who whose that because if then than so")
_DETERMINING = _words(
    "a an the this these those his her its their my your our some any each every no another"
)
# What a thing is like: a short text does without.
_DESCRIBING = _words(
    "black white brown red blue green yellow orange pink purple gray grey tan golden dark light bright",
    "big small large little tall short long tiny huge old young new wooden metal plastic wet dry empty",
    "full different beautiful cute pretty colorful colored open busy narrow wide blond blonde",
)
_DANGLING = (
    _PREPOSITIONS
    | _JOINING
    | _DETERMINING
    | _DESCRIBING
    | _words(
        "is are was were be been being am has have had do does did can could will would may very",
        "one two three four five six seven eight nine ten several many few multiple various other both all",
        "front top middle side edge back couple group bunch pair piece holding wearing riding",
    )
)
# A phrase ends before these, except "of" and "to", which belong to the word before them.
_OPENING = (_PREPOSITIONS | _JOINING | _words("is are was were has have")) - _words("of to as out up off")
# Nouns in -ing: a phrase does not end before them.
_THINGS = _words(
    "building ceiling clothing wedding railing painting string ring king wing evening morning swing spring",
    "thing something anything nothing everything awning crossing parking dressing pudding swimming sling",
)

SHORTEST = 10
_STOPS = ".!?"
_PAUSES = ",;:"


def decorator(*, prefix: str, suffix: str, max_chars: int | None) -> Callable[[str], str]:
    """A function that shortens captions, and adds prefix and suffix, which ``max_chars`` counts, too.

    Raises OptionError if no room is left for a caption.
    """
    room = None if max_chars is None else max_chars - len(prefix) - len(suffix)
    if room is not None:
        shorten("", room)  # which checks it

    def decorate(text: str) -> str:
        text = " ".join(text.split())  # an endpoint's model may write several lines
        if room is not None:
            text = shorten(text, room)
        return f"{prefix}{text}{suffix}"

    return decorate


def shorten(text: str, max_chars: int) -> str:
    """Shorten `text` to at most `max_chars` characters: whole words, and whole phrases where possible.

    Raises OptionError for a max_chars below 10, which no sensible caption fits into.
    """
    if max_chars < SHORTEST:
        raise OptionError(f"No caption fits into {max_chars} characters.", hint=f"Allow {SHORTEST} or more.")
    text = " ".join(text.split())
    if len(text) <= max_chars:
        return text
    stop = text[-1] if text[-1] in _STOPS else ""
    words = text.removesuffix(stop).split(" ")
    room = max_chars - len(stop)
    plain = _without_descriptions(words)
    ended = _to_phrase_end(words, room) or _to_phrase_end(plain, room) or _to_whole_word(words, room)
    # No phrase fits: the words that do, or the letters of one very long word.
    ended = ended or _to_whole_word(plain, room) or plain[: _fitting(plain, room)]
    while len(ended) > 1 and _bare(ended[-1]) in _PREPOSITIONS | _JOINING | _DETERMINING:
        ended = ended[:-1]
    short = " ".join(ended).rstrip(_PAUSES + _STOPS + "-") + stop if ended else text[:max_chars]
    return short[0].upper() + short[1:] if text[0].isupper() else short


def _without_descriptions(words: list[str]) -> list[str]:
    """The words without those of _DESCRIBING, and without the conjunctions between them."""
    described = [_bare(word) in _DESCRIBING for word in words]
    return [
        word
        for index, word in enumerate(words)
        if not described[index]
        and not (_bare(word) in _JOINING and all(described[max(index - 1, 0) : index + 2 : 2]))
    ]


def _to_phrase_end(words: list[str], room: int) -> list[str]:
    """The most words that fit and end a phrase; [] if there are none."""
    ends = range(_fitting(words, room), 0, -1)
    return next((words[:end] for end in ends if end == len(words) or _phrase_ends(words, end)), [])


def _to_whole_word(words: list[str], room: int) -> list[str]:
    """The most words that fit and do not end in a word of _DANGLING; [] if there are none."""
    ends = range(_fitting(words, room), 0, -1)
    return next((words[:end] for end in ends if _bare(words[end - 1]) not in _DANGLING), [])


def _fitting(words: list[str], room: int) -> int:
    """The number of words that fit into `room` characters."""
    used = -1
    for count, word in enumerate(words):
        used += 1 + len(word)
        if used > room:
            return count
    return len(words)


def _phrase_ends(words: list[str], end: int) -> bool:
    """Whether words[:end] is a complete phrase, judged by its last word and the next."""
    last, following = words[end - 1], _bare(words[end])
    if _bare(last) in _DANGLING:
        return False
    if last[-1] in _PAUSES + _STOPS:
        return True
    return following in _OPENING or (following.endswith("ing") and following not in _THINGS)


def _bare(word: str) -> str:
    return word.strip(_PAUSES + _STOPS + "\"'()").lower()
