"""What is written beside the photos: text files, and tags on objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from cutline.bulk import places
from cutline.bulk.rows import File, Row, Stored
from cutline.caption_files import CaptionLine
from cutline.errors import CutlineError, OutputError
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
        address, options = places.split_options(photo)
        url = re.sub(r"\.[^./]*$", "", address) + ".txt" + options
        with places.writing_to(url):
            store, path = places.located(url)
            if not self._overwrite and store.exists(path) and store.cat_file(path) != data:
                self.kept += 1
                return
            store.pipe_file(path, data)


def _write_tag(row: Row, texts: list[str]) -> None:
    if not isinstance(row.place, Stored):
        raise OutputError(f"{row.file} is no object in a store, so that it can have no tags.")
    text = " ".join(_NOT_IN_TAGS.sub(" ", texts[0]).split())[:MAX_TAG_CHARS].strip()
    with places.writing_to(row.place.url):
        store, path = places.located(row.place.url)
        _set_tag(store, path, text)


def _set_tag(store: Any, path: str, text: str) -> None:
    """S3 has tags; Google's objects have metadata, and so have Azure's blobs."""
    if hasattr(store, "put_tags"):
        store.put_tags(path, {"caption": text}, mode="m")
    elif hasattr(store, "setxattrs"):
        store.setxattrs(path, caption=text)
    else:
        raise OutputError(f"Objects of {type(store).__name__} can have no tags.")
