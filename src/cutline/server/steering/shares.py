"""How much of the jobs the challenger gets: the settings say at first, operators from then on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cutline.server.config import settings
from cutline.server.errors import Invalid
from cutline.server.steering.models import Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """In percent: of the owners whose jobs the challenger captions; of the other jobs that it only tries.

    ``by``, ``why`` and ``since`` tell of the last change; empty where the settings are in force.
    """

    canary_percent: float
    shadow_percent: float
    by: str = ""
    why: str = ""
    since: datetime | None = None

    def has_in_canary(self, owner_id: UUID | str) -> bool:
        """Whether an owner is in the canary: the same one always, and who is in stays in as it grows."""
        return _place_of(f"cutline canary {owner_id}") < self.canary_percent / 100

    def has_in_shadow(self, job_id: UUID) -> bool:
        """Whether the challenger tries a job's photo, too."""
        return _place_of(f"cutline shadow {job_id}") < self.shadow_percent / 100


def current() -> Shares:
    """The shares in force."""
    last = Share.objects.order_by("-pk").first()
    if last is None:
        return Shares(canary_percent=settings().canary_percent, shadow_percent=settings().shadow_percent)
    return Shares(
        canary_percent=last.canary_percent,
        shadow_percent=last.shadow_percent,
        by=last.by,
        why=last.why,
        since=last.at,
    )


def change(*, canary_percent: float | None, shadow_percent: float | None, by: str, why: str) -> Shares:
    """Change the shares for all, from the next job on; None leaves one as it is. Raises Invalid."""
    now = current()
    canary = now.canary_percent if canary_percent is None else canary_percent
    shadow = now.shadow_percent if shadow_percent is None else shadow_percent
    if not (0 <= canary <= 100 and 0 <= shadow <= 100):
        raise Invalid("A share is 0 to 100 percent.")
    Share.objects.create(canary_percent=canary, shadow_percent=shadow, by=by, why=why)
    return current()


def _place_of(name: str) -> float:
    """Where a name stands between 0 and 1, by chance, but always at the same place."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
