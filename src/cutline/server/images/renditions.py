"""The files of an image that are shown. The master comes with the upload; the others follow in quiet moments.

Encoding them takes as long as captioning, so that they must not stand in its way: a thread that runs only
when the processor is idle encodes them, soon after the caption. What a killed process did not make, the sweep
finds. Until they are there, the master is shown in their place.
"""

from __future__ import annotations

import contextvars
import logging
import os
import queue
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from django.db import close_old_connections, connection
from django.utils import timezone
from PIL import Image as Pillow

from cutline.errors import CutlineError
from cutline.images import opened_image
from cutline.server.errors import NotFound
from cutline.server.images import storage
from cutline.server.images.models import Image, Rendition, RenditionKind, StoredFile
from cutline.server.images.verify import encoded
from cutline.server.transactions import retried

R = TypeVar("R")

log = logging.getLogger(__name__)

THUMBNAIL_PX = 480
LARGE_PX = 1280
_OVERDUE_S = 120.0
_NICE = 15
ENDINGS = {"jpeg": "jpg", "webp": "webp"}


def key_of(image_id: UUID, kind: str, format: str) -> str:
    """A new key, which nobody can guess."""
    ending = ENDINGS.get(format, format)
    return f"images/{image_id}/{secrets.token_hex(8)}-{kind}.{ending}"


# -- the master ------------------------------------------------------------------------------------------


def read_master(image_id: UUID) -> bytes:
    """The master's bytes, for whoever decodes no more than they need.

    Raises NotFound, or ServiceUnavailable if the storage does not respond.
    """
    masters = Rendition.objects.filter(image_id=image_id, kind=RenditionKind.MASTER)
    key = masters.values_list("file_id", flat=True).first()
    if key is None:
        raise NotFound("This image no longer exists.")
    return storage.read(key)


# -- the other renditions --------------------------------------------------------------------------------


def render(image_id: UUID) -> bool:
    """Write what an image lacks of its renditions. Returns whether there was anything to do.

    May run twice at once, and be killed anywhere: what is written twice is discarded.
    Raises NotFound, ImageError, or ServiceUnavailable if the storage does not respond.
    """
    image = Image.objects.filter(pk=image_id, rendered_at=None).first()
    if image is None:
        return False
    made = _quietly(_made_of, read_master(image_id))
    keyed = {key_of(image.pk, each.kind, each.format): each for each in made}
    files = storage.put_all({key: each.data for key, each in keyed.items()})
    return _create(image, files, list(keyed.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A rendition that was encoded."""

    kind: RenditionKind
    format: str
    picture: Pillow.Image
    data: bytes


@retried
def _create(image: Image, files: Sequence[StoredFile], made: Sequence[_Made]) -> bool:
    is_mine = bool(Image.objects.filter(pk=image.pk, rendered_at=None).update(rendered_at=timezone.now()))
    if is_mine:
        storage.keep(*files)
        Rendition.objects.bulk_create(
            Rendition(
                image=image,
                kind=each.kind,
                format=each.format,
                width_px=each.picture.width,
                height_px=each.picture.height,
                file=file,
            )
            for each, file in zip(made, files, strict=True)
        )
    else:
        storage.discard_pending(files)
    return is_mine


def _quietly(function: Callable[[bytes], R], data: bytes) -> R:
    """Run in a thread that gives way to all others.

    Only what lets them work meanwhile: a thread that waits for the processor while it holds the interpreter,
    or the database's lock, would keep everybody else waiting, too.
    """
    result: Future[R] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        if hasattr(os, "setpriority"):  # on Linux, a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        try:
            result.set_result(context.run(function, data))
        except BaseException as error:  # it is raised where the result is waited for
            result.set_exception(error)

    threading.Thread(target=run, name="encoding", daemon=True).start()
    return result.result()


def _made_of(master: bytes) -> list[_Made]:
    with opened_image(master) as picture:
        large, thumbnail = _within(picture, LARGE_PX), _within(picture, THUMBNAIL_PX)
        wanted = [
            (RenditionKind.THUMBNAIL, "jpeg", thumbnail, 80),
            (RenditionKind.THUMBNAIL, "webp", thumbnail, 65),
            (RenditionKind.LARGE, "webp", large, 80),
        ]
        if large.size != picture.size:  # else the master is that JPEG
            wanted.append((RenditionKind.LARGE, "jpeg", large, 84))
        return [
            _Made(kind=kind, format=format, picture=small, data=encoded(small, format.upper(), quality))
            for kind, format, small, quality in wanted
        ]


def _within(picture: Pillow.Image, side_px: int) -> Pillow.Image:
    if max(picture.size) <= side_px:
        return picture
    scale = side_px / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Pillow.Resampling.LANCZOS, reducing_gap=2.0)


def sweep(*, most: int = 200) -> int:
    """Hand to the thread what should have been made a while ago. Returns how many images that were."""
    overdue = timezone.now() - timedelta(seconds=_OVERDUE_S)
    waiting = Image.objects.filter(rendered_at=None, created_at__lt=overdue).order_by("created_at")
    ids = list(waiting.values_list("pk", flat=True)[:most])
    for image_id in ids:
        render_later(image_id)
    return len(ids)


class _Renderer:
    """One thread that has renditions made, one after the other; it ends with the process."""

    def __init__(self, work: Callable[[UUID], object]) -> None:
        self._work = work
        self._waiting: queue.Queue[UUID] = queue.Queue(maxsize=10_000)
        self._known: set[UUID] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, image_id: UUID) -> None:
        with self._lock:
            if image_id in self._known:
                return
            try:
                self._waiting.put_nowait(image_id)
            except queue.Full:  # the sweep finds it again
                return
            self._known.add(image_id)
            if self._thread is None or not self._thread.is_alive():  # never started, or lost by a fork
                self._thread = threading.Thread(target=self._run, name="renditions", daemon=True)
                self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do; returns whether that was so in time."""
        waiter = threading.Thread(target=self._waiting.join, daemon=True)
        waiter.start()
        waiter.join(timeout_s)
        return not waiter.is_alive()

    def _run(self) -> None:
        while True:
            image_id = self._waiting.get()
            with self._lock:
                self._known.discard(image_id)
            try:
                close_old_connections()
                self._work(image_id)
            except CutlineError as error:
                log.warning("Renditions of %s must wait: %s", image_id, error)
            except Exception:  # a thread that dies would make no renditions at all
                log.exception("Renditions of %s could not be made", image_id)
            finally:
                connection.close()
                self._waiting.task_done()


_renderer = _Renderer(render)


def render_later(image_id: UUID) -> None:
    """Make an image's renditions when the processor has time. Call it after the caption is written."""
    _renderer.add(image_id)


def wait_until_rendered(timeout_s: float) -> bool:
    """Wait until everything handed to `render_later` is done, as at shutdown; False when time ran out."""
    return _renderer.wait(timeout_s)
