"""What a reader makes of an export: posts, each with photos, texts and a date."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from cutline.errors import CutlineError
from cutline.posts.files import Entry
from cutline.text_files import decode

Skip: TypeAlias = Callable[[str, str], None]
"""Told why something is left out, and where it stands."""

NOT_PUBLIC, SENSITIVE, NOT_OWN, NO_FILE, MALFORMED = (
    "not public",
    "marked as sensitive",
    "somebody else's",
    "the photo is not in the export",
    "cannot be read",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A photo of a post. alt: what it shows, as its author says; texts: what else was written of it alone."""

    file: Entry
    alt: str = ""
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A post with its photos. text: of all of them. date: ISO 8601, "" where nobody knows.

    tags: hashtags that the network keeps apart from the text.
    """

    id: str
    text: str
    date: str
    photos: tuple[Attachment, ...]
    tags: tuple[str, ...] = ()


def read_json(entry: Entry, skip: Skip) -> Any:
    """The content of a JSON file; None, and a word to ``skip``, where it is none."""
    try:
        return json.loads(decode(entry.read_text()))
    except (CutlineError, ValueError, RecursionError):
        skip(MALFORMED, entry.name)
        return None


def dicts(value: object) -> Iterator[dict[str, Any]]:
    """The objects in a list, whatever else is in it; an object alone is a list of one."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            yield each


def string(value: object) -> str:
    """A text, or "" for what is none. Halves of characters, which JSON may hold, go."""
    return value.encode("utf-8", "ignore").decode().strip() if isinstance(value, str) else ""


def utc(seconds: object) -> str:
    """ISO 8601 of seconds since 1970, as a number or as digits; "" for anything else."""
    try:
        return datetime.fromtimestamp(float(seconds), UTC).isoformat()  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


def iso(text: object) -> str:
    """ISO 8601 of a date as programs write it, in UTC where it says a zone; "" for anything else."""
    try:
        found = datetime.fromisoformat(string(text))
    except ValueError:
        return ""
    try:
        return (found.astimezone(UTC) if found.tzinfo else found).isoformat(timespec="seconds")
    except OverflowError:
        return ""
