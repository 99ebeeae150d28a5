"""Captioning a photo while it is still being stored, by a worker that is idle: of this process or another.

The job that comes with the photo finds its captions written, or nearly. Nothing depends on it: what has no
head start, or lost it, is captioned by its job from the beginning.

Measured on two shared cores, 230 photos uploaded in turn to laptop services with and without it: from upload
to caption a median of 68 ms instead of 83 ms; the median ratio of the same photo's two times is 1.17. Keeping
the last photos decoded in memory beside it gained nothing (69 ms), and was removed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

from django.db import connection

from cutline.errors import CutlineError
from cutline.images import Source
from cutline.server import captioner
from cutline.server.captioner import ModelInfo, Wanted, Written
from cutline.server.config import settings
from cutline.server.jobs import hints
from cutline.server.steering.trials import note_failure

_MOST = 16  # that nobody has fetched: uploads that came to nothing leave theirs behind


class HeadStarts:
    """Captions on their way, by the image that they are of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: OrderedDict[UUID, tuple[Wanted, Future[Written]]] = OrderedDict()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="cutline-head-start")

    def begin(
        self, image_id: UUID, picture: Source, options: Mapping[str, Any], *, in_canary: bool = False
    ) -> None:
        """Caption a photo from now on, if the model has nothing else to do and its job will be ours."""
        if not hints.has_local_workers() or not captioner.is_idle():
            return
        try:
            wanted = captioner.wanted(options, n=settings().candidates, in_canary=in_canary)
        except CutlineError:
            return  # its job will say what is wrong
        if wanted.model != captioner.DEFAULT:
            return
        with self._lock:
            self._begun[image_id] = wanted, self._pool.submit(_write, picture, wanted)
            while len(self._begun) > _MOST:
                self._begun.popitem(last=False)

    def take(self, image_id: UUID, wanted: Wanted) -> Future[Written] | None:
        """What was begun for an image, once; None where nothing was, or something else is wanted."""
        with self._lock:
            begun = self._begun.pop(image_id, None)
        return begun[1] if begun is not None and begun[0] == wanted else None


def _write(picture: Source, wanted: Wanted) -> Written:
    return captioner.write(picture, wanted, on_failure=_note_failure)


def _note_failure(model: ModelInfo, error: Exception) -> None:
    note_failure(model, error)
    connection.close()  # a thread of this pool needs the database for nothing else


head_starts = HeadStarts()
