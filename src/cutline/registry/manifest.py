"""What a registry keeps as JSON: manifests of versions, moves of aliases, notes on versions, learners' runs.

All of it may have been written by others: it is parsed strictly, and a version is named by the SHA-256 of
its manifest, which lists the SHA-256 of each of its files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from cutline.captioning.bundle import FILE_NAME, MANIFEST, NAME, REQUIRED, VERSION, FileRecord
from cutline.errors import OptionError, VersionRefused
from cutline.strict import Between, Like, did_you_mean, dump, parse_file

T = TypeVar("T")

FORMAT_VERSION = 1
MAX_MANIFEST_BYTES = 2**20
MAX_ENTRY_BYTES = 2**18
MAX_FILES = 128
MAX_TOTAL_BYTES = 16 * 2**30

ID = "[0-9a-f]{64}"
SHORT_ID = "[0-9a-f]{8,64}"
ALIAS = r"[a-z][a-z0-9._-]{0,62}"
CHAMPION, CHALLENGER = "champion", "challenger"
BUNDLE = "bundle/"
WEIGHTS, RECIPE, GATES, GATES_PAGE = "weights.safetensors", "recipe.yaml", "gates.json", "gates.html"
OTHERS = "files/"
# Data alone, in flat folders: no pickle, nothing hidden, nothing that leads out.
OTHER_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\.(?:json|jsonl|md|txt|yaml|csv|html|png|npz|safetensors)"
PATH = rf"bundle/{FILE_NAME}|weights\.safetensors|recipe\.yaml|gates\.json|gates\.html|files/{OTHER_NAME}"

ShortText = Annotated[str, Like(r"[^\x00-\x08\x0b-\x1f\x7f]{1,2000}")]
Name = Annotated[str, Like(r"[^\x00-\x1f\x7f]{1,200}")]
Moment = Annotated[str, Like(r"[0-9T:.+Z -]{10,40}")]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRecord:
    """What a version learned from: the hash of its data set, and what that is."""

    hash: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOutcome:
    """Whether a version passed the gates that stand before users, and a sentence on it."""

    passed: bool
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionManifest:
    """The manifest of a version. ``metrics`` is free; ``files`` lists every file that belongs to it.

    ``name``, ``version``, ``licence`` and ``created`` are the bundle's, and ``bundle_hash`` its content hash.
    ``parents`` are the ids of the versions whose weights it began with.
    """

    format_version: Literal[1]
    name: Annotated[str, Like(NAME)]
    version: Annotated[str, Like(VERSION)]
    licence: str
    created: Moment
    bundle_hash: Annotated[str, Like(ID)]
    data: DataRecord
    parents: tuple[Annotated[str, Like(ID)], ...] = ()
    metrics: Mapping[str, object] = field(default_factory=dict)
    gates: GateOutcome | None = None
    files: Mapping[str, FileRecord] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """name@version."""
        return f"{self.name}@{self.version}"

    @property
    def passed_gates(self) -> bool:
        """Whether there is a report of gates, and all were passed."""
        return self.gates is not None and self.gates.passed

    @property
    def total_bytes(self) -> int:
        """The bytes of all files together."""
        return sum(record.bytes for record in self.files.values())

    def to_bytes(self) -> bytes:
        """The manifest as it is stored: the same text for the same content."""
        return _text(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move of an alias: an entry of its history, and at the same time the move itself.

    ``version`` is what it stands for from then on, ``previous`` what it stood for before ("": nothing).
    ``chain`` is the SHA-256 of the entry before, so that a changed history shows.
    """

    alias: Annotated[str, Like(ALIAS)]
    number: Annotated[int, Between(1)]
    version: Annotated[str, Like(f"(?:{ID})?")]
    previous: Annotated[str, Like(f"(?:{ID})?")]
    action: Literal["promote", "rollback", "clear"]
    by: Name
    at: Moment
    why: ShortText
    overrides_gates: bool = False
    chain: Annotated[str, Like(f"(?:{ID})?")] = ""
    token: Annotated[str, Like("[0-9a-f]{0,32}")] = ""

    def to_bytes(self) -> bytes:
        """The entry as it is stored."""
        return _text(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A remark on a version, made after it: versions never change. ``facts`` is free."""

    version: Annotated[str, Like(ID)]
    number: Annotated[int, Between(1)]
    by: Name
    at: Moment
    why: ShortText
    facts: Mapping[str, object] = field(default_factory=dict)
    token: Annotated[str, Like("[0-9a-f]{0,32}")] = ""

    def to_bytes(self) -> bytes:
        """The note as it is stored."""
        return _text(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run of the learner came to, whether there is a challenger or not.

    ``champion`` is the version that it began with, ``version`` the challenger that it pushed ("": none),
    ``data`` the hash of what it learned from. ``facts`` is free.
    """

    number: Annotated[int, Between(1)]
    by: Name
    at: Moment
    ending: Literal["not started", "rejected", "challenger", "failed"]
    why: ShortText
    champion: Annotated[str, Like(f"(?:{ID})?")] = ""
    version: Annotated[str, Like(f"(?:{ID})?")] = ""
    data: Annotated[str, Like("[0-9a-f]{0,64}")] = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    token: Annotated[str, Like("[0-9a-f]{0,32}")] = ""

    def to_bytes(self) -> bytes:
        """The entry as it is stored."""
        return _text(self)


def moment_of(text: str) -> datetime:
    """An entry's moment; without a zone it is UTC. Raises VersionRefused for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise VersionRefused(f"{text!r:.60} is no moment.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def hash_of(data: bytes) -> str:
    """The SHA-256, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def record_of(data: bytes) -> FileRecord:
    """Size and hash of a file."""
    return FileRecord(sha256=hash_of(data), bytes=len(data))


def parse_version(data: bytes, where: str) -> VersionManifest:
    """Parse a version's manifest. Raises VersionRefused for whatever is not as it must be."""
    manifest = parse_entry(VersionManifest, data, where)
    if problem := _listing_problem(manifest):
        raise VersionRefused(f"{where}: {problem}.")
    return manifest


def parse_entry(kind: type[T], data: bytes, where: str) -> T:
    """Parse a move, a note or a manifest strictly. Raises VersionRefused."""
    return parse_file(kind, data, where, VersionRefused)


def _listing_problem(manifest: VersionManifest) -> str:
    """Say what is wrong with the list of files; "" where nothing is."""
    if len(manifest.files) > MAX_FILES:
        return f"it lists {len(manifest.files)} files; the limit is {MAX_FILES}"
    for path in manifest.files:
        if re.fullmatch(PATH, path) is None:
            return f"it lists {path!r:.120}, a name that is not allowed in a version"
    missing = [name for name in (MANIFEST, *REQUIRED) if BUNDLE + name not in manifest.files]
    if missing:
        return f"it does not list {', '.join(BUNDLE + name for name in missing)}"
    if manifest.total_bytes > MAX_TOTAL_BYTES:
        return f"it is {manifest.total_bytes:,} bytes; the limit is {MAX_TOTAL_BYTES:,}"
    if len(set(manifest.parents)) != len(manifest.parents):
        return "it names a parent twice"
    return ""


def check_alias(name: str) -> str:
    """A name that an alias may have. Raises OptionError."""
    if re.fullmatch(ALIAS, name) is None or re.fullmatch(SHORT_ID, name):
        hint = did_you_mean(name.lower(), [CHAMPION, CHALLENGER])
        raise OptionError(
            f"{name!r:.80} cannot be an alias: use up to 63 small letters, digits, dots and dashes, with a"
            " letter first, and not only hexadecimal digits.",
            hint=hint,
        )
    return name


def _text(value: object) -> bytes:
    return (json.dumps(dump(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
