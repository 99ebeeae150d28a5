"""Reading bulks: everybody sees their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet

from cutline.caption_files import FORMATS, CaptionFormat, CaptionLine, CsvLines, Failure, ScoredCaption
from cutline.server.bulk import styling
from cutline.server.bulk.models import Bulk, BulkItem
from cutline.server.bulk.progress import with_total
from cutline.server.captions.models import Caption
from cutline.server.config import settings
from cutline.server.errors import NotFound
from cutline.server.people.selectors import owned_by
from cutline.server.people.viewers import Viewer

_CHUNK = 500
_ITEM = (
    *("bulk", "number", "name", "state", "image", "error_code", "error_message"),
    *("style_code", "style_message"),
)


def bulks_of(viewer: Viewer) -> QuerySet[Bulk]:
    """The viewer's own bulks."""
    return owned_by(viewer, Bulk.objects.all())


def bulk_for(viewer: Viewer, bulk_id: UUID) -> Bulk:
    """One of the viewer's bulks. Raises NotFound."""
    bulk = bulks_of(viewer).filter(pk=bulk_id).first()
    if bulk is None:
        raise NotFound("There is no such bulk.")
    return bulk


def items_of(bulk: Bulk) -> QuerySet[BulkItem]:
    """A bulk's files or URLs, each with what its photo says now."""
    shown = ("image__caption", "image__deleted_at")  # not the rest: a page has many
    return BulkItem.objects.filter(bulk=bulk).select_related("image").only(*_ITEM, *shown)


def add_counts(bulks: Sequence[Bulk]) -> None:
    """Count the items of all these in one query, into their `counts`."""
    found = BulkItem.objects.filter(bulk__in=bulks).values_list("bulk", "state")
    by_bulk: dict[UUID, dict[str, int]] = {}
    for bulk_id, state, number in found.annotate(number=Count("pk")).order_by():
        by_bulk.setdefault(bulk_id, {})[state] = number
    for bulk in bulks:
        bulk.counts = with_total(by_bulk.get(bulk.pk, {}))  # type: ignore[attr-defined]


def add_styled(items: Sequence[BulkItem]) -> None:
    """Find what was written in the bulk's voice for all these in one query, into their `styled`."""
    styled = styled_captions(items)
    for item in items:
        item.styled = [each.text for each in styled[item.pk]]  # type: ignore[attr-defined]


# The result, a line for each item that has ended. The library's `cutline caption --output` writes the same.


def result_lines(bulk: Bulk, format: str) -> Iterator[bytes]:
    """The result in pieces, in the items' order. format: jsonl or csv."""
    lines = _format(bulk, format)
    yield lines.header()
    for chunk in _result(bulk):
        yield b"".join(map(lines.encode, chunk))


def result_of(bulk: Bulk) -> Iterator[CaptionLine]:
    """The result, one line after the other."""
    for chunk in _result(bulk):
        yield from chunk


def _result(bulk: Bulk) -> Iterator[list[CaptionLine]]:
    for chunk in _ended(bulk):
        captions = _captions(chunk)
        styled = styled_captions(chunk)
        yield [_line_of(bulk, item, captions[item.pk], styled[item.pk]) for item in chunk]


def _format(bulk: Bulk, format: str) -> CaptionFormat:
    n = int(bulk.options.get("n") or settings().candidates)
    if format == "csv":
        images = BulkItem.objects.filter(bulk=bulk, image__isnull=False).values("image")
        sure = Caption.objects.filter(image__in=images, confidence__isnull=False)
        return CsvLines(n, styled=int(bulk.options.get(styling.VARIANTS, 0)), confident=sure.exists())
    return FORMATS[f".{format}"](n)


def _ended(bulk: Bulk) -> Iterator[list[BulkItem]]:
    """A chunk at a time: an answer may take hours to read, and no query should stay open for it."""
    items = (
        BulkItem.objects.filter(bulk=bulk)
        .exclude(state=BulkItem.State.WAITING)
        .select_related("image", "job")
        .order_by("number")
    )
    after = -1
    while chunk := list(items.filter(number__gt=after)[:_CHUNK]):
        yield chunk
        after = chunk[-1].number


def _captions(items: Sequence[BulkItem]) -> Mapping[int, Sequence[Caption]]:
    """The candidates that the bulk wrote for each item, or else the newest of its picture."""
    by_image: dict[UUID, list[Caption]] = {}
    shown = [item.image.pk for item in items if item.image is not None and item.image.deleted_at is None]
    plain = Caption.objects.filter(image_id__in=shown, style__isnull=True)
    for caption in plain.order_by("-created_at", "job_id", "rank"):
        by_image.setdefault(caption.image_id, []).append(caption)
    found = {}
    for item in items:
        written = by_image.get(item.image_id, []) if item.image_id else []
        job = item.job.pk if hasattr(item, "job") else None
        own = [caption for caption in written if caption.job_id == job] if job else []
        found[item.pk] = own or [each for each in written if each.job_id == written[0].job_id]
    return found


def styled_captions(items: Sequence[BulkItem]) -> Mapping[int, Sequence[Caption]]:
    """The captions that were written in a bulk's voice for these items of it, best first."""
    shown = {item.image.pk: item.pk for item in items if item.image and item.image.deleted_at is None}
    bulks = {item.bulk_id for item in items}
    written = Caption.objects.filter(image_id__in=shown, style__isnull=False, job__bulk__in=bulks)
    by_image: dict[UUID, list[Caption]] = {}
    for caption in written.order_by("-created_at", "job_id", "rank"):
        by_image.setdefault(caption.image_id, []).append(caption)
    found = {}
    for item in items:
        theirs = by_image.get(item.image_id, []) if item.image_id else []
        found[item.pk] = [each for each in theirs if each.job_id == theirs[0].job_id]
    return found


def _line_of(
    bulk: Bulk, item: BulkItem, captions: Sequence[Caption], styled: Sequence[Caption]
) -> CaptionLine:
    if item.state != BulkItem.State.DONE:
        return CaptionLine(file=item.name, failure=Failure(code=item.error_code, message=item.error_message))
    if not captions:
        return CaptionLine(
            file=item.name, failure=Failure(code=NotFound.code, message="The photo was deleted.")
        )
    return CaptionLine(
        file=item.name,
        model=captions[0].model,
        captions=tuple(
            ScoredCaption(text=each.text, log_prob=each.log_prob, confidence=each.confidence)
            for each in captions
        ),
        voice=bulk.options.get(styling.VOICE),
        styled=tuple(_styled_record(each) for each in styled),
        styled_failure=Failure(code=item.style_code, message=item.style_message) if item.style_code else None,
    )


def _styled_record(caption: Caption) -> dict[str, Any]:
    """A caption in a voice as `cutline caption --tone --json` writes it, and what it was written from."""
    style = caption.style or {}
    record = {
        "text": caption.text,
        "hashtags": style["hashtags"],
        "model": caption.model,
        "prompt": style["prompt"],
        "log_prob": caption.log_prob,
        "unsupported": style.get("unsupported", []),
        "description": style["description"]["text"],
    }
    return record | ({"removed": style["removed"]} if style["removed"] else {})
