"""Which models captioned from when on, and what they had learned: for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.core.cache import cache

from cutline.errors import CutlineError
from cutline.registry import Registry, Version
from cutline.registry.manifest import moment_of
from cutline.server.canary.source import Followed, followed

_MOST = 30
_FRESH_S = 60  # strangers may ask for it: the registry is not asked each time
_CACHED = "cutline.models.past"


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A model that wrote captions, from when on (None: from the beginning), and what it had learned."""

    model: str
    since: datetime | None
    learned: str
    parents: tuple[str, ...]


def past() -> Sequence[Past]:
    """The models that captioned by default, newest first; none where the service follows no registry."""
    found: list[Past] | None = cache.get(_CACHED)
    if found is None:
        try:
            found = _past(followed())
        except CutlineError:  # the page must still come; /readyz tells
            found = []
        cache.set(_CACHED, found, timeout=_FRESH_S)
    return found


def forget() -> None:
    """Look anew: the champion changed."""
    cache.delete(_CACHED)


def _past(source: Followed) -> list[Past]:
    registry = source.registry
    moves = registry.history(source.alias)
    first = moves[0].previous if moves else registry.alias(source.alias).version
    stood: list[tuple[str, datetime | None]] = [(first, None)] if first else []
    stood += [(move.version, moment_of(move.at)) for move in moves if move.version]
    return [_told(registry, registry.find(id_), since) for id_, since in reversed(stood[-_MOST:])]


def _told(registry: Registry, version: Version, since: datetime | None) -> Past:
    return Past(
        model=version.label,
        since=since,
        learned=version.manifest.data.description,
        parents=tuple(registry.find(parent).label for parent in version.manifest.parents),
    )
