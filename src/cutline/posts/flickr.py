"""Flickr's export: photo_ID.json in one archive, and photos called TITLE_ID_o.jpg in others."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from cutline.posts.files import Entry, Files, base_of, is_photo
from cutline.posts.html_text import text_of
from cutline.posts.post import NO_FILE, NOT_PUBLIC, SENSITIVE, Attachment, Post, Skip, iso, read_json, string

PHOTO = re.compile(r"photo_(\d+)\.json", re.IGNORECASE)
_NUMBERS = re.compile(r"(?:^|_)(\d{3,})(?=_|\.|$)")
_SAFE = ("", "safe", "0", "1")


def read_flickr(files: Files, skip: Skip) -> Iterator[Post]:
    """Each public photo, with its title and its description."""
    photos = _by_number(files)
    for entry in files.entries:
        match = PHOTO.fullmatch(base_of(entry))
        content = read_json(entry, skip) if match else None
        if match is None or not isinstance(content, dict):
            continue
        if string(content.get("privacy")).lower() not in ("public", ""):
            skip(NOT_PUBLIC, entry.name)
        elif string(content.get("safety")).lower() not in _SAFE:
            skip(SENSITIVE, entry.name)
        elif (photo := photos.get(match[1])) is None:
            skip(NO_FILE, entry.name)
        else:
            yield Post(
                id=string(content.get("photopage")) or entry.name,
                text="",
                date=iso(content.get("date_taken")),
                photos=(Attachment(file=photo, texts=_texts(content)),),
                tags=_tags(content),
            )


def _by_number(files: Files) -> dict[str, Entry]:
    """Photos by the numbers in their names: the last one is mostly the ID, but titles have numbers, too."""
    found: dict[str, Entry] = {}
    others: list[tuple[str, Entry]] = []
    for entry in files.entries:
        stem = base_of(entry).rpartition(".")[0]
        numbers = _NUMBERS.findall(stem) if is_photo(entry.name) else []
        if numbers:
            found.setdefault(numbers[-1], entry)
            others += ((number, entry) for number in numbers[:-1])
    for number, entry in others:
        found.setdefault(number, entry)
    return found


def _texts(content: dict[str, Any]) -> tuple[str, ...]:
    title = html.unescape(string(content.get("name")))
    description = text_of(string(content.get("description")))
    return tuple(dict.fromkeys(filter(None, (title, description))))


def _tags(content: dict[str, Any]) -> tuple[str, ...]:
    tags = content.get("tags")
    found = (
        each.get("tag") if isinstance(each, dict) else each
        for each in (tags if isinstance(tags, list) else ())
    )
    return tuple(filter(None, map(string, found)))
