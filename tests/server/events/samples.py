"""One valid event of each type: what contracts/events.schema.json promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4


def _id() -> str:
    return str(uuid4())


_COUNTS = {"total": 3, "waiting": 1, "done": 1, "failed": 1, "cancelled": 0}

DATA: Mapping[str, Callable[[], dict[str, Any]]] = {
    "image.created": lambda: {"image": _id(), "job": _id()},
    "image.changed": lambda: {"image": _id(), "visibility": "public", "moderation": "pending"},
    "image.deleted": lambda: {"image": _id()},
    "job.changed": lambda: {
        "job": _id(),
        "image": _id(),
        "kind": "caption",
        "state": "running",
        "stage": "captioning",
    },
    "caption.ready": lambda: {
        "image": _id(),
        "job": _id(),
        "captions": [{"id": _id(), "text": "a dog", "log_prob": -3.5}],
        "model": "cutline@1",
        "caption": "a dog",
    },
    "styles.ready": lambda: {
        "image": _id(),
        "job": _id(),
        "captions": [{"id": _id(), "text": "Sand: the original toy.", "log_prob": None}],
        "model": "writer@1",
    },
    "caption.changed": lambda: {
        "image": _id(),
        "caption": "my dog",
        "by": "person",
        "model": "",
        "version": 2,
    },
    "bulk.progress": lambda: {"bulk": _id(), "state": "running", "counts": _COUNTS},
    "bulk.done": lambda: {"bulk": _id(), "state": "done", "counts": _COUNTS},
    "moderation.changed": lambda: {
        "image": _id(),
        "moderation": "approved",
        "published": True,
        "reason": "",
    },
}


def sample(type: str, **data: object) -> dict[str, Any]:
    """The data of an event: sample("caption.ready", caption="a cat")."""
    return {**DATA[type](), **data}
