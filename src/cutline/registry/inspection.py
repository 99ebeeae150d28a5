"""Look at a registry as a whole: whether everything in it is intact, and how two versions differ."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cutline.errors import CutlineError, RegistryUnavailable, VersionMissing, VersionRefused
from cutline.registry.manifest import RECIPE, Move, VersionManifest, hash_of
from cutline.registry.registry import Registry, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """How much was checked, and what is wrong: a sentence each."""

    versions: int
    files: int
    moves: int
    problems: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How one version differs from another. Pairs are (before, after); None is what one of them lacks."""

    before: Version
    after: Version
    relation: str
    facts: Mapping[str, tuple[object, object]]
    metrics: Mapping[str, tuple[object, object]]
    files: Mapping[str, tuple[int | None, int | None]]
    recipe: Sequence[str]


def verify(registry: Registry, ref: str | None = None) -> Inspection:
    """Read every file and note of every version (or of one), every move and run, and compare all hashes.

    Raises RegistryUnavailable.
    """
    problems: list[str] = []
    if ref is None:
        listing = registry.listing()
        versions = [each for each in listing.versions if not each.is_pruned]
        problems += [f"{id_[:12]}: {reason}" for id_, reason in listing.refused.items()]
    else:
        versions = [registry.find(ref)]
    for version in versions:
        problems += [f"{version.short}: {reason}" for reason in _version_problems(registry, version)]
    moves = 0
    if ref is None:
        for name in registry.alias_names():
            found, reasons = _alias_problems(registry, name)
            moves += found
            problems += [f"alias {name}: {reason}" for reason in reasons]
        problems += [f"runs: {reason}" for reason in _refusal(lambda: registry.runs(most=sys.maxsize))]
    return Inspection(
        versions=len(versions),
        files=sum(len(version.manifest.files) for version in versions),
        moves=moves,
        problems=problems,
    )


def compare(registry: Registry, before: Version, after: Version, other: Registry | None = None) -> Difference:
    """Say how ``after`` differs from ``before``. ``other`` is the registry of ``after``, if it is another."""
    old, new = before.manifest, after.manifest
    facts = {
        name: (getattr(old, name), getattr(new, name))
        for name in ("name", "version", "licence", "created", "data", "gates", "parents")
    }
    return Difference(
        before=before,
        after=after,
        relation=_relation(before, after, other or registry),
        facts=_changed(facts),
        metrics=_changed(_paired(_flat(old.metrics), _flat(new.metrics))),
        files=_changed_sizes(old, new),
        recipe=_recipe_lines(_recipe(registry, before), _recipe(other or registry, after)),
    )


def ancestors(registry: Registry, version: Version) -> Iterator[Version]:
    """The versions that a version descends from, the nearest first. Those that are not there are left out."""
    seen, waiting = {version.id}, list(version.manifest.parents)
    while waiting:
        id_ = waiting.pop(0)
        if id_ in seen:
            continue
        seen.add(id_)
        try:
            found = registry.find(id_)
        except (VersionMissing, VersionRefused):
            continue
        yield found
        waiting.extend(found.manifest.parents)


def _version_problems(registry: Registry, version: Version) -> Iterator[str]:
    yield from _refusal(lambda: registry.contents(version))
    yield from _refusal(lambda: registry.notes(version.id))
    for parent in version.manifest.parents:
        try:
            registry.find(parent)
        except VersionMissing:
            continue  # it is where this version came from
        except VersionRefused as error:
            yield f"its parent: {error.message}"


def _refusal(read: Callable[[], object]) -> list[str]:
    """Why something cannot be read, if so. Raises RegistryUnavailable."""
    try:
        read()
    except RegistryUnavailable:
        raise
    except CutlineError as error:
        return [error.message]
    return []


def _alias_problems(registry: Registry, name: str) -> tuple[int, list[str]]:
    try:
        moves = registry.history(name)
    except VersionRefused as error:
        return 0, [error.message]
    problems = list(_chain_problems(moves))
    if registry.alias(name).version:
        problems += _refusal(lambda: registry.find(name))
    return len(moves), problems


def _chain_problems(moves: Sequence[Move]) -> Iterator[str]:
    chain, version = "", None
    for number, move in enumerate(moves, 1):
        if move.number != number:
            yield f"move {number} is missing."
            return
        if move.chain != chain or (version is not None and move.previous != version):
            yield f"move {number} does not follow from the one before: the history was changed."
            return
        chain, version = hash_of(move.to_bytes()), move.version


def _relation(before: Version, after: Version, registry: Registry) -> str:
    if before.id == after.id:
        return "the same version"
    if any(each.id == before.id for each in ancestors(registry, after)):
        return "descends from it"
    if any(each.id == after.id for each in ancestors(registry, before)):
        return "is an ancestor of it"
    return "not related"


def _changed_sizes(old: VersionManifest, new: VersionManifest) -> dict[str, tuple[int | None, int | None]]:
    sizes = [{path: record.bytes for path, record in each.files.items()} for each in (old, new)]
    return {
        path: (sizes[0].get(path), sizes[1].get(path))
        for path in sorted({*old.files, *new.files})
        if old.files.get(path) != new.files.get(path)
    }


def _paired(old: Mapping[str, object], new: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    return {name: (old.get(name), new.get(name)) for name in sorted({*old, *new})}


def _changed(pairs: Mapping[str, tuple[object, object]]) -> dict[str, tuple[object, object]]:
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _flat(metrics: Mapping[str, object], before: str = "") -> dict[str, object]:
    """Metrics within metrics, with dots between their names."""
    found: dict[str, object] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{before}{name}.")
        else:
            found[before + name] = value
    return found


def _recipe(registry: Registry, version: Version) -> str:
    if RECIPE not in version.manifest.files or version.is_pruned:
        return ""
    return registry.file(version, RECIPE).decode("utf-8", "replace")


def _recipe_lines(before: str, after: str) -> list[str]:
    return list(difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm=""))
