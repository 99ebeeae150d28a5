"""How hard a secret is to guess: an estimate from below, in bits."""

from __future__ import annotations

import math
import re

_WORD_BITS = 1.5  # a letter in a word of a language (Shannon, 1951)
_COPY_BITS = 6.0  # to say where a repetition begins, and how long it is
_LEAST_COPY = 3  # characters; shorter ones repeat by chance
_WORD = re.compile(r"(?:[A-Z]?[a-z]{3,}|[A-Z]{4,})[-_. ]?")
_PLACEHOLDER = re.compile(
    r"insecure|change.?(?:me|this|it)|placeholder|example|secret|passw|token|metrics", re.IGNORECASE
)
_KEYBOARD = ("qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm")


def bits_of(secret: str) -> float:
    """How many bits somebody must guess who knows how people choose secrets.

    Random characters count in full, by how many different ones there are. Letters in words, runs of the
    alphabet, of digits or of the keyboard, and whatever stands in the secret before, count for little. What
    calls itself a placeholder ("django-insecure-...", "changeme") counts for nothing: it stands in some file.
    """
    if _PLACEHOLDER.search(secret):
        return 0.0
    each = math.log2(max(2, len(set(secret))))
    in_words = {at for word in _WORD.finditer(secret) for at in range(*word.span())}
    bits, at = 0.0, 0
    while at < len(secret):
        if copied := _copied(secret, at):
            bits += _COPY_BITS
            at += copied
        else:
            bits += 1.0 if _follows(secret, at) else min(each, _WORD_BITS) if at in in_words else each
            at += 1
    return bits


def _copied(secret: str, at: int) -> int:
    """How many characters from here on stand in the secret before, whatever their case; 0 for too few."""
    text = secret.lower()
    longest = 0
    while at + longest < len(text) and text.find(text[at : at + longest + 1], 0, at + longest) >= 0:
        longest += 1
    return longest if longest >= _LEAST_COPY else 0


def _follows(secret: str, at: int) -> bool:
    """Whether a character is the next or the last one of a run: aaa, abc, 321, qwe."""
    if at == 0:
        return False
    pair = secret[at - 1 : at + 1].lower()
    is_near = abs(ord(pair[1]) - ord(pair[0])) <= 1
    return is_near or any(pair in row or pair[::-1] in row for row in _KEYBOARD)
