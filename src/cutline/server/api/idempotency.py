"""Writes that can be repeated: the answer to an Idempotency-Key is kept for a day, and given again.

Only what succeeded is kept: a write that was refused did nothing, and its key is free again. Answers are
encrypted under the key, of which only a hash is kept: they may hold a secret that is shown once. Each account
has a share of what is kept, and so have the visitors of a network: where it is full, its oldest answers go.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any

from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from cutline.server.api.models import IdempotentAnswer
from cutline.server.errors import KeyInUse, KeyReused, Malformed
from cutline.server.people.models import Owner
from cutline.server.people.viewers import ensure_owner, viewer_of
from cutline.server.request_context import context_of

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEPT = timedelta(hours=24)
ABANDONED = timedelta(seconds=120)  # the process that had it in hand must be gone
MAX_ANSWER_BYTES = 2**20
_ACCOUNT_SHARE = (20_000, 64 * 2**20)  # answers, bytes
_NETWORK_SHARE = (2_000, 8 * 2**20)
_VISITORS_SHARE = (200_000, 512 * 2**20)  # of all networks together
_NETWORK = "network:"
_AT_ONCE = 500  # answers that one statement deletes
_CHUNK_BYTES = 2**16
_SPOOL_BYTES = 2**20
_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_HEADERS = ("Content-Type", "Location", "Content-Language", "Preference-Applied")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The right to do a write, and to say what came of it."""

    row_id: int
    cipher: Fernet
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _BodyCopy:
    """What was read of a body that cannot be read again."""

    file: IO[bytes]


def begin(request: HttpRequest) -> Ticket | HttpResponse | None:
    """Claim the request's key, or give the answer that was kept for it; None where it carries no key.

    Raises: KeyReused (422) where the key came before with another request, KeyInUse (409) while the first
    is at work, Malformed (400) where it is no key.
    """
    key = request.headers.get(HEADER)
    if key is None or request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    if not _KEY.fullmatch(key):
        raise Malformed(f"{HEADER} must be 1 to 255 printable ASCII characters.")
    fingerprint = _fingerprint(request)
    owner = ensure_owner(request)
    owner_id, source = owner.pk, source_of(owner)
    kept_as = hashlib.sha256(key.encode()).hexdigest()
    cipher = _cipher(key)
    for _ in range(2):  # the row that stood in the way may be gone when it is looked for
        try:
            with transaction.atomic():
                row = IdempotentAnswer.objects.create(
                    owner_id=owner_id, key=kept_as, fingerprint=fingerprint, source=source
                )
            return Ticket(row_id=row.pk, cipher=cipher, source=source)
        except IntegrityError:
            found = IdempotentAnswer.objects.filter(owner_id=owner_id, key=kept_as).first()
        if found is None:
            continue
        if found.created_at < timezone.now() - KEPT:
            found.delete()
            continue
        if not hmac.compare_digest(found.fingerprint, fingerprint):
            raise KeyReused(
                "This Idempotency-Key was already used with a different request.",
                hint="Use a new key for each write.",
            )
        if found.status is not None:
            return _replay(found, cipher)
        if _take_over(found):
            return Ticket(row_id=found.pk, cipher=cipher, source=source)
        break
    raise KeyInUse(
        "The first request with this Idempotency-Key is still in progress.", hint="Try again in a moment."
    )


def _take_over(row: IdempotentAnswer) -> bool:
    """Go on where a process died with the key in hand. One of those who try succeeds."""
    now = timezone.now()
    return row.created_at < now - ABANDONED and bool(
        IdempotentAnswer.objects.filter(pk=row.pk, status=None, created_at=row.created_at).update(
            created_at=now
        )
    )


def finish(ticket: Ticket, response: HttpResponseBase) -> None:
    """Keep the answer of a write that succeeded; free the key of one that did not, or cannot be kept."""
    row = IdempotentAnswer.objects.filter(pk=ticket.row_id)
    body = b"" if response.streaming else getattr(response, "content", b"")
    if not 200 <= response.status_code < 300 or response.streaming or len(body) > MAX_ANSWER_BYTES:
        row.delete()
        return
    headers = {name: response[name] for name in _HEADERS if name in response}
    kept = ticket.cipher.encrypt(body)
    row.update(status=response.status_code, headers=headers, body=kept, size=len(kept))
    theirs = IdempotentAnswer.objects.filter(source=ticket.source)
    _trim(theirs, *(_NETWORK_SHARE if ticket.source.startswith(_NETWORK) else _ACCOUNT_SHARE))


