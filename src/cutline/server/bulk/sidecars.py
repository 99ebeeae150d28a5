"""A bulk's result as text files beside the photos: beach.txt, and beach.styled.txt for captions in a voice.

They are in a zip, by the names that the photos had in the archive, a caption in each line: unpacked where the
photos are, each lies beside its own.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from itertools import chain, count
from urllib.parse import unquote, urlsplit

from cutline.caption_files import CaptionLine
from cutline.server.bulk.models import Bulk
from cutline.server.bulk.selectors import result_of
from cutline.server.zip_streams import ZipBuffer
from cutline.texts import is_readable

_STYLED = ".styled"
_LONGEST_NAME = 200  # letters; with an ending they are a file's name on every system


def sidecar_files(bulk: Bulk) -> Iterator[bytes]:
    """The chunks of the zip. Items without a caption have no file."""
    buffer = ZipBuffer()
    taken: set[str] = set()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, line in enumerate(result_of(bulk)):
            if line.failure is not None:
                continue
            name = _name_for(line, number, taken)
            archive.writestr(f"{name}.txt", _lines([each.text for each in line.captions]))
            if line.styled:
                archive.writestr(f"{name}{_STYLED}.txt", _lines([str(each["text"]) for each in line.styled]))
            yield buffer.take()
    yield buffer.take()


def _name_for(line: CaptionLine, number: int, taken: set[str]) -> str:
    """What the photo is called without its ending; with it, where that is another photo's name already."""
    whole = _path_of(line.file) or f"photo-{number}"
    short = posixpath.splitext(whole)[0]
    for name in chain((short, whole), (f"{whole}-{further}" for further in count(number))):
        names = {name.casefold(), f"{name}{_STYLED}".casefold()}
        if taken.isdisjoint(names):
            taken |= names
            return name
    raise AssertionError("count() has no end")


def _path_of(file: str) -> str:
    """A name as a path below the folder where the zip is unpacked; of a URL, its last part."""
    parts = urlsplit(file)
    path = unquote(parts.path).rpartition("/")[2] if parts.scheme in ("http", "https") else file
    steps = [step[-_LONGEST_NAME:] for step in path.split("/") if step not in ("", ".", "..")]
    return "/".join(steps) if is_readable(path) else ""


def _lines(texts: list[str]) -> str:
    return "".join(f"{' '.join(text.split())}\n" for text in texts)
