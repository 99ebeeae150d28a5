"""Split captions into words as the COCO caption evaluation does.

That evaluation runs Stanford CoreNLP 3.4.1's PTBTokenizer (Java) with -lowerCase, then drops
punctuation. This is the same in Python: rules in the Penn Treebank's manner, checked against the Java
program in the tests. It differs on rare text (see docs/metrics.md), so every score names its tokenizer.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

TOKENIZER = "cutline-ptb 1.0"
"""Name and version, stated with every score. A change of any token is a new version."""

# The evaluation drops these. It misses brackets, which are lower-case by then ("-lrb-"): so do we.
_DROPPED = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])

_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}

# Unicode forms that the Treebank writes in ASCII.
_ASCII = str.maketrans(
    {
        "\u2018": "`",
        "\u2019": "'",
        "\u201b": "'",
        "\u201c": "``",
        "\u201d": "''",
        "\u00ab": "``",
        "\u00bb": "''",
        "\u2013": "--",
        "\u2014": "--",
        "\u2015": "--",
        "\u2026": "...",
        "\u00bc": " 1/4 ",
        "\u00bd": " 1/2 ",
        "\u00be": " 3/4 ",
        "\u00a2": " cents ",
        "\u00a3": " # ",
        "\u20ac": " $ ",
        "\u2039": "`",
        "\u203a": "'",
        "\u00ad": None,
    }
)
# The Java program knows no characters beyond the Basic Multilingual Plane (emoji): it drops them.
_UNKNOWN = re.compile("[\U00010000-\U0010ffff]")
_ENTITIES = re.compile(r"&(?:amp|lt|gt|quot|nbsp);", re.IGNORECASE)

_SPLIT_WORDS = {
    "cannot": ("can", "not"),
    "gonna": ("gon", "na"),
    "gotta": ("got", "ta"),
    "wanna": ("wan", "na"),
    "gimme": ("gim", "me"),
    "lemme": ("lem", "me"),
    "'tis": ("'t", "is"),
    "'twas": ("'t", "was"),
}

# Titles and the like keep their full stop; so do places and measures, a few of them only when capital.
_ABBREVIATIONS = (
    "mr|mrs|ms|dr|st|ste|ave|blvd|rd|jr|sr|ft|ct|etc|vs|inc|ltd|co|corp|prof|gen|col|capt|lt|sgt|mt|rev|hon"
    "|pres|gov|sen|rep|adm|maj|cmdr|pvt|esq|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|mon|tue|tues"
    "|wed|thu|thurs|fri|ky|calif|va|ind|ga|fla|tenn|ariz|conn|colo|kan|mich|minn|mo|mont|neb|nev|okla|wis"
    "|wyo|sq|bldg|dept|est|al|cf|tel|ext|univ|assn|bros|cie|plc|mfg|elec|messrs|mme|mlle|det|supt|insp"
)
_CAPITAL_ABBREVIATIONS = "La|Mass|Tex|Pa|Ill|Ore|Wash|Del|Ark|Miss"

# After one of these a full stop ends the sentence, even behind a single letter ("by car I. The dog").
_SENTENCE_STARTS = r"(?:A|An|The|In|At|It|He|She|They|We|You|This|That|These|There|One|But)\b"

_LETTER = r"[^\W\d_]"
_ALNUM = r"[^\W_\u00b2\u00b3\u00b9]"  # superscripts stand alone
_TAIL = rf"(?:[-\u2010\u2011]{_ALNUM}+)"

_TOKEN = re.compile(
    rf"""
      </?[A-Za-z][^<>]*>                                                        # <b>
    | (?:https?://|www\.)[^\s"<>|(){{}}]+?(?=[.,;:!?]*(?:[\s"<>|(){{}}]|$))     # addresses
    | [\w.+-]+@[A-Za-z][\w-]*(?:\.[A-Za-z][\w-]*)+
    | [<>]?[:;=][-o*']?[()DPdpO{{@|\[\]](?!\w)                                 # :-)
    | (?i:n['`]t\b)
    | (?i:'n')
    | (?i:'(?:s|m|d|re|ve|ll|em|tis|twas|cause|till?|n)(?!\w))                # it|'s
    | '[2-9]0s\b                                                              # '60s
    | (?i:(?:cap'n|ol'|dunkin')(?!\w))
    | (?i:[yj]'(?={_LETTER}))                                                 # y'|all
    | (?i:{_LETTER}*[aeiouy]'[aeiou]{_LETTER}*)                               # ma'am
    | (?i:[dol]'{_LETTER}{_ALNUM}*{_TAIL}*) | (?i:s'mores|qu'{_LETTER}+|c'est) # o'clock
    | (?i:{_LETTER}+?(?=n['`]t\b))                                            # does|n't
    | [A-Z]{{1,2}}\$                                                           # US$
    | [A-Z]+(?:&[A-Z]+)+                                                      # M&M
    | {_LETTER}(?:\.{_LETTER})+\.?(?!{_ALNUM}){_TAIL}*                         # U.S. t.v
    | {_LETTER}\.(?!\w)(?!\s+{_SENTENCE_STARTS})(?![.!?)'-])                   # B.
    | (?i:no\.(?=\s?\d))                                                     # no. 5
    | (?:(?i:{_ABBREVIATIONS})|{_CAPITAL_ABBREVIATIONS})\.(?!\w)
    | {_ALNUM}[^\W_.,]*(?:[.,]{_ALNUM}+)*{_TAIL}+(?:\.(?=[,;:]))?              # snow-covered 3.5-inch
          (?:/{_ALNUM}+(?:-{_LETTER}+){{0,2}}){{0,2}}
    | {_ALNUM}+(?:/{_ALNUM}+(?:-{_LETTER}+){{0,2}}){{1,2}}                      # black/white
    | [-+]?\d*(?:[.,:]\d+)+                                                   # 3,000 10:30 .5
    | [-+]\d+
    | {_LETTER}+(?:[.!?]{_LETTER}+)+                                          # mouse.The
    | {_ALNUM}+\.(?=[,;:])                                                    # it.,
    | {_ALNUM}+(?:_{_ALNUM}+)*
    | [@\#][A-Za-z][A-Za-z_]*
    | \.\.\.+ | --+ | `` | '' | [!?]+ | [*]+
    | \S
    """,
    re.VERBOSE,
)


def tokenize(text: str) -> list[str]:
    """Split into lower-case words without punctuation, in the Penn Treebank's manner.

    ``tokenize("A man's dog doesn't bark.")`` gives ``["a", "man", "'s", "dog", "does", "n't", "bark"]``.
    """
    plain = _UNKNOWN.sub("", text.translate(_ASCII))
    plain = _ENTITIES.sub(lambda entity: html.unescape(entity[0]), plain)
    tokens: list[str] = []
    for token in _TOKEN.findall(plain):
        tokens.extend(_finish(token.lower()))
    return drop_punctuation(tokens)


def drop_punctuation(tokens: Iterable[str]) -> list[str]:
    """Leave out the punctuation that the COCO caption evaluation does not score."""
    return [token for token in tokens if token not in _DROPPED]


def _finish(token: str) -> tuple[str, ...]:
    if token in _SPLIT_WORDS:
        return _SPLIT_WORDS[token]
    if token.startswith("...") or token.startswith("--"):
        return (token[:2] if token[0] == "-" else "...",)
    if token == '"':
        return ("''",)
    if token[0] in ":;=<>" or len(token) == 1:
        return ("".join(_BRACKETS.get(character, character) for character in token),)
    return (token,)
