"""How it stands with the models, for those who look after them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Q

from cutline.errors import RegistryError
from cutline.registry import CHALLENGER, Move, Registry, Run, Version
from cutline.registry.manifest import moment_of
from cutline.server import captioner
from cutline.server.canary import watch
from cutline.server.canary.source import followed
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.people.models import Owner
from cutline.server.steering import shares

_MOVES, _RUNS = 30, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Feedback by the consent of photos' owners, since the last run that learned from it.

    ``enough`` is how many new captions a run wants, as the last one said; None where there was none.
    """

    since: datetime | None
    edits: int
    picks: int
    ratings: int
    consenting: int
    enough: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the page shows first. ``problem`` is why the registry tells nothing; the rest is empty then."""

    where: str
    alias: str
    models: Sequence[captioner.Status]
    shares: shares.Shares
    champion: Version | None
    challenger: Version | None
    comparison: watch.Comparison | None
    moves: Sequence[Move]
    runs: Sequence[Run]
    waiting: Waiting
    problem: str = ""


def overview() -> Overview:
    """How it stands now. Raises Conflict where the service follows no registry."""
    source = followed()
    told = Overview(
        where=source.registry.where,
        alias=source.alias,
        models=captioner.followed(),
        shares=shares.current(),
        champion=None,
        challenger=None,
        comparison=None,
        moves=(),
        runs=(),
        waiting=_waiting(()),
    )
    try:
        return _completed(told, source.registry)
    except RegistryError as error:
        return replace(told, problem=str(error))


def _completed(told: Overview, registry: Registry) -> Overview:
    champion = registry.find(told.alias)
    challenger = registry.alias(CHALLENGER).version
    runs = registry.runs(most=_RUNS)
    return replace(
        told,
        champion=champion,
        challenger=registry.find(challenger) if challenger and challenger != champion.id else None,
        comparison=watch.compare(),
        moves=_moves(registry, (told.alias, CHALLENGER)),
        runs=runs,
        waiting=_waiting(runs),
    )


def _moves(registry: Registry, aliases: Iterable[str]) -> list[Move]:
    """The last moves, newest first."""
    moves = [move for alias in dict.fromkeys(aliases) for move in registry.history(alias)]
    return sorted(moves, key=lambda move: move.at, reverse=True)[:_MOVES]


def _waiting(runs: Sequence[Run]) -> Waiting:
    learned = next((run for run in runs if run.ending in ("challenger", "rejected")), None)
    since = moment_of(learned.at) if learned else None
    limit = "fewest_new" if learned else "fewest_captions"
    enough = next((run.facts[limit] for run in runs if limit in run.facts), None)
    consented = Q(image__owner__may_train=True, image__deleted_at=None)
    feedback = Feedback.objects.filter(consented).filter(Q(caption=None) | Q(caption__style__isnull=True))
    ratings = Rating.objects.filter(
        caption__image__owner__may_train=True, caption__image__deleted_at=None, caption__style__isnull=True
    )
    if since is not None:
        feedback, ratings = feedback.filter(created_at__gt=since), ratings.filter(changed_at__gt=since)
    return Waiting(
        since=since,
        edits=feedback.filter(kind=Feedback.Kind.EDIT).count(),
        picks=feedback.filter(kind=Feedback.Kind.PICK).count(),
        ratings=ratings.count(),
        consenting=Owner.objects.filter(may_train=True).count(),
        enough=enough if isinstance(enough, int) else None,
    )
