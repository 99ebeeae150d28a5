"""Everything that is kept of an owner, as a zip file that is made while it is sent."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet
from django.utils import timezone

from cutline.server.account.export_rows import TABLES, account_fields, file_name
from cutline.server.errors import NotFound
from cutline.server.images import storage
from cutline.server.images.models import Image, RenditionKind
from cutline.server.people.models import Owner, User
from cutline.server.zip_streams import ZipBuffer

_AT_ONCE = 200  # rows in memory
_README = """\
Everything that Cutline keeps of you.

account.json       your account, how you sign in, where you are signed in, your consent
images.jsonl       a line per image: its captions, their history, tags and decisions; "files" names its files
likeness.jsonl     where each image lies among others, by which model: 16-bit floats as base64
images/            the photos: as they were uploaded where you kept the original, and as Cutline shows them
feedback.jsonl     what you did with captions: seen, copied, picked, edited
ratings.jsonl      your thumbs, up or down
reports.jsonl      what you reported
voices.jsonl       the voices that you saved; last_voice.jsonl has the one that you used last
keys.jsonl         your API keys; of their secrets only a hash is kept, which is left out
jobs.jsonl         what was done to your images
bulks.jsonl        your archives and lists, with every item
webhooks.jsonl     where you are called, without the secrets; deliveries.jsonl has the calls

Times are in UTC. Smaller copies of photos and the maps of where the model looked are made from what is here.
"""


def export_account(user: User) -> Iterator[bytes]:
    """The chunks of a zip file with everything that belongs to an account."""
    yield from export_owner(Owner.objects.select_related("user").get(user=user))


def export_owner(owner: Owner) -> Iterator[bytes]:
    """The chunks of a zip file with everything of an owner, with or without an account.

    Raises ServiceUnavailable in the middle if the storage does not respond: the file then has no
    end, and no program takes it for whole.
    """
    sink = ZipBuffer()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _README)
        archive.writestr("account.json", _json(account_fields(owner), indent=2))
        for name, rows, make in TABLES:
            yield from _table(archive, sink, f"{name}.jsonl", rows(owner), make)
        yield from _files(archive, sink, owner)
    yield sink.take()


def _json(value: Any, **options: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False, **options)


def _table(
    archive: zipfile.ZipFile, sink: ZipBuffer, name: str, rows: QuerySet[Any], make: Callable[[Any], Any]
) -> Iterator[bytes]:
    member = zipfile.ZipInfo(name, timezone.now().timetuple()[:6])
    member.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(member, "w") as entry:
        for row in _all(rows):
            entry.write(f"{_json(make(row))}\n".encode())
            yield sink.take()


def _all(rows: QuerySet[Any]) -> Iterator[Any]:
    """Every row, some at a time: no query stays open while the client reads slowly."""
    rows = rows.order_by("pk")
    some = list(rows[:_AT_ONCE])
    while some:
        yield from some
        some = list(rows.filter(pk__gt=some[-1].pk)[:_AT_ONCE])


def _files(archive: zipfile.ZipFile, sink: ZipBuffer, owner: Owner) -> Iterator[bytes]:
    kept = (RenditionKind.ORIGINAL, RenditionKind.MASTER)
    images = Image.objects.filter(owner=owner, deleted_at=None).prefetch_related("renditions")
    for image in _all(images):
        for rendition in image.renditions.all():
            if rendition.kind not in kept:
                continue
            try:
                data = storage.read(rendition.file_id)
            except NotFound:  # the image was deleted since we listed it
                continue
            # Photos are compressed already.
            archive.writestr(file_name(image, rendition), data, zipfile.ZIP_STORED)
            yield sink.take()