def abandon(ticket: Ticket) -> None:
    """Free the key of a write that ended without an answer."""
    IdempotentAnswer.objects.filter(pk=ticket.row_id).delete()


def keep_nothing(request: HttpRequest) -> None:
    """Free the request's key now: its answer is not to be kept."""
    ticket = context_of(request).get(Ticket)
    if ticket is not None:
        abandon(ticket)


def release(request: HttpRequest) -> None:
    """Close the copy of the body, where one was made."""
    copy = context_of(request).get(_BodyCopy)
    if copy is not None:
        copy.file.close()


def sweep() -> int:
    """Delete answers older than a day, and the oldest where all visitors have too many; gives how many."""
    visitors = IdempotentAnswer.objects.filter(source__startswith=_NETWORK)
    return (
        _trim(visitors, *_VISITORS_SHARE)
        + IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]
    )


def source_of(owner: Owner) -> str:
    """Whose share an owner's answers take: the account's, or that of all visitors in the network."""
    if owner.user_id is None and owner.network:
        return _NETWORK + owner.network
    return owner.pk.hex


def _trim(answers: QuerySet[IdempotentAnswer], most: int, most_bytes: int) -> int:
    """Delete the oldest of these answers until no more are left than that; gives how many went."""
    found = answers.aggregate(number=Count("pk"), size=Sum("size"))
    number, size = found["number"], found["size"] or 0
    gone = []
    for answer in answers.exclude(status=None).order_by("created_at").only("pk", "size").iterator():
        if number <= most and size <= most_bytes:
            break
        gone.append(answer.pk)
        number, size = number - 1, size - answer.size
    for start in range(0, len(gone), _AT_ONCE):
        IdempotentAnswer.objects.filter(pk__in=gone[start : start + _AT_ONCE]).delete()
    return len(gone)


def _replay(row: IdempotentAnswer, cipher: Fernet) -> HttpResponse:
    assert row.status is not None
    response = HttpResponse(cipher.decrypt(bytes(row.body)), status=row.status)
    if "Content-Type" not in row.headers:
        del response["Content-Type"]
    for name, value in row.headers.items():
        response[name] = value
    response[REPLAYED] = "true"
    return response


def _cipher(key: str) -> Fernet:
    secret = hmac.digest(django_settings.SECRET_KEY.encode(), f"idempotency:{key}".encode(), "sha256")
    return Fernet(base64.urlsafe_b64encode(secret))


def _fingerprint(request: HttpRequest) -> str:
    """Hash method, path, query and body, in chunks: a form with photos is never held in memory.

    A client that repeats a form writes another boundary between its parts, so the boundary does not count.
    """
    boundary = ""
    if request.content_type == "multipart/form-data":
        boundary = (request.content_params or {}).get("boundary", "")
    made = hashlib.sha256()
    # Another key of the same owner may not do the same, and is not given what this one was told.
    by = str(viewer_of(request).key_id)
    for part in (by, request.method or "", request.get_full_path(), request.content_type or ""):
        made.update(part.encode() + b"\0")
    for chunk in _without(boundary.encode("latin-1", "replace"), _chunks(request)):
        made.update(chunk)
    return made.hexdigest()


def _without(boundary: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes with the boundary taken out, also where it lies across two chunks."""
    if not boundary:
        yield from chunks
        return
    rest = b""
    for chunk in chunks:
        rest = (rest + chunk).replace(boundary, b"")
        keep = min(len(rest), len(boundary) - 1)
        yield rest[: len(rest) - keep]
        rest = rest[len(rest) - keep :]
    yield rest


def _chunks(request: HttpRequest) -> Iterator[bytes]:
    """Read the body, and leave it to be read again. Under ASGI it lies in a file already."""
    if hasattr(request, "_body"):
        yield request.body
        return
    stream: Any = request._stream
    copy: IO[bytes] | None = None
    if not (hasattr(stream, "seekable") and stream.seekable()):
        copy = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 (release closes it)
        context_of(request).put(_BodyCopy(file=copy))
    while chunk := stream.read(_CHUNK_BYTES):
        if copy is not None:
            copy.write(chunk)
        yield chunk
    again: Any = copy if copy is not None else stream
    again.seek(0)
    request._stream = again
