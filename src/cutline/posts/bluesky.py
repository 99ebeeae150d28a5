"""Bluesky's export: a repository of records (.car), or its records as JSON files, and a folder of blobs.

The repository holds no photos. Whoever exports them gets blobs that are called by their CIDs, with an ending
or without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cutline.errors import CutlineError
from cutline.posts.dag_cbor import Malformed, records_in
from cutline.posts.files import Entry, Files, base_of, folder_of
from cutline.posts.post import (
    MALFORMED,
    NO_FILE,
    SENSITIVE,
    Attachment,
    Post,
    Skip,
    dicts,
    iso,
    read_json,
    string,
)

POSTS = "app.bsky.feed.post"
CAR = ".car"
_IMAGES = "app.bsky.embed.images"
_CUT = ("app.bsky.richtext.facet#mention", "app.bsky.richtext.facet#link")


def read_bluesky(files: Files, skip: Skip) -> Iterator[Post]:
    """Each post with photos. A repository is public as a whole; what its author labelled is left out."""
    blobs = {base_of(entry).partition(".")[0]: entry for entry in files.entries}
    for where, record in _records(files, skip):
        if not isinstance(record, dict) or record.get("$type") != POSTS:
            continue
        images = list(_images(record.get("embed")))
        if not images:
            continue
        if isinstance(labels := record.get("labels"), dict) and labels.get("values"):
            skip(SENSITIVE, where)
            continue
        if photos := _photos(images, blobs, where, skip):
            tags = record.get("tags")
            yield Post(
                id=where,
                text=_without_facets(record),
                date=iso(record.get("createdAt")),
                photos=photos,
                tags=tuple(filter(None, map(string, tags if isinstance(tags, list) else ()))),
            )


def _records(files: Files, skip: Skip) -> Iterator[tuple[str, Any]]:
    for entry in files.entries:
        if base_of(entry).lower().endswith(CAR):
            yield from _records_of_car(entry, skip)
        elif folder_of(entry).rpartition("/")[2] == POSTS and base_of(entry).endswith(".json"):
            content = read_json(entry, skip)
            if isinstance(content, dict) and isinstance(content.get("value"), dict):
                content = content["value"]  # as the API gives it
            yield entry.name, content


def _records_of_car(entry: Entry, skip: Skip) -> Iterator[tuple[str, Any]]:
    try:
        yield from records_in(entry.read_text())
    except (CutlineError, Malformed):
        skip(MALFORMED, entry.name)


def _images(embed: object) -> Iterator[dict[str, Any]]:
    """The images of a post, also of one that quotes another."""
    if not isinstance(embed, dict):
        return
    if embed.get("$type") == _IMAGES:
        yield from dicts(embed.get("images"))
    else:
        yield from _images(embed.get("media"))


def _photos(
    images: list[dict[str, Any]], blobs: dict[str, Entry], where: str, skip: Skip
) -> tuple[Attachment, ...]:
    found: list[Attachment] = []
    for each in images:
        blob = each.get("image")
        cid = _cid_of(blob) if isinstance(blob, dict) else ""
        if cid in blobs:
            found.append(Attachment(file=blobs[cid], alt=string(each.get("alt"))))
        else:
            skip(NO_FILE, cid or where)
    return tuple(found)


def _cid_of(blob: dict[str, Any]) -> str:
    ref = blob.get("ref")
    return string(ref.get("$link")) if isinstance(ref, dict) else string(blob.get("cid"))


def _without_facets(record: dict[str, Any]) -> str:
    """The text without its mentions and links, whose places are counted in bytes of UTF-8."""
    text = record.get("text")
    raw = text.encode("utf-8", "ignore") if isinstance(text, str) else b""
    spans: list[tuple[int, int]] = []
    for facet in dicts(record.get("facets")):
        index = facet.get("index")
        kinds = {string(each.get("$type")) for each in dicts(facet.get("features"))}
        if isinstance(index, dict) and kinds & set(_CUT):
            start, end = index.get("byteStart"), index.get("byteEnd")
            if isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(raw):
                spans.append((start, end))
    for start, end in sorted(spans, reverse=True):
        raw = raw[:start] + raw[end:]
    return raw.decode("utf-8", "ignore").strip()
