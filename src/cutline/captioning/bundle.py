"""Bundles: a trained model in a folder or a zip. Everything in it is checked before it is used.

A bundle is bundle.json (a Manifest) beside the files that it lists: the two ONNX graphs, the tokenizer
and the model card. Reading one checks names, sizes and hashes, and runs no code of the bundle's: ONNX
graphs and JSON are data. See docs/bundle.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from cutline.captioning.options import DecodingOptions
from cutline.errors import BundleDamaged, BundleMissing, BundleTooNew, CutlineError, OutputError
from cutline.images import Preprocessing
from cutline.strict import Between, Json, Like, MismatchError, dump, load_json, parse_json, schema

FORMAT_VERSION = 1
# What zipfile raises for damaged zips: ValueError for names that are not UTF-8, too.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
MANIFEST = "bundle.json"
ENCODER, DECODER, TOKENIZER, CARD = "encoder.onnx", "decoder.onnx", "tokenizer.json", "MODEL_CARD.md"
REQUIRED = (ENCODER, DECODER, TOKENIZER, CARD)
TEXT = "text.onnx"  # optional: texts among photos, see docs/bundle.md
RERANKER = "reranker.json"  # optional: which of many sentences is the caption, see captioning/reranking.py
CONFIDENCE = "confidence.json"  # optional: how likely a caption is acceptable, see captioning/confidence.py

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
VERSION = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}"
LANGUAGE = r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,8}"  # a tag of BCP 47
# A flat name of plain letters, of a kind of file that is only data: no folders, nothing hidden, no pickle.
FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\.(?:onnx|json|jsonl|md|txt|yaml|csv|png)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on the size of a bundle."""

    max_manifest_bytes: int = 2**20
    max_files: int = 64
    max_total_bytes: int = 4 * 2**30


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A tensor that the decoder carries from token to token, for each beam.

    ``shape`` leaves out batch and beam. ``grows_on`` is the axis of ``shape`` that gains one entry a step.
    """

    shape: tuple[Annotated[int, Between(0, 2**20)], ...]
    grows_on: Annotated[int, Between(0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What the runtime needs to know about the graphs.

    ``max_tokens`` is how many tokens the decoder can be fed, the start token among them: a sentence has
    at most one fewer, and its end token.
    """

    kind: Literal["transformer", "lstm-attention"]
    grid: tuple[Annotated[int, Between(1, 256)], Annotated[int, Between(1, 256)]]
    max_tokens: Annotated[int, Between(2, 4096)]
    vocabulary: Annotated[int, Between(5, 2**24)]
    start_id: Annotated[int, Between(0)]
    end_id: Annotated[int, Between(0)]
    pad_id: Annotated[int, Between(0)]
    unknown_id: Annotated[int, Between(0)]
    state: Mapping[str, State]

    def __post_init__(self) -> None:
        """Refuse numbers that contradict each other (MismatchError)."""
        ids = (self.start_id, self.end_id, self.pad_id, self.unknown_id)
        if len(set(ids)) != len(ids) or max(ids) >= self.vocabulary:
            raise MismatchError(
                f"the special ids {ids} must differ and be below vocabulary {self.vocabulary}"
            )
        for name, state in self.state.items():
            if state.grows_on is not None and state.grows_on >= len(state.shape):
                raise MismatchError(
                    f"state {name} grows on axis {state.grows_on}, but has {len(state.shape)} axes"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextStyle:
    """How words become a sentence.

    ``language`` is that of the sentences, a tag of BCP 47 such as "en"; None where the bundle does not say.
    ``function_words`` carry the grammar: they may occur in a sentence twice. ``never_said`` are words that
    are never written, in place of Cutline's own list.
    """

    language: Annotated[str, Like(LANGUAGE)] | None = None
    sentence_case: bool = True
    full_stop: bool = True
    function_words: tuple[str, ...] = ()
    never_said: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What the model learned from."""

    hash: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """What a file of the bundle must be, byte for byte."""

    sha256: Annotated[str, Like("[0-9a-f]{64}")]
    bytes: Annotated[int, Between(0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of bundle.json. ``metrics`` is free."""

    format_version: Literal[1]
    name: Annotated[str, Like(NAME)]
    version: Annotated[str, Like(VERSION)]
    licence: str
    created: str
    architecture: Architecture
    preprocessing: Preprocessing
    text: TextStyle
    decoding: DecodingOptions
    training_data: TrainingData
    metrics: Mapping[str, object]
    files: Mapping[str, FileRecord] = field(default_factory=dict)

    def content_hash(self) -> str:
        """Name the bundle by its content: 64 hexadecimal digits, which differ where any byte of a file does.

        It is the SHA-256 of bundle.json as Cutline writes it, which lists the SHA-256 of all other files.
        """
        return hashlib.sha256(manifest_text(self).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle in memory, every check passed. ``files`` are the listed files' bytes."""

    manifest: Manifest
    files: Mapping[str, bytes]
    where: str


def manifest_schema() -> Json:
    """The JSON Schema of bundle.json, which contracts/bundle.schema.json is."""
    body = schema(Manifest)
    body["required"] = [*body["required"], "files"]
    body["properties"]["files"] |= {
        "propertyNames": {"pattern": f"^(?:{FILE_NAME})$"},
        "required": list(REQUIRED),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://cutline.invalid/bundle.schema.json",
        "title": "bundle.json of a Cutline model bundle",
    } | body


def read_bundle(place: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> Bundle:
    """Read a folder or a zip and check all of it.

    Raises BundleMissing, BundleTooNew, or BundleDamaged, with the reason.
    """
    path = Path(place)
    try:
        with _open_store(path) as store:
            return _read(store, where=str(path), limits=limits)
    except OSError as error:
        raise BundleDamaged(f"The bundle {path} cannot be read: {error.strerror or error}.") from error


def write_bundle(
    folder: str | os.PathLike[str], manifest: Manifest | Mapping[str, Any], files: Mapping[str, Path]
) -> Manifest:
    """Write a bundle folder atomically; return the manifest with its ``files`` filled in.

    ``manifest`` is without ``files``; ``files`` maps names in the bundle to the paths to copy. An existing
    bundle at ``folder`` is replaced; any other folder with content is not touched (OutputError).
    """
    whole = manifest if isinstance(manifest, Manifest) else _parsed(dict(manifest), "the manifest")
    try:
        contents = {name: Path(path).read_bytes() for name, path in files.items()}
    except OSError as error:
        raise BundleDamaged(f"{error.filename} cannot be read: {error.strerror}.") from error
    bundle = sealed(whole, contents)
    _write_folder(bundle, Path(folder))
    return bundle.manifest


def sealed(manifest: Manifest, contents: Mapping[str, bytes]) -> Bundle:
    """Make a bundle of these contents, with their sizes and hashes in its manifest."""
    records = {name: _record(data) for name, data in sorted(contents.items())}
    whole = replace(manifest, files=records)
    _check_listing(_parsed(dump(whole), MANIFEST))
    return Bundle(manifest=whole, files=contents, where="memory")


def export_bundle(bundle: Bundle, target: str | os.PathLike[str]) -> Path:
    """Write a bundle that was read: to a zip where ``target`` ends in .zip, else to a folder.

    Atomic, as write_bundle. A zip of the same bundle is the same bytes every time.
    """
    path = Path(target)
    if path.suffix.lower() == ".zip":
        _write_zip(bundle, path)
    else:
        _write_folder(bundle, path)
    return path


# Reading


class _Store(Protocol):
    """A folder or a zip, as names and bytes."""

    def names(self) -> list[str]: ...

    def size(self, name: str) -> int: ...

    def read(self, name: str, most: int) -> bytes: ...


def _read(store: _Store, *, where: str, limits: Limits) -> Bundle:
    names = store.names()
    if len(names) > limits.max_files:
        raise BundleDamaged(f"The bundle {where} has {len(names)} files; the limit is {limits.max_files}.")
    if MANIFEST not in names:
        raise BundleMissing(f"{where} is not a bundle: it has no {MANIFEST}.")
    manifest = parse_manifest(_read_whole(store, MANIFEST, limits.max_manifest_bytes), where)
    extra = sorted(set(names) - set(manifest.files) - {MANIFEST})
    if extra:
        raise BundleDamaged(
            f"The bundle {where} holds files that {MANIFEST} does not list: {', '.join(extra)}."
        )
    total = sum(record.bytes for record in manifest.files.values())
    if total > limits.max_total_bytes:
        raise BundleDamaged(
            f"The bundle {where} is {total:,} bytes; the limit is {limits.max_total_bytes:,}."
        )
    files = {name: _read_listed(store, name, record, where) for name, record in manifest.files.items()}
    return Bundle(manifest=manifest, files=files, where=where)


def _read_listed(store: _Store, name: str, record: FileRecord, where: str) -> bytes:
    if name not in store.names():
        raise BundleDamaged(f"The bundle {where} lacks {name}.")
    if store.size(name) != record.bytes:
        raise BundleDamaged(
            f"{name} in the bundle {where} has {store.size(name):,} bytes; {MANIFEST} says {record.bytes:,}."
        )
    data = _read_whole(store, name, record.bytes)
    if _record(data) != record:
        raise BundleDamaged(
            f"{name} in the bundle {where} is not the original file: its SHA-256 differs.",
            hint="Download or copy the bundle again.",
        )
    return data


def _read_whole(store: _Store, name: str, most: int) -> bytes:
    if store.size(name) > most:
        raise BundleDamaged(f"{name} has {store.size(name):,} bytes; the limit is {most:,}.")
    data = store.read(name, most + 1)  # the size in a zip cannot be trusted
    if len(data) > most:
        raise BundleDamaged(f"{name} is longer than its limit of {most:,} bytes.")
    return data


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Parse bundle.json strictly. Raises BundleTooNew or BundleDamaged."""
    try:
        content = load_json(data)
    except ValueError as error:
        raise BundleDamaged(f"{MANIFEST} of {where} is not JSON: {error}.") from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        raise BundleTooNew(
            f"The bundle {where} has format {version}; this Cutline reads format {FORMAT_VERSION}.",
            hint="Update Cutline, or use an older bundle.",
        )
    manifest = _parsed(content, f"{MANIFEST} of {where}")
    _check_listing(manifest)
    return manifest


def _parsed(content: object, where: str) -> Manifest:
    try:
        return parse_json(Manifest, content)
    except MismatchError as error:
        raise BundleDamaged(f"{where}: {error}.", hint=error.hint) from error
    except CutlineError as error:  # the classes of the parts check themselves
        raise BundleDamaged(f"{where}: {error.message}") from error


def _check_listing(manifest: Manifest) -> None:
    missing = [name for name in REQUIRED if name not in manifest.files]
    if missing:
        raise BundleDamaged(f"{MANIFEST} does not list {', '.join(missing)}.")
    for name in manifest.files:
        if re.fullmatch(FILE_NAME, name) is None or name == MANIFEST:
            raise BundleDamaged(f"{MANIFEST} lists {name!r:.120}, a name that is not allowed in a bundle.")


def _record(data: bytes) -> FileRecord:
    return FileRecord(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


@contextmanager
def _open_store(path: Path) -> Iterator[_Store]:
    if path.is_dir():
        yield _Folder(path)
    elif path.is_file():
        with _unzipping(path):
            archive = zipfile.ZipFile(path)
        with archive:
            yield _Zip(archive, path)
    else:
        raise BundleMissing(f"There is no bundle at {path}.")


@contextmanager
def _unzipping(path: Path) -> Iterator[None]:
    try:
        yield
    except _ZIP_ERRORS as error:
        raise BundleDamaged(f"{path} is not a zip that can be read: {error}.") from error


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        return sorted(each.name for each in self._path.iterdir())

    def size(self, name: str) -> int:
        status = (self._path / name).stat()
        if not stat.S_ISREG(status.st_mode):
            raise BundleDamaged(f"{self._path / name} is not a regular file.")
        return status.st_size

    def read(self, name: str, most: int) -> bytes:
        with (self._path / name).open("rb") as file:
            return file.read(most)


class _Zip:
    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._archive = archive
        self._path = path
        self._members = {each.filename: each for each in archive.infolist()}
        if len(self._members) != len(archive.infolist()):
            raise BundleDamaged(f"The zip {path} contains a name twice.")
        for name, member in self._members.items():
            if re.fullmatch(FILE_NAME, name) is None:
                raise BundleDamaged(
                    f"The zip {path} holds {name!r:.120}, a name that is not allowed in a bundle."
                )
            if member.flag_bits & 1:
                raise BundleDamaged(f"The zip {path} is encrypted.")

    def names(self) -> list[str]:
        return sorted(self._members)

    def size(self, name: str) -> int:
        return self._members[name].file_size

    def read(self, name: str, most: int) -> bytes:
        with _unzipping(self._path), self._archive.open(self._members[name]) as file:
            return file.read(most)


# Writing


def manifest_text(manifest: Manifest) -> str:
    """The text of bundle.json."""
    return json.dumps(dump(manifest), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _contents(bundle: Bundle) -> dict[str, bytes]:
    return {MANIFEST: manifest_text(bundle.manifest).encode(), **bundle.files}


def _write_folder(bundle: Bundle, folder: Path) -> None:
    """Write to a temporary folder, then move it: a reader sees the old bundle or the new one."""
    if folder.exists() and not _may_replace(folder):
        raise OutputError(f"{folder} contains something other than a bundle.", kept="Nothing was changed.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            fresh, old = Path(scratch, "new"), Path(scratch, "old")
            fresh.mkdir()
            for name, data in _contents(bundle).items():
                _write_synced(fresh / name, data)
            if folder.exists():
                folder.rename(old)
            try:
                fresh.rename(folder)
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
    except OSError as error:
        raise OutputError(f"The bundle cannot be written to {folder}: {error.strerror}.") from error


def _may_replace(folder: Path) -> bool:
    return folder.is_dir() and ((folder / MANIFEST).is_file() or not any(folder.iterdir()))


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _write_zip(bundle: Bundle, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}-", dir=path.parent, delete=False) as file:
            scratch = Path(file.name)
        try:
            with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, data in _contents(bundle).items():
                    member = zipfile.ZipInfo(name)  # its date is 1980: the same bundle is the same bytes
                    member.compress_type = zipfile.ZIP_DEFLATED
                    member.external_attr = 0o644 << 16
                    archive.writestr(member, data)
            scratch.chmod(0o644)
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"The bundle cannot be written to {path}: {error.strerror}.") from error
