"""What is written beside the photos: text files, and tags on objects."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from cutline.bulk import places
from cutline.bulk.rows import File, Row, Stored
from cutline.caption_files import CaptionLine
from cutline.errors import CutlineError, OutputError
from cutline.photo_search import EXTENSIONS
from cutline.sidecars import Sidecars

MAX_TAG_CHARS = 256
_NOT_IN_TAGS = re.compile(r"[^\w\s+\-=._:/@]+")  # of S3; Azure allows no more


class Besides:
    """Writes sidecars and tags. Written again, they are the same: a killed run's shard is written anew."""

    def __init__(self, *, sidecar: bool, tag: bool, overwrite: bool) -> None:
        self._sidecars = Sidecars(overwrite=overwrite) if sidecar else None
        self._tag = tag
        self._overwrite = overwrite
        self.kept = 0  # texts that a person wrote

    def write(self, row: Row, line: CaptionLine) -> Iterator[str]:
        """Write what was asked for of one photo; yields what could not be written."""
        if not line.captions:
            return
        texts = [each.text for each in line.captions]
        steps: list[Callable[[Row, list[str]], None]] = []
        steps += [self._write_sidecar] if self._sidecars is not None else []
        steps += [_write_tag] if self._tag else []
        for step in steps:
            try:
                step(row, texts)
            except CutlineError as error:
                yield str(error)

    def _write_sidecar(self, row: Row, texts: list[str]) -> None:
        assert self._sidecars is not None
        if isinstance(row.place, File):
            self.kept += self._sidecars.write(row.place.path, texts) is None
        elif isinstance(row.place, Stored):
            self._write_object(row.place.url, "".join(f"{text}\n" for text in texts).encode())
        else:
            raise OutputError(f"{row.file} is no file of its own, so that it can have no text beside it.")

    def _write_object(self, photo: str, data: bytes) -> None:
        with places.writing_to(photo):
            store, path = places.located(photo)
            stem = re.sub(r"\.[^./]*$", "", path)
            target = f"{stem}.txt"
            there = _text(store, target)
            if there not in (None, data) and _has_photo_before(store, stem, path):
                target = f"{path}.txt"
                there = _text(store, target)
            if there is not None and there != data and not self._overwrite:
                self.kept += 1
            elif there != data:
                store.pipe_file(target, data)


def _text(store: Any, path: str) -> bytes | None:
    return bytes(store.cat_file(path)) if store.exists(path) else None


def _has_photo_before(store: Any, stem: str, path: str) -> bool:
    """Whether stem.txt is that of another photo, as a.txt is a.jpg's where a.png stands beside it.

    Asked only where stem.txt exists already: stores answer slowly.
    """
    folder, _, name = stem.rpartition("/")
    for found in store.find(folder, prefix=f"{name}."):
        before, ending = os.path.splitext(found.strip("/"))
        is_of_that_name = before == stem.strip("/") and ending.lower() in EXTENSIONS
        if is_of_that_name and before + ending < path.strip("/"):
            return True
    return False


def _write_tag(row: Row, texts: list[str]) -> None:
    if not isinstance(row.place, Stored):
        raise OutputError(f"{row.file} is no object in a store, so that it can have no tags.")
    text = " ".join(_NOT_IN_TAGS.sub(" ", texts[0]).split())[:MAX_TAG_CHARS].strip()
    with places.writing_to(row.place.url):
        store, path = places.located(row.place.url)
        _set_tag(store, path, text)


def _set_tag(store: Any, path: str, text: str) -> None:
    """S3 has tags; Google's objects have metadata, and so have Azure's blobs, all set at once."""
    if hasattr(store, "put_tags"):
        store.put_tags(path, {"caption": text}, mode="m")
    elif hasattr(store, "setxattrs"):
        is_azure = "az" in store.protocol
        kept = (store.info(path, refresh=True).get("metadata") or {}) if is_azure else {}
        store.setxattrs(path, **{**kept, "caption": text})
    else:
        raise OutputError(f"Objects of {type(store).__name__} can have no tags.")
