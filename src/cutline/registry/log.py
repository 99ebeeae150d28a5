"""Append-only lists of entries, numbered from 1: the moves of an alias, the notes on a version.

An entry is created under the next number; who finds it taken was too late. So appending compares and swaps,
and what an alias stands for never differs from its history.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cutline.errors import VersionRefused
from cutline.registry.manifest import MAX_ENTRY_BYTES
from cutline.registry.store import Store

_NAME = re.compile(r"([0-9]{10})\.json")


class Log:
    """One list, below a prefix such as aliases/champion/."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix

    def append(self, number: int, data: bytes) -> bool:
        """Write entry ``number``. False where somebody else has written it."""
        key = self._key(number)
        # The answer to a write that succeeded may have been lost, and the write been tried again.
        return self._store.create(key, data) or self._store.read(key, MAX_ENTRY_BYTES) == data

    def numbers(self, *, after: int = 0) -> list[int]:
        """The numbers of the entries after one, in order."""
        return list(self._numbers(after))

    def read(self, number: int) -> bytes:
        """An entry. Raises VersionRefused where it is gone or too large."""
        data = self._store.read(self._key(number), MAX_ENTRY_BYTES)
        if data is None:
            raise VersionRefused(f"{self._key(number)} of {self._store.where} is missing.")
        return data

    def where(self, number: int) -> str:
        """An entry's place, for messages."""
        return f"{self._store.where}/{self._key(number)}"

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:010d}.json"

    def _numbers(self, after: int) -> Iterator[int]:
        for entry in self._store.listed(self._prefix, after=self._key(after) if after else ""):
            if found := _NAME.fullmatch(entry.key.removeprefix(self._prefix)):
                yield int(found[1])
