"""Passwords that are known from breaches: a Bloom filter that ships, and what refuses those in it.

A filter is asked offline, and tells no list: bits at positions that follow from each password's SHA-256. Of
passwords that are not in it, it takes few for known ones (of the one that ships, about 1 in 10,000).
breached.md says what it was made of.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

from django.core.exceptions import ValidationError

from cutline.errors import ConfigError
from cutline.server.config import settings

SHIPPED = Path(__file__).with_name("breached.bloom")
_HEADER = struct.Struct("<4sIQ")  # what it is, positions of each password, bits
_MAGIC = b"CBF1"
_SUFFIX = re.compile(r"[\W\d_]{1,6}$")  # what people add to a word until a form takes it


@dataclass(frozen=True, slots=True, kw_only=True)
class BloomFilter:
    """A set of texts that never misses one of its own, and rarely takes another for one."""

    bits: bytes
    hashes: int

    @classmethod
    def of(cls, texts: Sequence[str], *, size_bytes: int) -> Self:
        """Make a filter of that size. Raises ValueError for no texts."""
        if not texts:
            raise ValueError("There are no texts to put into a filter.")
        hashes = max(1, round(8 * size_bytes / len(texts) * math.log(2)))
        bits = bytearray(size_bytes)
        for text in texts:
            for place in _places(text, hashes, 8 * size_bytes):
                bits[place >> 3] |= 1 << (place & 7)
        return cls(bits=bytes(bits), hashes=hashes)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote. Raises ConfigError for another file."""
        try:
            data = path.read_bytes()
            magic, hashes, size = _HEADER.unpack_from(data)
        except (OSError, struct.error) as error:
            raise ConfigError(f"{path} is no filter of passwords.", hint=_HINT) from error
        bits = data[_HEADER.size :]
        if magic != _MAGIC or not bits or size != 8 * len(bits):
            raise ConfigError(f"{path} is no filter of passwords.", hint=_HINT)
        return cls(bits=bits, hashes=hashes)

    def write(self, path: Path) -> None:
        """Keep it in a file."""
        path.write_bytes(_HEADER.pack(_MAGIC, self.hashes, 8 * len(self.bits)) + self.bits)

    def __contains__(self, text: str) -> bool:
        places = _places(text, self.hashes, 8 * len(self.bits))
        return all(self.bits[place >> 3] & (1 << (place & 7)) for place in places)


_HINT = "Make one with `cutline manage build_password_filter`."


def _places(text: str, hashes: int, bits: int) -> Iterator[int]:
    """Where a text's bits are (Kirsch and Mitzenmacher, 2006)."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    first, step = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little") | 1
    return ((first + number * step) % bits for number in range(hashes))


def plain(password: str) -> str:
    """A password as it is put into a filter and looked up: the case of letters does not count."""
    return unicodedata.normalize("NFKC", password).casefold().strip()


def is_known(password: str) -> bool:
    """Whether a password was in a breach, as it is or with a few digits or signs behind it."""
    known, text = _filter(settings().breached_passwords), plain(password)
    word = _SUFFIX.sub("", text)
    return text in known or (bool(word) and word in known)


@lru_cache(maxsize=1)
def _filter(path: str) -> BloomFilter:
    return BloomFilter.read(Path(path) if path else SHIPPED)


class BreachedPasswordValidator:
    """One of Django's AUTH_PASSWORD_VALIDATORS."""

    def validate(self, password: str, user: object = None) -> None:
        """Raise ValidationError for a password that is known from breaches."""
        if is_known(password):
            raise ValidationError(
                "This password is known from breaches of other sites. Choose another.",
                code="password_breached",
            )

    def get_help_text(self) -> str:
        """What a form says of it."""
        return "Your password must not be one that is known from breaches of other sites."
