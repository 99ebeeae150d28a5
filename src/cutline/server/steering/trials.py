"""Numbers on what models did: failures, and the challenger beside the champion in the shadow."""

from __future__ import annotations

import difflib
import logging
from datetime import timedelta

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from cutline.server.captioner import ModelInfo, Tried, Written
from cutline.server.steering.models import Failure, Shadow
from cutline.server.transactions import forget_broken_connection

logger = logging.getLogger(__name__)

_KEPT = timedelta(days=90)


def note_failure(model: ModelInfo, error: Exception) -> None:
    """Write down that a model failed. Never raises for the database: captions go on."""
    try:
        Failure.objects.create(model_hash=model.bundle_hash, error=type(error).__name__[:120])
    except (DatabaseError, InterfaceError) as problem:
        logger.warning("The failure of a model could not be written down: %s", problem)
        forget_broken_connection()


def note_shadow(champion: Written, challenger: Tried) -> None:
    """Write down how the challenger's caption compares with the one that is shown; not what it is."""
    texts = [[each.text for each in found[:1]] for found in (champion.captions, challenger.captions)]
    Shadow.objects.create(
        champion_hash=champion.model.bundle_hash,
        challenger_hash=challenger.model.bundle_hash,
        agreement=agreement(texts[0][0], texts[1][0]) if all(texts) else None,
        champion_s=champion.seconds,
        challenger_s=challenger.seconds,
    )


def agreement(one: str, other: str) -> float:
    """The share of words that two captions have in common, in their order; 1 for the same caption."""
    return difflib.SequenceMatcher(None, one.lower().split(), other.lower().split()).ratio()


def sweep() -> None:
    """Delete what is older than three months."""
    before = timezone.now() - _KEPT
    Failure.objects.filter(at__lt=before).delete()
    Shadow.objects.filter(at__lt=before).delete()
