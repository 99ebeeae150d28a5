"""The versions of models, how people receive them, and what operators decide about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import Field, StringConstraints

from cutline.registry import Move, Registry, Run, Version
from cutline.registry.manifest import GATES, GATES_PAGE, moment_of
from cutline.server.api.auth import needs
from cutline.server.api.schemas import SchemaIn, a_file, problems
from cutline.server.canary import operations
from cutline.server.canary.actors import actor, names_of
from cutline.server.canary.arms import Arm, Measure
from cutline.server.canary.overview import overview
from cutline.server.canary.source import Followed, followed
from cutline.server.canary.watch import Comparison
from cutline.server.captioner import Status
from cutline.server.errors import NotFound, Unauthenticated
from cutline.server.people.viewers import viewer_of
from cutline.server.steering.shares import Shares
from cutline.strict import load_json

router = Router(tags=["registry"], auth=needs("models", models="see"))
steering = needs("models", models="steer")

SANDBOX = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
"""The policy of a report: whoever wrote it, it runs nothing, loads nothing, and is nobody's page."""

Id = Annotated[str, StringConstraints(pattern=r"^(?:0|[0-9a-f]{8,64})$")]
Expected = Annotated[str, StringConstraints(pattern=r"^(?:[0-9a-f]{64})?$")]
Why = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=operations.LONGEST_REASON),
    Field(description="Why; it is kept in the history."),
]
Percent = Annotated[float, Field(ge=0, le=100)]
WAS = Field(
    None,
    description="The id that the alias must stand for until now, empty for nothing; otherwise 409.",
)


class PromoteIn(SchemaIn):
    """Which version shall caption."""

    version: Id
    to: Literal["champion", "challenger"] = Field(
        "champion", description="champion: for everybody; challenger: for the canary's share."
    )
    why: Why
    expected: Expected | None = WAS


class ReasonIn(SchemaIn):
    """Why."""

    why: Why
    expected: Expected | None = WAS


class SharesIn(SchemaIn):
    """How much the challenger shall get; what is left out stays."""

    canary_percent: Percent | None = None
    shadow_percent: Percent | None = None
    why: Why


class SharesOut(Schema):
    """How much the challenger gets."""

    canary_percent: float = Field(description="Of the owners: their jobs are captioned by the challenger.")
    shadow_percent: float = Field(description="Of other jobs: it captions their photos, too, for nobody.")
    by: str = Field(description="Who changed it last; empty while the settings are in force.")
    why: str
    since: datetime | None


class MoveOut(Schema):
    """A move of an alias."""

    alias: str
    action: Literal["promote", "rollback", "clear"]
    version: str = Field(description="What it stands for from then on; empty for nothing.")
    previous: str
    by: str
    at: datetime
    why: str
    overrides_gates: bool


class ServedOut(Schema):
    """A model that follows an alias, as the processes of the service tell."""

    id: str
    alias: str
    label: str
    version: str
    state: Literal["current", "refused", "unreachable"]
    refused: str = Field(description="The version that could not be loaded or failed its check.")
    reason: str


