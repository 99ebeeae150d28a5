"""Mastodon's archive: outbox.json, in the words of ActivityStreams, beside media_attachments/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cutline.posts.files import Files
from cutline.posts.html_text import text_of
from cutline.posts.post import (
    NO_FILE,
    NOT_OWN,
    NOT_PUBLIC,
    SENSITIVE,
    Attachment,
    Post,
    Skip,
    dicts,
    iso,
    read_json,
    string,
)

OUTBOX = "outbox.json"
_PUBLIC = ("https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public")


def read_mastodon(files: Files, skip: Skip) -> Iterator[Post]:
    """What its author posted to everybody: no boosts, no messages, nothing behind a warning."""
    for entry in files.named(OUTBOX):
        content = read_json(entry, skip)
        for activity in dicts(content.get("orderedItems") if isinstance(content, dict) else None):
            where = string(activity.get("id")) or entry.name
            note = activity.get("object")
            if activity.get("type") != "Create" or not isinstance(note, dict):
                skip(NOT_OWN, where)
            elif not _has_photos(note):
                continue
            elif not _is_public(note):
                skip(NOT_PUBLIC, where)
            elif note.get("sensitive") or string(note.get("summary")):
                skip(SENSITIVE, where)
            elif photos := _photos(note, files, skip):
                yield Post(
                    id=string(note.get("id")) or where,
                    text=text_of(string(note.get("content"))),
                    date=iso(note.get("published")),
                    photos=photos,
                )


def _is_public(note: dict[str, Any]) -> bool:
    named = [note.get("to"), note.get("cc")]  # public, or "quiet public": listed nowhere, but for all
    return any(each in _PUBLIC for value in named for each in (value if isinstance(value, list) else [value]))


def _has_photos(note: dict[str, Any]) -> bool:
    return any(_is_photo(each) for each in dicts(note.get("attachment")))


def _is_photo(attachment: dict[str, Any]) -> bool:
    return string(attachment.get("mediaType")).startswith("image/") and bool(string(attachment.get("url")))


def _photos(note: dict[str, Any], files: Files, skip: Skip) -> tuple[Attachment, ...]:
    found: list[Attachment] = []
    for each in filter(_is_photo, dicts(note.get("attachment"))):
        if entry := files.find(string(each["url"]).partition("://")[2] or string(each["url"])):
            found.append(Attachment(file=entry, alt=string(each.get("name"))))
        else:
            skip(NO_FILE, string(each["url"]))
    return tuple(found)
