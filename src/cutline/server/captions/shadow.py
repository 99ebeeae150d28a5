"""The challenger in the shadow: it captions what the champion captioned, and nobody sees what it wrote.

Only how the two captions compare is kept (steering.models.Shadow). A thread of its own works here, so that no
job waits for it; what comes while enough is waiting is left out.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.db import connection

from cutline.server import captioner
from cutline.server.captioner import Wanted, Written
from cutline.server.errors import NotFound
from cutline.server.images import renditions
from cutline.server.jobs.models import Job
from cutline.server.steering import trials
from cutline.server.steering.shares import Shares

logger = logging.getLogger(__name__)

_MOST = 8  # that wait, or are being captioned


class Shadows:
    """Photos that the challenger is to try. Its thread starts with the first."""

    def __init__(self) -> None:
        self._room = threading.BoundedSemaphore(_MOST)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="cutline-shadow")

    def consider(self, job: Job, wanted: Wanted, written: Written, shares: Shares) -> None:
        """Let the challenger try the photo of a job that has ended, if it is among its share."""
        if job.image_id is None or wanted.in_canary or wanted.model != captioner.DEFAULT:
            return
        if not shares.has_in_shadow(job.pk) or not self._room.acquire(blocking=False):
            return
        self._pool.submit(self._try, job.image_id, wanted, written)

    def _try(self, image_id: UUID, wanted: Wanted, written: Written) -> None:
        try:
            compare(image_id, wanted, written)
        except NotFound:  # it was deleted meanwhile
            pass
        except Exception:  # whatever it is: the job is done, and the next photo may succeed
            logger.exception("A photo could not be captioned in the shadow.")
        finally:
            self._room.release()
            connection.close()


def compare(image_id: UUID, wanted: Wanted, written: Written) -> None:
    """Caption a photo by the challenger, if there is one, and write down how that compares."""
    tried = captioner.try_challenger(renditions.read_master(image_id), wanted)
    if tried is not None:
        trials.note_shadow(written, tried)


shadows = Shadows()
