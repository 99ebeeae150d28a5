"""Compare challenger and champion while both serve, and stop the challenger where it is worse."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from cutline.errors import AliasMoved
from cutline.registry import CHALLENGER, Registry
from cutline.registry.manifest import moment_of
from cutline.server.canary import operations
from cutline.server.canary.arms import Arm, ShadowArm, arm, shadow_arm
from cutline.server.canary.sequential import ALPHA, evidence, is_worse
from cutline.server.canary.source import followed
from cutline.server.config import settings
from cutline.server.models_in_service import is_followed
from cutline.server.steering import shares

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both arms, since the challenger came. ``evidence`` is for its being worse; 1 / ALPHA stops it.

    ``failure_evidence`` is the same for its failing on more photos.
    """

    champion_version: str
    challenger_version: str
    since: datetime
    champion: Arm
    challenger: Arm
    shadow: ShadowArm
    evidence: float
    failure_evidence: float
    is_worse: bool

    @property
    def stops_at(self) -> float:
        """The evidence that stops the challenger."""
        return 1 / ALPHA

    @property
    def reason(self) -> str:
        """Why the challenger is stopped, or not."""
        old, new = self.champion.counts, self.challenger.counts
        failed_before, failed = self.champion.failures, self.challenger.failures
        return (
            f"People changed or rated down {new.bad} of {new.all} captions of the challenger"
            f" ({new.interval[0]:.0%} to {new.interval[1]:.0%}), and {old.bad} of {old.all} of the champion"
            f" ({old.interval[0]:.0%} to {old.interval[1]:.0%}). Mixture sequential probability ratio test:"
            f" evidence {self.evidence:.3g}, to stop {self.stops_at:g}. The challenger failed on {failed.bad}"
            f" of {failed.all} photos, the champion on {failed_before.bad} of {failed_before.all}: evidence"
            f" {self.failure_evidence:.3g}."
        )


def compare() -> Comparison | None:
    """Compare the two as of now; None where there is no challenger. Raises RegistryError, ConfigError."""
    if not is_followed(settings().model):
        return None
    source = followed()
    return _compared(source.registry, source.alias)


def sweep() -> None:
    """Stop a challenger that is worse: its alias is cleared, with the reason in its history."""
    if not shares.current().canary_percent or (found := compare()) is None or not found.is_worse:
        return
    try:
        operations.stop(by="canary", why=found.reason, expected=found.challenger_version)
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
    since = moment_of(move.at)
    hashes = [version.manifest.bundle_hash for version in (champion, challenger)]
    arms = [arm(each, since) for each in hashes]
    failures = [each.failures for each in arms]
    return Comparison(
        champion_version=champion.id,
        challenger_version=challenger.id,
        since=since,
        champion=arms[0],
        challenger=arms[1],
        shadow=shadow_arm(hashes[0], hashes[1], since),
        evidence=evidence(arms[0].counts, arms[1].counts),
        failure_evidence=evidence(failures[0], failures[1]),
        is_worse=is_worse(arms[0].counts, arms[1].counts) or is_worse(failures[0], failures[1]),
    )
