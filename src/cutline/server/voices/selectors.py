"""Reading voices: everybody sees their own; a key needs the scope images:read for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet

from cutline.server import styler
from cutline.server.errors import Invalid
from cutline.server.people.keys import Scope
from cutline.server.people.selectors import Row, owned_by
from cutline.server.people.viewers import Viewer
from cutline.server.voices.models import LastVoice, SavedVoice

TONES = (
    *("quirky", "dry", "warm", "playful", "poetic", "dramatic", "nostalgic", "matter-of-fact"),
    *("like a haiku", "like a film trailer", "elegant", "cheerful"),
)
"""Suggestions: a tone is free text."""


def saved(viewer: Viewer) -> QuerySet[SavedVoice]:
    """The viewer's own voices, by name."""
    return _own(viewer, SavedVoice.objects.all()).order_by("key")


def _own(viewer: Viewer, rows: QuerySet[Row]) -> QuerySet[Row]:
    return owned_by(viewer, rows) if viewer.has(Scope.IMAGES_READ) else rows.none()


def last(viewer: Viewer) -> Mapping[str, Any] | None:
    """The voice that the viewer used last."""
    found = _own(viewer, LastVoice.objects.all()).first()
    return None if found is None else found.voice


def named(viewer: Viewer, name: str) -> Mapping[str, Any]:
    """A voice by its name: the viewer's own, or one that is there for everybody. Raises Invalid."""
    key = " ".join(name.split()).casefold()
    own = saved(viewer).filter(key=key).first()
    if own is not None:
        return dict(own.voice)
    for preset, voice in styler.presets().items():
        if preset.casefold() == key:
            return voice
    raise Invalid(f"There is no voice {name}.", hint="GET /api/v1/voices lists them.")
