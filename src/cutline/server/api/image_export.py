"""A library as a file: CSV, JSON, JSON Lines, or a zip with the photos. The endpoint: images.py.

Each image has its caption, its plain description, and its captions in a voice; CSV has the newest of these.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cutline.server.api.paging import page
from cutline.server.captions.models import Caption
from cutline.server.images import selectors, storage
from cutline.server.images.models import Rendition, RenditionKind
from cutline.server.people.viewers import Viewer
from cutline.server.zip_streams import ZipBuffer
from cutline.spreadsheet import escape_formula

_EXPORTED_AT_ONCE = 200
_COLUMNS = (
    *("id", "file", "caption", "caption_by", "model", "tags", "visibility", "created_at"),
    *("description", "styled", "styled_model", "tone"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """An image as a line of an export, and its files."""

    fields: Mapping[str, Any]
    renditions: Sequence[Rendition]


def _lines(viewer: Viewer, filters: selectors.Filters) -> Iterator[_Line]:
    """The viewer's images, oldest first, some at a time: no query stays open while a client reads."""
    cursor = ""
    while True:
        found = page(
            selectors.library(viewer, filters),
            cursor=cursor,
            limit=_EXPORTED_AT_ONCE,
            order=("created_at", "id"),
        )
        details = selectors.details(found.rows)
        styles = _styles([image.pk for image in found.rows])
        for image in found.rows:
            fields = {
                "id": str(image.pk),
                "file": image.file_name,
                "caption": image.caption,
                "caption_by": image.caption_by,
                "model": image.caption_model,
                "tags": list(details.tags[image.pk]),
                "visibility": image.visibility,
                "created_at": image.created_at.isoformat(),
                "description": image.description or image.caption,
                "styles": styles.get(image.pk, []),
            }
            yield _Line(fields=fields, renditions=details.renditions[image.pk])
        if found.next is None:
            return
        cursor = found.next


def _styles(image_ids: Sequence[UUID]) -> Mapping[UUID, list[dict[str, Any]]]:
    """The captions in a voice of these images, with their provenance, the newest and best first."""
    found: dict[UUID, list[dict[str, Any]]] = {}
    styled = Caption.objects.filter(image_id__in=image_ids, style__isnull=False)
    for caption in styled.order_by("-created_at", "job_id", "rank"):
        style = caption.style or {}
        told = {
            "text": caption.text,
            "voice": style["voice"],
            "description": style["description"]["text"],
            "hashtags": style["hashtags"],
            "model": caption.model,
            "prompt": style["prompt"],
            "seed": style["seed"],
            "created_at": caption.created_at.isoformat(),
        }
        found.setdefault(caption.image_id, []).append(told)
    return found


def _as_jsonl(rows: Iterable[_Line]) -> Iterator[bytes]:
    for row in rows:
        yield json.dumps(row.fields, ensure_ascii=False).encode() + b"\n"


def _as_json(rows: Iterable[_Line]) -> Iterator[bytes]:
    before = b"[\n"
    for row in rows:
        yield before + json.dumps(row.fields, ensure_ascii=False).encode()
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def _as_csv(rows: Iterable[_Line]) -> Iterator[bytes]:
    yield _csv_line(_COLUMNS)
    for row in rows:
        [style, *_] = row.fields["styles"] or [{"text": "", "model": "", "voice": {"tone": ""}}]
        fields = {
            **row.fields,
            "tags": " ".join(f"#{tag}" for tag in row.fields["tags"]),
            "styled": style["text"],
            "styled_model": style["model"],
            "tone": style["voice"]["tone"],
        }
        yield _csv_line([escape_formula(str(fields[name])) for name in _COLUMNS])


def _csv_line(values: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue().encode()


def _as_zip(rows: Iterable[_Line]) -> Iterator[bytes]:
    """captions.jsonl, and the photos beside it: the original where it was kept, else our copy."""
    buffer = ZipBuffer()
    lines = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for row in rows:
            by_kind = {rendition.kind: rendition for rendition in row.renditions}
            chosen = by_kind.get(RenditionKind.ORIGINAL) or by_kind.get(RenditionKind.MASTER)
            name = ""
            if chosen is not None:
                name = f"photos/{row.fields['id']}.{chosen.file_id.rpartition('.')[2]}"
                archive.writestr(name, storage.read(chosen.file_id))
                yield buffer.take()
            lines.append(json.dumps({**row.fields, "photo": name}, ensure_ascii=False))
        archive.writestr("captions.jsonl", "".join(f"{line}\n" for line in lines))
    yield buffer.take()


_FORMATS: Mapping[str, tuple[Callable[[Iterable[_Line]], Iterator[bytes]], str]] = {
    "csv": (_as_csv, "text/csv; charset=utf-8"),
    "json": (_as_json, "application/json"),
    "jsonl": (_as_jsonl, "application/jsonl"),
    "zip": (_as_zip, "application/zip"),
}


def export(viewer: Viewer, filters: selectors.Filters, format: str) -> tuple[Iterator[bytes], str]:
    """A library, narrowed to these filters, in chunks, and the type of the file."""
    write, content_type = _FORMATS[format]
    return write(_lines(viewer, filters)), content_type