class MeasureOut(Schema):
    """A figure, with its interval of 95%; null where there is nothing to tell."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    of: int = Field(description="How many captions or photos it rests on.")
    is_share: bool


class ArmOut(Schema):
    """What became of the captions of one version since the challenger came."""

    version: str
    captions: int
    owners: int
    measures: list[MeasureOut]


class ComparisonOut(Schema):
    """Challenger and champion. Evidence of `stops_at` or more stops the challenger."""

    since: datetime
    champion: ArmOut
    challenger: ArmOut
    shadow_photos: int
    shadow: list[MeasureOut] = Field(description="On photos that the champion captioned for people.")
    evidence: float
    failure_evidence: float
    stops_at: float
    is_worse: bool
    reason: str


class RunOut(Schema):
    """What a run of the learner came to."""

    at: datetime
    by: str
    ending: Literal["not started", "rejected", "challenger", "failed"]
    why: str
    version: str = Field(description="The challenger that it made; empty for none.")
    captions: int | None = Field(description="In its data set.")


class WaitingOut(Schema):
    """Feedback that a next run can learn from: by consent, since the last run that learned."""

    since: datetime | None
    edits: int
    picks: int
    ratings: int
    consenting: int = Field(description="Owners who consent to training.")
    enough: int | None = Field(description="New captions that a run wants, as the last one said.")


class RegistryOut(Schema):
    """How it stands with the models."""

    where: str
    alias: str = Field(description="The alias that the service follows.")
    champion: str = Field(description="The id of the version that it stands for.")
    challenger: str = Field(description="Empty while there is none.")
    since: datetime | None = Field(description="When the alias was moved last; null if it never was.")
    models: list[ServedOut]
    shares: SharesOut
    comparison: ComparisonOut | None
    moves: list[MoveOut]
    runs: list[RunOut]
    waiting: WaitingOut
    problem: str = Field(description="What the registry does not tell, and why; empty if it tells all.")


class OutcomeOut(Schema):
    """Whether all gates were passed, and a sentence on it."""

    passed: bool
    summary: str


class ModelVersionOut(Schema):
    """A version."""

    id: str
    label: str = Field(description="name@version")
    created: str
    licence: str
    learned: str = Field(description="What it learned from.")
    data: str = Field(description="The hash of that.")
    parents: list[str] = Field(description="The ids of the versions whose weights it began with.")
    aliases: list[str] = Field(description="What stands for it.")
    is_built_in: bool = Field(description="It ships with Cutline.")
    is_pruned: bool = Field(description="Its files were deleted.")
    gates: OutcomeOut | None
    has_report: bool
    can_be_promoted: bool


class RefusedOut(Schema):
    """A version that must not be used."""

    id: str
    why: str


class ModelVersionsOut(Schema):
    """All versions, the newest first, and those that are refused."""

    items: list[ModelVersionOut]
    refused: list[RefusedOut]


class GateOut(Schema):
    """A gate."""

    name: str
    about: str = ""
    passed: bool
    figure: float | None = None
    threshold: str = ""
    low: float | None = None
    high: float | None = None
    detail: str = ""


class NoteOut(Schema):
    """A remark on a version."""

    by: str
    at: datetime
    why: str


class ModelVersionDetailOut(ModelVersionOut):
    """A version with its measures, its gates and remarks."""

    metrics: dict[str, Any]
    report: list[GateOut] = Field(description="Its gates; empty without a report that can be read.")
    notes: list[NoteOut]
    bytes: int


@router.get("/registry", response={200: RegistryOut, **problems(409)})
def get_registry(request: HttpRequest) -> RegistryOut:
    """Which model captions, how the challenger does, and what the learner did. For staff.

    By session, or with a key of the scope models that belongs to somebody of the staff.
    """
    told = overview()
    names = names_of([*(move.by for move in told.moves), *(run.by for run in told.runs), told.shares.by])
    return RegistryOut(
        where=told.where,
        alias=told.alias,
        champion=told.champion_id,
        challenger=told.challenger_id,
        since=told.since,
        models=[_served(status) for status in told.models],
        shares=_shares(told.shares, names),
        comparison=_comparison(told.comparison) if told.comparison else None,
        moves=[_move(move, names) for move in told.moves],
        runs=[_run(run, names) for run in told.runs],
        waiting=WaitingOut.from_orm(told.waiting),
        problem=told.problem,
    )


@router.get("/registry/versions", response={200: ModelVersionsOut, **problems(409, 503)})
def list_model_versions(request: HttpRequest) -> ModelVersionsOut:
    """All versions of the registry, the newest first. For staff, as GET /registry."""
    source = followed()
    listing = source.registry.listing()
    aliases = _aliases(source)
    return ModelVersionsOut(
        items=[ModelVersionOut(**_version(each, aliases)) for each in reversed(listing.versions)],
        refused=[RefusedOut(id=id_, why=why) for id_, why in sorted(listing.refused.items())],
    )


@router.get("/registry/versions/{version}", response={200: ModelVersionDetailOut, **problems(404, 409, 503)})
def get_model_version(request: HttpRequest, version: Id) -> ModelVersionDetailOut:
    """A version with its measures, gates and remarks. For staff, as GET /registry."""
    source = followed()
    found = source.registry.find(version)
    notes = source.registry.notes(found.id)
    names = names_of(note.by for note in notes)
    return ModelVersionDetailOut(
        **_version(found, _aliases(source)),
        metrics=dict(found.manifest.metrics),
        report=_gates(source.registry, found),
        notes=[NoteOut(by=names[each.by], at=moment_of(each.at), why=each.why) for each in notes],
        bytes=found.manifest.total_bytes,
    )


@router.get(
    "/registry/versions/{version}/report",
    response={200: None, **problems(404, 409, 503)},
    openapi_extra=a_file("text/html"),
)
def get_gate_report(request: HttpRequest, version: Id) -> HttpResponse:
    """The report of a version's gates, as a page of its own that can run and load nothing. For staff."""
    registry = followed().registry
    found = registry.find(version)
    if GATES_PAGE not in found.manifest.files or found.is_pruned:
        raise NotFound("This version has no report of its gates.")
    return HttpResponse(
        registry.file(found, GATES_PAGE),
        content_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": SANDBOX},
    )


@router.post("/registry/promote", auth=steering, response={200: MoveOut, **problems(404, 409, 503)})
def promote_model(request: HttpRequest, body: PromoteIn) -> MoveOut:
    """Let a version caption: for everybody, or for the challenger's share. For administrators.

    Only what has passed its gates can be promoted (code "gates_not_passed"). Processes change to it within
    seconds, and drop no request.
    """
    return _moved(
        operations.promote(body.version, to=body.to, by=_by(request), why=body.why, expected=body.expected)
    )


