"""Delete the files of versions that nobody needs any more. Their manifests stay, and so does the lineage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cutline.registry.manifest import MAX_MANIFEST_BYTES, hash_of, parse_version
from cutline.registry.registry import Registry, Version, earlier, object_key
from cutline.registry.store import Store

GRACE_S = 86_400.0
"""What is younger is never deleted: a push may be about to use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """Versions whose files go, files that no version has, and the bytes that are freed."""

    versions: Sequence[Version]
    files: int
    drafts: int
    bytes: int


def prune(
    registry: Registry,
    *,
    keep: int,
    by: str,
    is_dry_run: bool = False,
    grace_s: float = GRACE_S,
    now: float | None = None,
) -> Pruned:
    """Keep the newest ``keep`` versions, those that aliases stand for, and ``keep`` that each can go back to.

    Of all others the files are deleted, and what killed pushes left behind. Nothing younger than ``grace_s``
    goes. Raises RegistryUnavailable, VersionRefused: nothing is deleted where a manifest cannot be read.
    """
    store = registry.store
    now = datetime.now(UTC).timestamp() if now is None else now
    written = {entry.key[len("versions/") : -len(".json")]: entry for entry in store.listed("versions/")}
    versions = [_stored(registry, store, id_) for id_ in written]
    kept = _kept(registry, versions, keep)
    going = [
        each
        for each in versions
        if each.id not in kept and not each.is_pruned and now - written[each.id].modified_s > grace_s
    ]
    if not is_dry_run:
        going = [each for each in going if _mark(registry, store, each, by)]
    gone = {each.id for each in going}
    needed = {
        object_key(record.sha256)
        for each in versions
        if each.id not in gone and not each.is_pruned
        for record in each.manifest.files.values()
    }
    old = [
        entry
        for entry in store.listed("objects/")
        if entry.key not in needed and now - entry.modified_s > grace_s
    ]
    drafts = 0
    if not is_dry_run:
        drafts = store.sweep_drafts(grace_s)
        _delete(store, [entry.key for entry in old], now - grace_s)
    return Pruned(versions=going, files=len(old), drafts=drafts, bytes=sum(entry.bytes for entry in old))


def _stored(registry: Registry, store: Store, id_: str) -> Version:
    """A version as the store has it, whether signed or not: what is refused today may be signed tomorrow."""
    data = store.read(f"versions/{id_}.json", MAX_MANIFEST_BYTES) or b""
    manifest = parse_version(data, f"The manifest of the version {id_[:12]}")
    if hash_of(data) != id_:
        registry.find(id_)  # says what is wrong
    return Version(id=id_, manifest=manifest, is_pruned=registry.is_pruned(id_))


def _kept(registry: Registry, versions: Sequence[Version], keep: int) -> set[str]:
    newest = sorted(versions, key=lambda each: (each.manifest.created, each.id))[-keep:] if keep else []
    return {each.id for each in newest} | _of_aliases(registry, keep) | {registry.find("0").id}


def _of_aliases(registry: Registry, keep: int) -> set[str]:
    found: set[str] = set()
    for name, alias in registry.aliases().items():
        found |= {alias.version, *earlier(registry.history(name))[-max(keep, 1) :]}
    return found


def _mark(registry: Registry, store: Store, version: Version, by: str) -> bool:
    """Say that a version's files go, then look whether an alias has come to stand for it meanwhile."""
    key = f"pruned/{version.id}.json"
    note = {"by": by, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    store.create(key, json.dumps(note).encode())
    if any(alias.version == version.id for alias in registry.aliases().values()):
        store.delete([key])
        return False
    return True


def _delete(store: Store, keys: Sequence[str], before_s: float) -> None:
    """Delete files, but for those that a push has made new again since they were listed."""
    for key in keys:
        store.delete(
            entry.key for entry in store.listed(key) if entry.key == key and entry.modified_s < before_s
        )
