"""`cutline manage canary`: the challenger beside the champion, as JSON."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cutline.errors import CutlineError
from cutline.server.canary.arms import Arm
from cutline.server.canary.watch import compare
from cutline.strict import dump


class Command(BaseCommand):
    """Print both arms with their intervals, and what the sequential test says."""

    help = "Compare the challenger with the champion, as people received their captions."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the comparison; null where there is no challenger."""
        try:
            found = compare()
        except CutlineError as error:
            raise CommandError(str(error)) from error
        if found is None:
            self.stdout.write("null")
            return
        told = {
            "since": found.since.isoformat(),
            "champion": _arm(found.champion) | {"version": found.champion_version},
            "challenger": _arm(found.challenger) | {"version": found.challenger_version},
            "shadow": dump(found.shadow, keep_none=True),
            "evidence": found.evidence,
            "failure_evidence": found.failure_evidence,
            "is_worse": found.is_worse,
            "reason": found.reason,
        }
        self.stdout.write(json.dumps(told, indent=2))


def _arm(arm: Arm) -> dict[str, Any]:
    told: dict[str, Any] = dump(arm, keep_none=True)
    for name, counts in (("counts", arm.counts), ("failures", arm.failures)):
        told[name] |= {"share": counts.share, "interval": list(counts.interval)}
    return told
