"""A registry: immutable versions, and aliases that stand for one of them.

    STORE/versions/ID.json               a version's manifest; ID is its SHA-256
    STORE/objects/AB/ABCD...             files, by their SHA-256
    STORE/signatures/ID/KEY.sig          signatures of a version's manifest
    STORE/aliases/NAME/0000000001.json   the moves of an alias: the last one says what it stands for
    STORE/notes/ID/0000000001.json       notes on a version
    STORE/runs/0000000001.json           what the learner's runs came to
    STORE/pruned/ID.json                 the version's files were deleted; its manifest stays

Nothing is ever overwritten. A push writes files, then signature, then manifest: until the last write it did
not happen, after it all is there.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from cutline.captioning.bundle import MANIFEST, Bundle, read_bundle
from cutline.captioning.sources import default_bundle
from cutline.errors import AliasMoved, GatesNotPassed, OptionError, VersionMissing, VersionRefused
from cutline.registry import contents as content
from cutline.registry.cache import Cache
from cutline.registry.contents import Contents, Draft
from cutline.registry.log import Log
from cutline.registry.manifest import (
    BUNDLE,
    CHALLENGER,
    CHAMPION,
    ID,
    MAX_ENTRY_BYTES,
    MAX_MANIFEST_BYTES,
    SHORT_ID,
    WEIGHTS,
    Move,
    Note,
    Run,
    VersionManifest,
    check_alias,
    hash_of,
    parse_entry,
    parse_version,
    record_of,
)
from cutline.registry.signing import SIGNATURE_BYTES, Signer, Verifier
from cutline.registry.store import Store, Stored

T = TypeVar("T", Move, Note, Run)

GATED = (CHAMPION, CHALLENGER)
"""Aliases whose versions users may see."""

RUNS = "runs/"

_TRIES = 8
_REFRESHED_S = 3600.0  # what lies unused for longer is made new again by a push that needs it


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version that was found, and may be trusted as far as its registry is.

    ``is_built_in``: it is the one that ships, version 0. ``is_pruned``: its files are gone.
    """

    id: str
    manifest: VersionManifest
    is_built_in: bool = False
    is_pruned: bool = False

    @property
    def label(self) -> str:
        """name@version."""
        return self.manifest.label

    @property
    def has_passed(self) -> bool:
        """Whether users may see it: it has passed its gates, or ships."""
        return self.is_built_in or self.manifest.passed_gates

    @property
    def short(self) -> str:
        """The first 12 digits of its id, which name it, too."""
        return self.id[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """What an alias stands for: an id, or "" for nothing. ``number`` is that of its last move."""

    name: str
    version: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All versions, version 0 first, then by age; and for each that was refused, why."""

    versions: Sequence[Version]
    refused: Mapping[str, str]


class Registry:
    """One registry. ``store`` is None where there is none yet: then version 0 is all there is.

    Every method that reads or writes the store raises RegistryUnavailable where that fails, and
    VersionRefused for what is there but may not be used.
    """

    def __init__(
        self,
        store: Store | None,
        *,
        cache: Cache,
        signer: Signer | None = None,
        verifier: Verifier | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._maybe_store = store
        self._cache = cache
        self._signer = signer
        self._verifier = verifier
        self._now = now

    @property
    def where(self) -> str:
        """The place, for messages."""
        return self._maybe_store.where if self._maybe_store else "without a place"

    @property
    def store(self) -> Store:
        """Where it lies. Raises OptionError where nobody has said."""
        if self._maybe_store is None:
            raise OptionError("No registry is named.", hint="Name its folder, or set CUTLINE_REGISTRY.")
        return self._maybe_store

    # Reading

    def find(self, ref: str = CHAMPION) -> Version:
        """The version that an alias, an id, the beginning of one (8 digits or more) or "0" means.

        Raises VersionMissing, VersionRefused.
        """
        if ref == "0":
            return _built_in_version()
        if re.fullmatch(SHORT_ID, ref):
            return self._version(ref if len(ref) == 64 else self._completed(ref))
        alias = self.alias(ref)
        if not alias.version:
            raise VersionMissing(
                f"The alias {ref} of the registry {self.where} stands for no version.",
                hint="See which there are with: cutline registry list",
            )
        return self._version(alias.version)

    resolve = find

    def listing(self) -> Listing:
        """All versions, those that are refused too."""
        first = _built_in_version()
        found, refused = [], {}
        for entry in self._listed("versions/"):
            id_ = entry.key.removeprefix("versions/").removesuffix(".json")
            if id_ == first.id:
                continue
            try:
                found.append(self._version(id_))
            except (VersionRefused, VersionMissing) as error:
                refused[id_] = error.message
        found.sort(key=lambda version: (version.manifest.created, version.id))
        return Listing(versions=[first, *found], refused=refused)

    def versions(self) -> list[Version]:
        """All versions that may be used or looked at: version 0 first, then by age."""
        return list(self.listing().versions)

    def file(self, version: Version, path: str) -> bytes:
        """A file of a version, as its manifest lists it. Raises VersionMissing, VersionRefused."""
        record = version.manifest.files.get(path)
        if record is None:
            raise VersionMissing(f"The version {version.short} has no {path}.")
        if version.id == content.shipped().id:
            return content.shipped().read(path)
        if version.is_pruned:
            raise VersionMissing(f"The files of the version {version.short} were deleted by a prune.")
        data = self._read(object_key(record.sha256), record.bytes)
        if data is None:
            raise VersionRefused(f"{path} of the version {version.short} is missing in {self.where}.")
        if record_of(data) != record:
            raise VersionRefused(
                f"{path} of the version {version.short} is damaged: its size or SHA-256 differs.",
                hint="See what else is with: cutline registry verify",
            )
        return data

    def contents(self, version: Version) -> Contents:
        """The whole of a version, checked. Raises as `file`."""
        files = {path: self.file(version, path) for path in version.manifest.files}
        return content.checked(Contents(manifest=self._manifest(version), files=files))

    def local_bundle(self, version: Version) -> Path:
        """The folder of a version's bundle in the local cache. Raises as `file`."""
        if version.id == content.shipped().id:
            return default_bundle()
        records = {
            path.removeprefix(BUNDLE): record
            for path, record in version.manifest.files.items()
            if path.startswith(BUNDLE)
        }
        folder = self._cache.folder(version.id, records, lambda name: self.file(version, BUNDLE + name))
        content.check_bundle(version.manifest, (folder / MANIFEST).read_bytes())
        return folder

    def bundle(self, version: Version) -> Bundle:
        """A version's bundle, in memory. Raises as `file`."""
        return read_bundle(self.local_bundle(version))

    def weights(self, version: Version) -> Path | None:
        """A version's trainable weights, in the local cache or beside what ships; None where it has none.

        Raises as `file`.
        """
        if version.id == content.shipped().id:
            return content.shipped().weights
        record = version.manifest.files.get(WEIGHTS)
        if record is None:
            return None
        return self._cache.file(record, partial(self._checked_weights, version))

    def remember(self, alias: str, version: Version) -> None:
        """Note in the local cache what an alias stands for, with its signatures."""
        signatures = [] if version.is_built_in else self._signatures(version.id)
        note = {
            "manifest": self._manifest(version).decode(),
            "signatures": [each.hex() for each in signatures],
        }
        self._cache.remember(f"{self.where}#{alias}", note)

    def known(self, alias: str) -> Version | None:
        """What an alias stood for when it was last remembered here, without asking; None if unknown."""
        note = self._cache.remembered(f"{self.where}#{alias}")
        if note is None:
            return None
        try:
            manifest = str(note["manifest"]).encode()
            signatures = [bytes.fromhex(str(each)) for each in note["signatures"]]
            version = Version(
                id=hash_of(manifest), manifest=parse_version(manifest, "The remembered version")
            )
        except (KeyError, TypeError, ValueError, VersionRefused):
            return None
        is_built_in = version.id == content.shipped().id
        if is_built_in or self._verifier is None or self._verifier.accepts(manifest, signatures):
            return version
        return None

    # Writing versions

    def push(self, draft: Draft) -> Version:
        """Make a version. The same content again is the same version. Moves no alias.

        Raises BundleError, OptionError, VersionMissing for a parent that is not there.
        """
        for parent in draft.parents:
            self.find(parent)
        return self.receive(content.of_draft(draft))

    def receive(self, version: Contents) -> Version:
        """Write a version that exists elsewhere, with its id. Its parents need not be here.

        Raises as `push`, but for VersionMissing.
        """
        manifest = parse_version(content.checked(version).manifest, "The version's manifest")
        for parent in manifest.parents:
            with suppress(VersionMissing):  # a line is told by ids
                self._keep_built_in(self.find(parent))
        self._write(version)
        return self._version(version.id)

    def sign(self, version: Version) -> None:
        """Sign a version that is there. Raises OptionError without a private key."""
        if self._signer is None:
            raise OptionError(
                "There is no private key to sign with.", hint="Set CUTLINE_REGISTRY_PRIVATE_KEY to its file."
            )
        self._keep_built_in(version)
        self._sign(version.id, self._manifest(version))

    def annotate(self, ref: str, *, by: str, why: str, facts: Mapping[str, object] | None = None) -> Note:
        """Add a note to a version. Raises AliasMoved where somebody else adds one at this moment."""
        version = self.find(ref)
        log = self._log(f"notes/{version.id}/")
        note = Note(
            version=version.id,
            number=max(log.numbers(), default=0) + 1,
            by=by,
            at=self._moment(),
            why=why,
            facts=dict(facts or {}),
            token=uuid.uuid4().hex,
        )
        self._append(log, note.number, _checked_entry(note), f"a note on {version.short}")
        return note

    def notes(self, ref: str) -> list[Note]:
        """The notes on a version, oldest first."""
        return self._entries(Note, f"notes/{self.find(ref).id}/")

    # Runs of the learner

    def record_run(
        self,
        *,
        by: str,
        ending: str,
        why: str,
        champion: str = "",
        version: str = "",
        data: str = "",
        facts: Mapping[str, object] | None = None,
    ) -> Run:
        """Write down what a run came to. The parameters are as in Run.

        Raises OptionError, and AliasMoved where many others write at this moment.
        """
        log = self._log(RUNS)
        for _ in range(_TRIES):
            run = _checked_entry(
                Run(
                    number=max(log.numbers(), default=0) + 1,
                    by=by,
                    at=self._moment(),
                    ending=ending,  # type: ignore[arg-type]
                    why=why,
                    champion=champion,
                    version=version,
                    data=data,
                    facts=dict(facts or {}),
                    token=uuid.uuid4().hex,
                )
            )
            if log.append(run.number, run.to_bytes()):
                return run
        raise AliasMoved("Many runs are written down at this moment.", hint="Try again.")

    def runs(self, *, most: int = 20) -> list[Run]:
        """What the last runs came to, the newest first."""
        return self._last(Run, RUNS, most)

    # Aliases

    def alias(self, name: str) -> Alias:
        """What an alias stands for. The champion is version 0 until it is moved."""
        moves = self.last_moves(name, most=1)
        if not moves:
            return Alias(name=name, version=content.shipped().id if name == CHAMPION else "", number=0)
        return Alias(name=name, version=moves[0].version, number=moves[0].number)

    def aliases(self) -> dict[str, Alias]:
        """All aliases by name, the champion among them; those that were cleared, too."""
        return {name: self.alias(name) for name in self.alias_names()}

    def alias_names(self) -> list[str]:
        """The names of all aliases, the champion's among them."""
        names = {entry.key.split("/")[1] for entry in self._listed("aliases/")}
        return [name for name in sorted({CHAMPION, *names}) if _is_alias(name)]

    def history(self, name: str = CHAMPION) -> list[Move]:
        """The moves of an alias, oldest first."""
        return self.moves_after(name, 0)

    def last_moves(self, name: str, *, most: int) -> list[Move]:
        """So many moves of an alias at most, the newest first."""
        return self._last(Move, f"aliases/{check_alias(name)}/", most)

    def moves_after(self, name: str, number: int) -> list[Move]:
        """The moves of an alias after one: a cheap question where there are none."""
        return self._entries(Move, f"aliases/{check_alias(name)}/", after=number)

    def promote(
        self,
        ref: str,
        *,
        to: str = CHAMPION,
        by: str,
        why: str,
        expected: str | None = None,
        override_gates: bool = False,
    ) -> Move:
        """Let an alias stand for a version.

        ``expected`` is the id that it must stand for until now ("" for nothing); None takes whatever it is.
        To champion or challenger comes only what has passed its gates (GatesNotPassed); to override them is
        recorded. Raises AliasMoved where somebody else was quicker; then nothing has changed.
        """
        version = self.find(ref)
        if version.is_pruned:
            raise VersionMissing(f"The files of the version {version.short} were deleted by a prune.")
        must_pass = to in GATED and not version.has_passed
        if must_pass and not override_gates:
            raise gates_not_passed(version, to)
        return self._move(
            to, version, "promote", by=by, why=why, expected=expected, overrides_gates=must_pass
        )

    def rollback(
        self,
        name: str = CHAMPION,
        *,
        by: str,
        why: str,
        to: str | None = None,
        expected: str | None = None,
    ) -> Move:
        """Go back to the version that an alias stood for before; again, and it goes back further.

        ``to`` names the version instead: it must have been there before. Raises VersionMissing where there is
        nothing to go back to, AliasMoved.
        """
        before = [each for each in earlier(self.history(name)) if each]
        wanted = self.find(to).id if to else before[-1] if before else ""
        if wanted not in before:
            raise VersionMissing(
                f"The alias {name} stood for no {'such ' if to else ''}version before.",
                kept="Nothing was changed.",
            )
        version = self._version(wanted)
        if version.is_pruned:
            raise VersionMissing(f"The files of the version {version.short} were deleted by a prune.")
        return self._move(name, version, "rollback", by=by, why=why, expected=expected)

    def clear(self, name: str, *, by: str, why: str, expected: str | None = None) -> Move:
        """Let an alias stand for nothing. Raises OptionError for the champion, AliasMoved."""
        if name == CHAMPION:
            raise OptionError("There is always a champion.", hint="Roll it back, or promote another version.")
        return self._move(name, None, "clear", by=by, why=why, expected=expected)

    # Within

    def _move(
        self,
        name: str,
        version: Version | None,
        action: str,
        *,
        by: str,
        why: str,
        expected: str | None,
        overrides_gates: bool = False,
    ) -> Move:
        now = self.alias(name)
        if expected is not None and not _is_meant(expected, now.version):
            raise AliasMoved(
                f"The alias {name} stands for {now.version[:12] or 'nothing'} by now.",
                kept="Nothing was changed.",
                hint="Look at it again, and decide again.",
            )
        for each in (now.version, version.id if version else ""):
            if each == content.shipped().id:  # so that one can go back to it after an update of Cutline, too
                self._keep_built_in(_built_in_version())
        log = self._log(f"aliases/{name}/")
        move = _checked_entry(
            Move(
                alias=name,
                number=now.number + 1,
                version=version.id if version else "",
                previous=now.version,
                action=action,  # type: ignore[arg-type]
                by=by,
                at=self._moment(),
                why=why,
                overrides_gates=overrides_gates,
                chain=hash_of(log.read(now.number)) if now.number else "",
                token=uuid.uuid4().hex,
            )
        )
        self._append(log, move.number, move, f"the alias {name}")
        if version is not None and self.is_pruned(version.id):
            before = self._version(now.version) if now.version else None
            self._move(name, before, "rollback", by=by, why="It was pruned meanwhile.", expected=None)
            raise VersionMissing(f"The files of the version {version.short} were deleted meanwhile.")
        return move

    def _append(self, log: Log, number: int, entry: Move | Note, what: str) -> None:
        if not log.append(number, entry.to_bytes()):
            raise AliasMoved(
                f"Somebody else was quicker to change {what}.",
                kept="Their change was kept.",
                hint="Look at it again, and decide again.",
            )

    def _last(self, kind: type[T], prefix: str, most: int) -> list[T]:
        """So many entries at most, the newest first; the others are not read."""
        if self._maybe_store is None:
            return []
        log = Log(self._maybe_store, prefix)
        return [self._entry(kind, log, number) for number in reversed(log.numbers()[-most:])]

    def _entries(self, kind: type[T], prefix: str, *, after: int = 0) -> list[T]:
        if self._maybe_store is None:
            return []
        log = Log(self._maybe_store, prefix)
        return [self._entry(kind, log, number) for number in log.numbers(after=after)]

    def _entry(self, kind: type[T], log: Log, number: int) -> T:
        entry = parse_entry(kind, log.read(number), log.where(number))
        if entry.number != number:
            raise VersionRefused(f"{log.where(number)} bears the number {entry.number}.")
        return entry

    def _version(self, id_: str) -> Version:
        if id_ == content.shipped().id:
            return _built_in_version()
        data = self._read(f"versions/{id_}.json", MAX_MANIFEST_BYTES) if re.fullmatch(ID, id_) else None
        if data is None:
            raise VersionMissing(f"The registry {self.where} has no version {id_[:64]}.")
        if hash_of(data) != id_:
            raise VersionRefused(f"The manifest of the version {id_[:12]} is damaged: its SHA-256 differs.")
        manifest = parse_version(data, f"The manifest of the version {id_[:12]}")
        self._check_signature(id_, data)
        return Version(id=id_, manifest=manifest, is_pruned=self.is_pruned(id_))

    def _completed(self, start: str) -> str:
        found = [entry.key[len("versions/") : -len(".json")] for entry in self._listed(f"versions/{start}")]
        if content.shipped().id.startswith(start):
            found.append(content.shipped().id)
        if len(set(found)) != 1:
            what = "several versions that begin" if found else "no version that begins"
            raise VersionMissing(f"The registry {self.where} has {what} with {start}.")
        return found[0]

    def _check_signature(self, id_: str, manifest: bytes) -> None:
        if self._verifier is None:
            return
        signatures = self._signatures(id_)
        if not self._verifier.accepts(manifest, signatures):
            problem = "is signed by no key that is trusted" if signatures else "is not signed"
            raise VersionRefused(
                f"The version {id_[:12]} {problem} here.",
                hint="Sign it with: cutline registry sign, or correct CUTLINE_REGISTRY_PUBLIC_KEYS.",
            )

    def _signatures(self, id_: str) -> list[bytes]:
        keys = [entry.key for entry in self._listed(f"signatures/{id_}/")][:32]
        return [self._read(key, SIGNATURE_BYTES) or b"" for key in keys]

    def _manifest(self, version: Version) -> bytes:
        if version.id == content.shipped().id:
            return content.shipped().text
        data = self._read(f"versions/{version.id}.json", MAX_MANIFEST_BYTES) or b""
        if hash_of(data) != version.id:
            raise VersionRefused(f"The manifest of the version {version.short} was changed or deleted.")
        return data

    def _checked_weights(self, version: Version) -> bytes:
        data = self.file(version, WEIGHTS)
        content.check_weights(data)
        return data

    def _keep_built_in(self, version: Version) -> None:
        """Write version 0 to the store, where it is that: the next Cutline may ship another one."""
        if version.is_built_in:
            self._write(content.shipped().contents())

    def _write(self, version: Contents) -> None:
        store = self.store
        store.check_writable()
        pending = {object_key(hash_of(data)): data for data in version.files.values()}
        self._write_objects(store, pending)
        self._sign(version.id, version.manifest)
        store.create(f"versions/{version.id}.json", version.manifest)
        store.delete([f"pruned/{version.id}.json"] if self.is_pruned(version.id) else [])
        self._write_objects(store, pending)  # whatever a prune took meanwhile

    def _write_objects(self, store: Store, objects: Mapping[str, bytes]) -> None:
        for key, data in objects.items():
            there = next((entry for entry in store.listed(key) if entry.key == key), None)
            if there is None:
                store.create(key, data)
            elif self._now().timestamp() - there.modified_s > _REFRESHED_S:
                store.touch(key, data)

    def _sign(self, id_: str, manifest: bytes) -> None:
        if self._signer is not None:
            self.store.create(f"signatures/{id_}/{self._signer.key_id}.sig", self._signer.sign(manifest))

    def is_pruned(self, id_: str) -> bool:
        """Whether a version's files were deleted."""
        return any(entry.key == f"pruned/{id_}.json" for entry in self._listed(f"pruned/{id_}"))

    def _read(self, key: str, most: int) -> bytes | None:
        return None if self._maybe_store is None else self._maybe_store.read(key, most)

    def _listed(self, prefix: str) -> list[Stored]:
        return [] if self._maybe_store is None else list(self._maybe_store.listed(prefix))

    def _log(self, prefix: str) -> Log:
        self.store.check_writable()
        return Log(self.store, prefix)

    def _moment(self) -> str:
        return self._now().isoformat(timespec="microseconds")


def earlier(moves: Sequence[Move]) -> list[str]:
    """The versions that rollbacks go to, the nearest last; "" is where it stood for nothing.

    A rollback takes away what stood above; whatever was promoted comes on top.
    """
    stack = [moves[0].previous] if moves else [""]
    for move in moves:
        if move.action == "rollback" and move.version in stack:
            last = len(stack) - 1 - stack[::-1].index(move.version)
            del stack[last + 1 :]
        elif move.version != stack[-1]:
            stack.append(move.version)
    return stack[:-1]


def _built_in_version() -> Version:
    return Version(id=content.shipped().id, manifest=content.shipped().manifest, is_built_in=True)


def gates_not_passed(version: Version, to: str) -> GatesNotPassed:
    """The refusal to let an alias whose versions users see stand for a version."""
    return GatesNotPassed(
        f"The version {version.short} has not passed the gates, and cannot become {to}.",
        kept="Nothing was changed.",
        hint="cutline registry show tells what its report says.",
    )


def object_key(sha256: str) -> str:
    """Where a file lies in the store."""
    return f"objects/{sha256[:2]}/{sha256}"


def _checked_entry(entry: T) -> T:
    """Refuse what could not be read back. Raises OptionError."""
    try:
        data = entry.to_bytes()
        if len(data) > MAX_ENTRY_BYTES:
            raise ValueError(f"it has {len(data)} bytes, more than {MAX_ENTRY_BYTES}")
        return parse_entry(type(entry), data, "The entry")
    except (VersionRefused, TypeError, ValueError) as error:
        raise OptionError(
            f"This cannot be recorded: {error}", hint="Say who and why, in up to 2,000 plain characters."
        ) from error


def _is_meant(expected: str, id_: str) -> bool:
    return expected == id_ or bool(re.fullmatch(SHORT_ID, expected) and id_.startswith(expected))


def _is_alias(name: str) -> bool:
    try:
        return check_alias(name) == name
    except OptionError:
        return False
