"""Why a description cannot be read or written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TypeVar

_T = TypeVar("_T")


class MetadataError(ValueError):
    """Metadata that is damaged, or a file that cannot take any. The message is a reason, not a sentence."""


def until_damage(parts: Iterable[_T]) -> list[_T]:
    """The parts that come before a MetadataError."""
    found: list[_T] = []
    with contextlib.suppress(MetadataError):
        found.extend(parts)
    return found
