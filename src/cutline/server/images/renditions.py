"""The files of an image that are shown. The master comes with the upload; the others follow in quiet moments.

Encoding them takes as long as captioning, so that they must not stand in its way: a thread that runs only
when the processor is idle makes them, soon after the caption. What a killed process did not make, the sweep
finds. Until they are there, the master is shown in their place.
"""

from __future__ import annotations

import logging
import os
import queue
import secrets
import threading
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.db import close_old_connections, connection, transaction
from django.utils import timezone
from PIL import Image as Pillow

from cutline.errors import CutlineError
from cutline.images import opened_image
from cutline.server.errors import NotFound
from cutline.server.images import storage
from cutline.server.images.models import Image, Rendition, RenditionKind
from cutline.server.images.verify import encoded

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
    with opened_image(read_master(image_id)) as picture:
        encodings = _encode(picture)
    files = [
        (kind, format, size, storage.put(key_of(image.pk, kind, format), data))
        for kind, format, size, data in encodings
    ]
    with transaction.atomic():
        mine = Image.objects.filter(pk=image.pk, rendered_at=None).update(rendered_at=timezone.now())
        if mine:
            storage.keep(*(file for _, _, _, file in files))
            Rendition.objects.bulk_create(
                Rendition(
                    image=image, kind=kind, format=format, width_px=size[0], height_px=size[1], file=file
                )
                for kind, format, size, file in files
            )
        else:
            storage.discard(file for _, _, _, file in files)
    return bool(mine)


def _encode(picture: Pillow.Image) -> list[tuple[RenditionKind, str, tuple[int, int], bytes]]:
    large, thumbnail = _within(picture, LARGE_PX), _within(picture, THUMBNAIL_PX)
    made = [
        (RenditionKind.THUMBNAIL, "jpeg", thumbnail.size, encoded(thumbnail, "JPEG", 80)),
        (RenditionKind.THUMBNAIL, "webp", thumbnail.size, encoded(thumbnail, "WEBP", 65)),
        (RenditionKind.LARGE, "webp", large.size, encoded(large, "WEBP", 80)),
    ]
    if large.size != picture.size:  # else the master is that JPEG
        made.append((RenditionKind.LARGE, "jpeg", large.size, encoded(large, "JPEG", 84)))
    return made


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
    """One thread, nicer than all others, that makes renditions; it ends with the process."""

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
        if hasattr(os, "setpriority"):  # on Linux, a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
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
