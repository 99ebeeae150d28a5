"""Compare challenger and champion while both serve, and stop the challenger where it is worse."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from cutline.errors import AliasMoved
from cutline.registry import CHALLENGER, Registry, open_registry
from cutline.server.canary.arms import Arm, arm
from cutline.server.canary.sequential import ALPHA, evidence, is_worse
from cutline.server.config import settings
from cutline.server.models_in_service import is_followed, parse_uri

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both arms, since the challenger came. ``evidence`` is for its being worse; 1 / ALPHA stops it."""

    champion_version: str
    challenger_version: str
    since: datetime
    champion: Arm
    challenger: Arm
    evidence: float
    is_worse: bool

    @property
    def reason(self) -> str:
        """Why the challenger is stopped, or not."""
        old, new = self.champion.counts, self.challenger.counts
        return (
            f"People changed or rated down {new.bad} of {new.all} captions of the challenger"
            f" ({new.interval[0]:.0%} to {new.interval[1]:.0%}), and {old.bad} of {old.all} of the champion"
            f" ({old.interval[0]:.0%} to {old.interval[1]:.0%}). Mixture sequential probability ratio test:"
            f" evidence {self.evidence:.3g}, to stop {1 / ALPHA:g}."
        )


def compare() -> Comparison | None:
    """Compare the two as of now; None where there is no challenger. Raises RegistryError, ConfigError."""
    if not is_followed(settings().model):
        return None
    reference = parse_uri(settings().model)[1]
    return _compared(open_registry(reference.place), reference.ref)


def sweep() -> None:
    """Stop a challenger that is worse: its alias is cleared, with the reason in its history."""
    if not settings().canary_percent or (found := compare()) is None or not found.is_worse:
        return
    registry = open_registry(parse_uri(settings().model)[1].place)
    try:
        registry.clear(CHALLENGER, by="canary", why=found.reason, expected=found.challenger_version)
    except AliasMoved as error:  # somebody decided meanwhile
        logger.info("The challenger was not stopped: %s", error)
    else:
        logger.warning("The challenger was stopped. %s", found.reason)


def _compared(registry: Registry, champion_alias: str) -> Comparison | None:
    alias = registry.alias(CHALLENGER)
    champion = registry.find(champion_alias)
    if not alias.version or alias.version == champion.id:
        return None
    challenger = registry.find(alias.version)
    [move] = registry.moves_after(CHALLENGER, alias.number - 1)[:1]
    since = datetime.fromisoformat(move.at)
    arms = [arm(version.manifest.bundle_hash, since) for version in (champion, challenger)]
    return Comparison(
        champion_version=champion.id,
        challenger_version=challenger.id,
        since=since,
        champion=arms[0],
        challenger=arms[1],
        evidence=evidence(arms[0].counts, arms[1].counts),
        is_worse=is_worse(arms[0].counts, arms[1].counts),
    )
