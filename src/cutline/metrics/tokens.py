"""Split captions into words as the COCO caption evaluation does.

That evaluation runs Stanford CoreNLP 3.4.1's PTBTokenizer (Java) with -lowerCase, then drops
punctuation. This is the same in Python: rules in the Penn Treebank's manner, checked against the Java
program in the tests. It differs on rare text (see docs/metrics.md), so every score names its tokenizer.
"""

from __future__ import annotations

import re

TOKENIZER = "cutline-ptb 1.0"
"""Name and version, stated with every score. A change of any token is a new version."""

# The evaluation drops these. It misses brackets, which are lower-case by then ("-lrb-"): so do we.
_DROPPED = frozenset(['"', "''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])

_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}

# Unicode forms that the Treebank writes in ASCII.
_ASCII = str.maketrans(
    {
        "\u2018": "`",
        "\u2019": "'",
        "\u201b": "'",
        "\u201c": "``",
        "\u201d": "''",
        "\u2013": "--",
        "\u2014": "--",
        "\u2026": "...",
        "\u00bc": "1/4",
        "\u00bd": "1/2",
        "\u00be": "3/4",
        "\u00a2": " cents ",
        "\u00a3": " # ",
        "\u20ac": " $ ",
        "\u00a0": " ",
        "\u00ad": None,
    }
)

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

_ABBREVIATIONS = (
    "mr mrs ms dr st ave blvd rd jr sr ft ct etc vs no inc ltd co corp prof gen col capt lt sgt mt"
).split()

_LETTER = r"[^\W\d_]"
_WORD = rf"(?:{_LETTER}|\d)+"
_CONTRACTION = r"(?:s|m|d|re|ve|ll)"

_TOKEN = re.compile(
    rf"""
      (?:https?://|www\.)[^\s"<>|(){{}}]+                          # addresses
    | [\w.+-]+@[\w-]+(?:\.[\w-]+)+
    | '(?:{_CONTRACTION})\b                                         # what is left after a word: 's 're
    | '(?:tis|twas)\b | '\d\ds? | 'n'
    | {_WORD}?n't\b
    | (?:{_LETTER}\.){{2,}}(?:{_LETTER}(?!\w))? | {_LETTER}\.(?=\s) # u.s. t.v
    | (?:{"|".join(_ABBREVIATIONS)})\.                              # mr.
    | [-+]?\d*(?:[.,:/]?\d+)+(?:{_LETTER}+)?(?:-{_WORD})*           # 3,000 10:30 1/2 2nd
    | [dol]'{_WORD}(?:-{_WORD})*                                    # o'clock d'oeuvres
    | (?:{_WORD}(?:-{_WORD})*)(?:/{_WORD}(?:-{_WORD})*){{1,2}}      # black/white
    | {_WORD}(?:-{_WORD})+
    | {_WORD}(?:\.{_WORD})+                                         # mouse.the
    | {_WORD}
    | \.\.\.+ | --+ | `` | '' | [!?]+
    | \S
    """,
    re.VERBOSE,
)


def tokenize(text: str) -> list[str]:
    """Split into lower-case words without punctuation, in the Penn Treebank's manner.

    ``tokenize("A man's dog doesn't bark.")`` gives ``["a", "man", "'s", "dog", "does", "n't", "bark"]``.
    """
    tokens: list[str] = []
    for token in _TOKEN.findall(text.lower().translate(_ASCII)):
        tokens.extend(_finish(token))
    return [token for token in tokens if token not in _DROPPED]


def _finish(token: str) -> tuple[str, ...]:
    if token.endswith("n't") and len(token) > 3:
        return token[:-3], "n't"
    if token in _SPLIT_WORDS:
        return _SPLIT_WORDS[token]
    return (_BRACKETS.get(token, token),)
