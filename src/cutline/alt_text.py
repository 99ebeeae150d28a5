"""Cutting a sentence to a length without cutting its sense: captions as alternative text.

There is no grammar here, only lists: of words that a shortened sentence may not end in, and of words before
which a phrase ends. A test holds them against real captions.
"""

from __future__ import annotations

from cutline.errors import OptionError


def _words(*texts: str) -> frozenset[str]:
    return frozenset(" ".join(texts).split())


_PREPOSITIONS = _words(
    "about above across after against along among around as at atop before behind below beneath beside",
    "between by down during for from in inside into like near of off on onto out over past through to",
    "toward towards under underneath until up upon via with within without next",
)
_JOINING = _words("and or but nor while where when which who whose that because if then than so")
_DANGLING = (
    _PREPOSITIONS
    | _JOINING
    | _words(
        "a an the this these those his her its their my your our some any each every no another",
        "is are was were be been being am has have had do does did can could will would may very",
        "one two three four five six seven eight nine ten several many few multiple various other both all",
        "black white brown red blue green yellow orange pink purple gray grey tan golden dark light bright",
        "big small large little tall short long tiny huge old young new wooden metal plastic wet dry empty",
        "full different beautiful cute pretty colorful colored open busy narrow wide blond blonde",
        "front top middle side edge back couple group bunch pair piece holding wearing riding",
    )
)
# Before these a phrase has ended. Not "of" and "to", which belong to what stands before them.
_OPENING = (_PREPOSITIONS | _JOINING | _words("is are was were has have")) - _words("of to as out up off")
# They end in -ing and yet are things, so that what stands before them is not whole.
_THINGS = _words(
    "building ceiling clothing wedding railing painting string ring king wing evening morning swing spring",
    "thing something anything nothing everything awning crossing parking dressing pudding swimming sling",
)

SHORTEST = 10
_STOPS = ".!?"
_PAUSES = ",;:"


def shorten(text: str, max_chars: int) -> str:
    """`text` in at most `max_chars` characters: whole words, ended where a phrase ends if one does.

    Raises OptionError where max_chars is less than 10, which fits no sense at all.
    """
    if max_chars < SHORTEST:
        raise OptionError(f"{max_chars} characters fit no caption.", hint=f"Allow {SHORTEST} or more.")
    text = " ".join(text.split())
    if len(text) <= max_chars:
        return text
    stop = text[-1] if text[-1] in _STOPS else ""
    words = text.removesuffix(stop).split(" ")
    fitting = _fitting(words, max_chars - len(stop))
    if not fitting:  # one endless word
        return text[:max_chars]
    end = next((end for end in range(fitting, 0, -1) if _phrase_ends(words, end)), None)
    if end is None:
        end = next((end for end in range(fitting, 0, -1) if _bare(words[end - 1]) not in _DANGLING), fitting)
    return " ".join(words[:end]).rstrip(_PAUSES + _STOPS + "-") + stop


def _fitting(words: list[str], room: int) -> int:
    """How many of the words fit into `room` characters."""
    used = -1
    for count, word in enumerate(words):
        used += 1 + len(word)
        if used > room:
            return count
    return len(words)


def _phrase_ends(words: list[str], end: int) -> bool:
    """Whether words[:end] can stand alone, by its last word and the one that would follow."""
    last, following = words[end - 1], _bare(words[end])
    if _bare(last) in _DANGLING:
        return False
    if last[-1] in _PAUSES + _STOPS:
        return True
    return following in _OPENING or (following.endswith("ing") and following not in _THINGS)


def _bare(word: str) -> str:
    return word.strip(_PAUSES + _STOPS + "\"'()").lower()
