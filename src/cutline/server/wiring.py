"""What a room tells rooms above it, by dotted name: an import would go upwards, and make a ring.

A room imports only what stands below it (.importlinter). Where something below must set something off above,
it calls a list from here. The functions run in the caller's transaction, one after the other.
Other tables of names: work.tasks has what does each kind of job, work.scheduler what recurs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.module_loading import import_string

# (job: Job): a job has ended, whatever came of it.
JOB_ENDED = ("cutline.server.bulk.outcomes.job_ended",)
# (owner_id: UUID, events: Sequence[Event]): events of an owner were written, in this order.
EVENTS_WRITTEN = ("cutline.server.webhooks.deliveries.enqueue_for",)
# (image_ids: Sequence[UUID]): these images are about to be gone for good, with every word about them.
IMAGES_PURGED = (
    "cutline.server.webhooks.deliveries.forget_images",
    "cutline.server.likeness.shelves.forget_images",
)


def call(functions: Sequence[str], *arguments: Any) -> None:
    """Call each function of a list from above. Raises whatever one of them raises."""
    for name in functions:
        import_string(name)(*arguments)