@router.post("/registry/rollback", auth=steering, response={200: MoveOut, **problems(404, 409, 503)})
def roll_back_model(request: HttpRequest, body: ReasonIn) -> MoveOut:
    """Go back to the version that captioned before; again, and it goes back further. For administrators."""
    return _moved(operations.roll_back(by=_by(request), why=body.why, expected=body.expected))


@router.post("/registry/stop", auth=steering, response={200: MoveOut, **problems(409, 503)})
def stop_challenger(request: HttpRequest, body: ReasonIn) -> MoveOut:
    """End the challenger: nobody gets its captions any more. For administrators."""
    return _moved(operations.stop(by=_by(request), why=body.why, expected=body.expected))


@router.put("/registry/shares", auth=steering, response={200: SharesOut, **problems(422)})
def set_challenger_shares(request: HttpRequest, body: SharesIn) -> SharesOut:
    """Change how much the challenger gets, from the next job on, in all processes. For administrators."""
    changed = operations.set_shares(
        canary_percent=body.canary_percent,
        shadow_percent=body.shadow_percent,
        by=_by(request),
        why=body.why,
    )
    return _shares(changed, names_of([changed.by]))


def _by(request: HttpRequest) -> str:
    user_id = viewer_of(request).user_id
    if user_id is None:
        raise Unauthenticated("This requires an account.")
    return actor(user_id)


def _shares(shares: Shares, names: Mapping[str, str]) -> SharesOut:
    return SharesOut(
        canary_percent=shares.canary_percent,
        shadow_percent=shares.shadow_percent,
        by=names[shares.by],
        why=shares.why,
        since=shares.since,
    )


def _moved(move: Move) -> MoveOut:
    return _move(move, names_of([move.by]))


def _move(move: Move, names: Mapping[str, str]) -> MoveOut:
    return MoveOut(
        alias=move.alias,
        action=move.action,
        version=move.version,
        previous=move.previous,
        by=names[move.by],
        at=moment_of(move.at),
        why=move.why,
        overrides_gates=move.overrides_gates,
    )


def _run(run: Run, names: Mapping[str, str]) -> RunOut:
    counts = run.facts.get("counts")
    captions = counts.get("captions") if isinstance(counts, dict) else None
    return RunOut(
        at=moment_of(run.at),
        by=names[run.by],
        ending=run.ending,
        why=run.why,
        version=run.version,
        captions=captions if isinstance(captions, int) else None,
    )


def _served(status: Status) -> ServedOut:
    return ServedOut(
        id=status.model,
        alias=status.alias,
        label=status.label,
        version=status.version,
        state=status.state,
        refused=status.refused,
        reason=status.reason,
    )


def _comparison(found: Comparison) -> ComparisonOut:
    return ComparisonOut(
        since=found.since,
        champion=_arm(found.champion_version, found.champion),
        challenger=_arm(found.challenger_version, found.challenger),
        shadow_photos=found.shadow.photos,
        shadow=_measures(found.shadow.measures),
        evidence=found.evidence,
        failure_evidence=found.failure_evidence,
        stops_at=found.stops_at,
        is_worse=found.is_worse,
        reason=found.reason,
    )


def _arm(version: str, arm: Arm) -> ArmOut:
    return ArmOut(version=version, captions=arm.captions, owners=arm.owners, measures=_measures(arm.measures))


def _measures(measures: Iterable[Measure]) -> list[MeasureOut]:
    return [MeasureOut.from_orm(each) for each in measures]


def _aliases(source: Followed) -> Mapping[str, Sequence[str]]:
    """The aliases that stand for each version."""
    found: dict[str, list[str]] = {}
    for name, alias in source.registry.aliases().items():
        if alias.version:
            found.setdefault(alias.version, []).append(name)
    return found


def _version(version: Version, aliases: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    manifest = version.manifest
    gates = manifest.gates
    return {
        "id": version.id,
        "label": version.label,
        "created": manifest.created,
        "licence": manifest.licence,
        "learned": manifest.data.description,
        "data": manifest.data.hash,
        "parents": list(manifest.parents),
        "aliases": list(aliases.get(version.id, ())),
        "is_built_in": version.is_built_in,
        "is_pruned": version.is_pruned,
        "gates": OutcomeOut(passed=gates.passed, summary=gates.summary) if gates else None,
        "has_report": GATES_PAGE in manifest.files and not version.is_pruned,
        "can_be_promoted": version.has_passed and not version.is_pruned,
    }


def _gates(registry: Registry, version: Version) -> list[GateOut]:
    """The gates of a report. Whoever pushed it may have written another kind of report."""
    if GATES not in version.manifest.files or version.is_pruned:
        return []
    try:
        report = load_json(registry.file(version, GATES))
        listed = report.get("gates", []) if isinstance(report, dict) else []
        return [GateOut.model_validate(each) for each in listed] if isinstance(listed, list) else []
    except ValueError:  # pydantic's is one
        return []
