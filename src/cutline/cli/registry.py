"""`cutline registry`: versions of models in a folder or a bucket, and the aliases that stand for them."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cutline.cli._mlflow import export_mlflow, import_mlflow
from cutline.cli._registry_places import at, place_argument, version_argument
from cutline.errors import DataError, OptionError

if TYPE_CHECKING:
    from cutline.registry import Difference, Draft, Move, Registry, Version

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_why = click.option("--why", required=True, help="The reason, for the history.")
_by = click.option(
    "--by", default=getpass.getuser, show_default="the user's name", help="Who it is, for the history."
)
_expected = click.option(
    "--expect", "expected", metavar="ID", help="Refuse if the alias stands for another version by now."
)
_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """Keep versions of models, and say by aliases which one is in use.

    REGISTRY is a folder, or s3://BUCKET/PREFIX?endpoint=URL&region=R; CUTLINE_REGISTRY names one for good.
    REGISTRY#VERSION is a version in it: an alias, the beginning of its id, or 0, the model that ships. Any
    model's URI may be registry:REGISTRY#VERSION.

    \b
    cutline registry push models/ my-bundle/ --recipe recipe.yaml --gates gates.json
    cutline registry promote models/#1f3a9c5e --why "passed all gates"
    cutline caption photo.jpg --model registry:models/#champion
    cutline registry rollback models/ --why "it names the wrong sports"
    """


command.add_command(export_mlflow)
command.add_command(import_mlflow)


@command.command("list")
@place_argument
@_json
def list_versions(place: str, as_json: bool) -> None:
    """List all versions, with what stands for them. Those that may not be used are named, with the reason.

    \b
    cutline registry list models/
    """
    registry = at(place).registry
    listing, aliases = registry.listing(), registry.aliases()
    names = {each.id: [n for n, a in aliases.items() if a.version == each.id] for each in listing.versions}
    if as_json:
        _print_json(
            {
                "registry": registry.where,
                "versions": [_as_json(each) | {"aliases": names[each.id]} for each in listing.versions],
                "aliases": {name: {"version": a.version, "moves": a.number} for name, a in aliases.items()},
                "refused": dict(listing.refused),
            }
        )
        return
    for each in listing.versions:
        marks = [*names[each.id], *(["pruned"] if each.is_pruned else [])]
        number = "0 " if each.is_built_in else "  "
        click.echo(f"{number}{each.short}  {each.label:<32}  {_gates(each):<12}  {', '.join(marks)}".rstrip())
    for id_, reason in listing.refused.items():
        click.echo(f"  {id_[:12]}  refused: {reason}", err=True)


@command.command()
@version_argument
@_json
def show(version: str, as_json: bool) -> None:
    """Show one version: what it is, what it learned from, its measures, gates, files and notes.

    \b
    cutline registry show models/                # the champion
    cutline registry show models/#1f3a9c5e --json
    """
    from cutline.strict import dump

    place = at(version)
    found = place.registry.find(place.ref)
    notes = place.registry.notes(found.id)
    if as_json:
        _print_json(_as_json(found) | {"notes": dump(notes)})
        return
    for name, value in _facts(found):
        click.echo(f"{name:<12}{value}")
    for path, record in found.manifest.files.items():
        click.echo(f"  {path:<28}{record.bytes:>12,}  {record.sha256[:12]}")
    for note in notes:
        click.echo(f"note        {note.at[:19]} {note.by}: {note.why}")


@command.command()
@place_argument
@click.argument("source")
@click.option("--weights", type=_file, help="Trainable weights, a safetensors file.")
@click.option("--recipe", type=_file, help="The recipe it was trained by.")
@click.option("--data-hash", default="", help="The hash of its data; by default what the bundle says.")
@click.option("--data", "description", default="", help="What that data is.")
@click.option("--parent", "parents", multiple=True, metavar="VERSION", help="A version that it began with.")
@click.option("--metrics", type=_file, help="Measures, a JSON file.")
@click.option("--gates", type=_file, help='The report of its gates, JSON with "passed": true or false.')
@click.option("--gates-page", type=_file, help="The same as a page of HTML.")
@click.option("--file", "files", type=_file, multiple=True, help="One more file to keep with it.")
@_json
def push(place: str, source: str, as_json: bool, **given: Any) -> None:
    """Write a version to REGISTRY. No alias moves. The same content again is the same version.

    SOURCE is a bundle's folder or zip, a version that `pull` wrote, or REGISTRY#VERSION of another registry
    with registry: before it; the latter two stay as they are, and take no options.

    \b
    cutline registry push models/ my-bundle/
    cutline registry push models/ my-bundle.zip --weights w.safetensors --recipe r.yaml --parent champion
    cutline registry push s3://models?endpoint=https://s3.example.org registry:models/#champion
    """
    from cutline.registry.contents import VERSION_FILE, of_folder

    registry = at(place).registry
    if source.startswith("registry:") or (Path(source) / VERSION_FILE).is_file():
        if any(given.values()):
            raise OptionError("This version exists already: it takes no options.")
        if source.startswith("registry:"):
            other = at(source)
            made = registry.receive(other.registry.contents(other.registry.find(other.ref)))
        else:
            made = registry.receive(of_folder(Path(source)))
    else:
        made = registry.push(_draft(registry, source, **given))
    if as_json:
        _print_json(_as_json(made))
    else:
        click.echo(f"{made.id}  {made.label}")


@command.command()
@version_argument
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--bundle", "only_bundle", is_flag=True, help="Write its bundle alone: a zip, if TARGET ends so."
)
@_json
def pull(version: str, target: Path, only_bundle: bool, as_json: bool) -> None:
    """Copy a version to TARGET, a new folder: version.json, bundle/, weights and all else that it has.

    \b
    cutline registry pull models/#champion champion/
    cutline registry pull models/#champion champion.zip --bundle
    """
    from cutline.captioning.bundle import export_bundle
    from cutline.errors import OutputError
    from cutline.registry.contents import save

    place = at(version)
    found = place.registry.find(place.ref)
    if only_bundle:
        if target.exists():
            raise OutputError(f"{target} exists already.", kept="Nothing was changed.")
        export_bundle(place.registry.bundle(found), target)
    else:
        save(place.registry.contents(found), target)
    if as_json:
        _print_json(_as_json(found) | {"target": str(target)})
    else:
        click.echo(f"{found.label} ({found.short}) is at {target}.")


@command.command()
@version_argument
@click.option("--to", default="champion", show_default=True, metavar="ALIAS", help="The alias to move.")
@_why
@_by
@_expected
@click.option("--override-gates", is_flag=True, help="Even without passed gates; the history will say so.")
@_json
def promote(version: str, to: str, as_json: bool, **said: Any) -> None:
    """Let an alias stand for a version: the champion, or --to. Without #VERSION it is the challenger.

    To champion and challenger come only versions whose gates passed. Of two who move an alias at the same
    time one succeeds, and the other is told.

    \b
    cutline registry promote models/ --why "better on corrections, p = 0.01"
    cutline registry promote models/#1f3a9c5e --to challenger --why "canary" --expect ""
    """
    place = at(version, default="challenger")
    _print_move(place.registry.promote(place.ref, to=to, **said), as_json)


@command.command()
@version_argument
@click.option("--to", metavar="VERSION", help="Not the version before, but this earlier one.")
@_why
@_by
@_expected
@_json
def rollback(version: str, as_json: bool, **said: Any) -> None:
    """Go back to the version that an alias (by default the champion) stood for before; again: further back.

    \b
    cutline registry rollback models/ --why "it names the wrong sports"
    cutline registry rollback models/#champion --to 0 --why "start again"
    """
    place = at(version)
    _print_move(place.registry.rollback(place.ref, **said), as_json)


@command.command()
@version_argument
@_why
@_by
@_expected
@_json
def clear(version: str, as_json: bool, **said: Any) -> None:
    """Let an alias other than the champion stand for nothing.

    \b
    cutline registry clear models/#challenger --why "worse in the canary"
    """
    place = at(version, default="")
    _print_move(place.registry.clear(place.ref, **said), as_json)


@command.command()
@version_argument
@_json
def history(version: str, as_json: bool) -> None:
    """Show the moves of an alias, by default the champion's: who, when and why.

    \b
    cutline registry history models/#challenger
    """
    from cutline.strict import dump

    place = at(version)
    moves = place.registry.history(place.ref)
    if as_json:
        _print_json(dump(moves))
        return
    for move in moves:
        click.echo(_line(move))


@command.command()
@version_argument
@click.argument("other", default="challenger")
@_json
def diff(version: str, other: str, as_json: bool) -> None:
    """Show how OTHER, by default the challenger, differs from a version, by default the champion.

    OTHER is a version of the same registry, or REGISTRY#VERSION.

    \b
    cutline registry diff models/
    cutline registry diff models/#0 champion
    """
    from cutline.registry import compare
    from cutline.strict import dump

    place = at(version)
    there = at(other) if "#" in other else place
    before = place.registry.find(place.ref)
    after = there.registry.find(there.ref if "#" in other else other)
    found = compare(place.registry, before, after, there.registry)
    if as_json:
        pairs = {"facts": found.facts, "metrics": found.metrics, "files": found.files}
        told = {"before": before.id, "after": after.id, "relation": found.relation}
        recipe = {"recipe": list(found.recipe)}
        _print_json(told | {name: dump(dict(each)) for name, each in pairs.items()} | recipe)
        return
    for line in _difference(found):
        click.echo(line)


@command.command()
@place_argument
@_json
def verify(place: str, as_json: bool) -> int:
    """Read everything in a registry (or in one version: REGISTRY#VERSION) and compare all hashes.

    The exit code is 1 if anything is wrong.

    \b
    cutline registry verify models/
    cutline registry verify models/#champion
    """
    from cutline.registry import verify as inspect
    from cutline.strict import dump

    chosen = at(place, default="")
    found = inspect(chosen.registry, chosen.ref or None)
    if as_json:
        _print_json(dump(found))
    else:
        for problem in found.problems:
            click.echo(problem)
        wrong = f"{len(found.problems)} problems" if found.problems else "all intact"
        click.echo(f"{found.versions} versions, {found.files} files, {found.moves} moves: {wrong}.")
    return 1 if found.problems else 0


@command.command()
@place_argument
@click.option("--keep", type=click.IntRange(0), default=10, show_default=True, help="The newest N stay.")
@click.option("--dry-run", is_flag=True, help="Say what would go.")
@_by
@_json
def prune(place: str, keep: int, dry_run: bool, by: str, as_json: bool) -> None:
    """Delete the files of versions that nobody needs any more, and what killed pushes left behind.

    What an alias stands for stays, and the last N versions that it can go back to, the newest N, the model
    that ships, and whatever is younger than a day. Manifests always stay, so lineages are complete.

    \b
    cutline registry prune models/ --keep 5 --dry-run
    """
    from cutline.registry import prune as sweep

    found = sweep(at(place).registry, keep=keep, by=by, is_dry_run=dry_run)
    if as_json:
        _print_json(
            {
                "versions": [each.id for each in found.versions],
                "files": found.files,
                "drafts": found.drafts,
                "bytes": found.bytes,
                "dry_run": dry_run,
            }
        )
        return
    for each in found.versions:
        click.echo(f"{each.short}  {each.label}")
    would = "would go" if dry_run else "are gone"
    click.echo(f"{len(found.versions)} versions, {found.files} files, {found.bytes / 2**20:.1f} MiB {would}.")


@command.command()
@version_argument
@_json
def sign(version: str, as_json: bool) -> None:
    """Sign a version with the private key of CUTLINE_REGISTRY_PRIVATE_KEY. `push` does so by itself.

    \b
    openssl genpkey -algorithm ed25519 -out key.pem
    openssl pkey -in key.pem -pubout -out key.pub.pem
    export CUTLINE_REGISTRY_PRIVATE_KEY=key.pem
    cutline registry sign models/#1f3a9c5e
    """
    place = at(version, trust_all=True)
    found = place.registry.find(place.ref)
    place.registry.sign(found)
    if as_json:
        _print_json(_as_json(found))
        return
    click.echo(f"{found.label} ({found.short}) is signed.")


@command.command()
@version_argument
@_why
@_by
@_json
def note(version: str, why: str, by: str, as_json: bool) -> None:
    """Add a remark to a version; --why is its text.

    \b
    cutline registry note models/#champion --why "photo 71f0 was withdrawn"
    """
    from cutline.strict import dump

    place = at(version)
    made = place.registry.annotate(place.ref, by=by, why=why)
    if as_json:
        _print_json(dump(made))


def _draft(registry: Registry, source: str, **given: Any) -> Draft:
    from cutline.captioning.bundle import read_bundle
    from cutline.registry import DataRecord, Draft

    bundle = read_bundle(source)
    told = bundle.manifest.training_data
    return Draft(
        bundle=bundle,
        weights=given["weights"],
        recipe=given["recipe"].read_text(encoding="utf-8") if given["recipe"] else "",
        data=DataRecord(
            hash=given["data_hash"] or told.hash, description=given["description"] or told.description
        ),
        parents=tuple(registry.find(parent).id for parent in given["parents"]),
        metrics=_read_json(given["metrics"]) if given["metrics"] else {},
        gates=_gate_report(given["gates"], given["gates_page"]),
        files={path.name: path for path in given["files"]},
    )


def _gate_report(path: Path | None, page: Path | None) -> Any:
    from cutline.registry import GateReport

    if path is None:
        if page is not None:
            raise OptionError("A page of gates needs their report, too.", hint="Give it with --gates.")
        return None
    report = _read_json(path)
    if not isinstance(report.get("passed"), bool):
        raise DataError(f'{path} does not say "passed": true or false.')
    return GateReport(
        passed=report["passed"],
        summary=str(report.get("summary", "")),
        report=report,
        page=page.read_bytes() if page else b"",
    )


def _read_json(path: Path) -> dict[str, Any]:
    from cutline.strict import load_json

    try:
        content = load_json(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold an object.")
    return content


def _as_json(version: Version) -> dict[str, Any]:
    from cutline.strict import dump

    found: dict[str, Any] = dump(version.manifest)
    found |= {"id": version.id, "label": version.label, "gates": found.get("gates")}
    return found | {"is_built_in": version.is_built_in, "is_pruned": version.is_pruned}


def _gates(version: Version) -> str:
    if version.is_built_in:
        return "ships"
    gates = version.manifest.gates
    return "no gates" if gates is None else "passed" if gates.passed else "rejected"


def _facts(version: Version) -> Iterator[tuple[str, object]]:
    manifest = version.manifest
    yield "id", version.id
    yield "name", version.label
    yield "licence", manifest.licence
    yield "created", manifest.created
    yield "bundle", manifest.bundle_hash
    yield "data", f"{manifest.data.hash} {manifest.data.description}".strip()
    yield "parents", ", ".join(parent[:12] for parent in manifest.parents) or "none"
    yield "metrics", json.dumps(dict(manifest.metrics), ensure_ascii=False) if manifest.metrics else "none"
    summary = manifest.gates.summary if manifest.gates else ""
    yield "gates", f"{_gates(version)}. {summary}".strip()
    state = "deleted by a prune" if version.is_pruned else f"{manifest.total_bytes / 2**20:.1f} MiB"
    yield "files", f"{len(manifest.files)}, {state}"


def _line(move: Move) -> str:
    there = move.version[:12] or "nothing"
    gates = " (gates overridden)" if move.overrides_gates else ""
    return f"{move.number:>4}  {move.at[:19]}  {move.action:<9}{there:<13} {move.by}: {move.why}{gates}"


def _difference(found: Difference) -> Iterator[str]:
    yield f"{found.after.label} ({found.after.short}) beside {found.before.label} ({found.before.short}):"
    yield f"  {found.relation}"
    for name, (old, new) in found.facts.items():
        yield f"  {name}: {_plain(old)} -> {_plain(new)}"
    for name, (old, new) in found.metrics.items():
        yield f"  {name}: {_plain(old)} -> {_plain(new)}{_change(old, new)}"
    for path, (size, other) in found.files.items():
        yield f"  {path}: {_plain(size)} -> {_plain(other)} bytes"
    yield from (f"  {line}" for line in found.recipe)


def _plain(value: object) -> str:
    from cutline.strict import dump

    return "none" if value is None or value == () else json.dumps(dump(value), ensure_ascii=False)


def _change(old: object, new: object) -> str:
    if isinstance(old, int | float) and isinstance(new, int | float):
        return f" ({new - old:+g})"
    return ""


def _print_move(move: Move, as_json: bool) -> None:
    from cutline.strict import dump

    if as_json:
        _print_json(dump(move))
    else:
        was = move.previous[:12] or "nothing"
        click.echo(f"{move.alias}: {was} -> {move.version[:12] or 'nothing'} (move {move.number})")


def _print_json(content: Mapping[str, Any] | list[Any]) -> None:
    json.dump(content, sys.stdout, indent=2, ensure_ascii=False)
    click.echo()
