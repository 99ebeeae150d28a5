"""How it stands with the models, for those who look after them."""

from __future__ import annotations

from collections.abc import Sequence
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
    """What the page shows first.

    ``champion_id`` and ``challenger_id`` are what the aliases stand for ("": nothing), also where the
    version itself is refused here. ``since`` is when the champion's alias was moved last, None where it never
    was. ``problem`` is what the registry does not tell, and why; that is empty then.
    """

    where: str
    alias: str
    models: Sequence[captioner.Status]
    shares: shares.Shares
    champion_id: str
    challenger_id: str
    champion: Version | None
    challenger: Version | None
    since: datetime | None
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
        champion_id="",
        challenger_id="",
        champion=None,
        challenger=None,
        since=None,
        comparison=None,
        moves=(),
        runs=(),
        waiting=_waiting(()),
    )
    try:
        told = _with_moves(told, source.registry)
        runs = source.registry.runs(most=_RUNS)
        told = replace(told, runs=runs, waiting=_waiting(runs))
        told = replace(told, champion=source.registry.find(told.champion_id))
        if told.challenger_id:
            told = replace(told, challenger=source.registry.find(told.challenger_id))
        return replace(told, comparison=watch.compare())
    except RegistryError as error:
        return replace(told, problem=str(error))


def _with_moves(told: Overview, registry: Registry) -> Overview:
    """What the aliases stand for: also a version that is refused here can be stopped, or gone back from."""
    champion, challenger = (registry.alias(each).version for each in (told.alias, CHALLENGER))
    own = registry.last_moves(told.alias, most=_MOVES)
    others = registry.last_moves(CHALLENGER, most=_MOVES) if told.alias != CHALLENGER else []
    return replace(
        told,
        champion_id=champion,
        challenger_id=challenger if challenger != champion else "",
        since=moment_of(own[0].at) if own else None,
        moves=sorted((*own, *others), key=lambda move: move.at, reverse=True)[:_MOVES],
    )


def _waiting(runs: Sequence[Run]) -> Waiting:
    since = next((moment for run in runs if (moment := _learned(run)) is not None), None)
    limit = "fewest_new" if since else "fewest_captions"
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


def _learned(run: Run) -> datetime | None:
    """When the last run began that learned, as this one says, or was; None where it does not know."""
    told = run.facts.get("learned")
    if told is None and run.ending in ("challenger", "rejected"):  # written before runs told
        told = run.facts.get("began", run.at)
    return moment_of(str(told)) if told else None
