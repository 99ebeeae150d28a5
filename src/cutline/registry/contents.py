"""What goes into a version, and what comes out of one: its manifest and the bytes of its files."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cutline.captioning.bundle import (
    MANIFEST,
    Bundle,
    Manifest,
    manifest_text,
    parse_manifest,
    read_bundle,
    sealed,
)
from cutline.captioning.sources import DEFAULT_BUNDLE, default_bundle
from cutline.errors import OptionError, OutputError, VersionRefused
from cutline.registry.manifest import (
    BUNDLE,
    GATES,
    GATES_PAGE,
    MAX_MANIFEST_BYTES,
    MAX_TOTAL_BYTES,
    OTHER_NAME,
    OTHERS,
    RECIPE,
    WEIGHTS,
    DataRecord,
    GateOutcome,
    VersionManifest,
    hash_of,
    parse_version,
    record_of,
)
from cutline.strict import load_json

VERSION_FILE = "version.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """What the gates found: whether all were passed, a sentence on it, the report, and its page (HTML)."""

    passed: bool
    summary: str = ""
    report: Mapping[str, object] = field(default_factory=dict)
    page: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What shall become a version.

    ``bundle`` is a bundle, or its folder or zip. ``weights`` is a safetensors file from which training can go
    on, and ``recipe`` the YAML it was trained by. ``data`` is what it learned from; by default what the
    bundle says. ``parents`` are ids of versions in the same registry. ``files`` are more files, by name.
    """

    bundle: Bundle | Path | str
    weights: Path | None = None
    recipe: str = ""
    data: DataRecord | None = None
    parents: tuple[str, ...] = ()
    metrics: Mapping[str, object] = field(default_factory=dict)
    gates: GateReport | None = None
    files: Mapping[str, Path | bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A version with all its bytes. ``manifest`` is the text whose hash is the version's id."""

    manifest: bytes
    files: Mapping[str, bytes]

    @property
    def id(self) -> str:
        """The version's id."""
        return hash_of(self.manifest)


def of_draft(draft: Draft) -> Contents:
    """Make a version's contents. Raises BundleError, OptionError, VersionRefused."""
    bundle = draft.bundle if isinstance(draft.bundle, Bundle) else read_bundle(draft.bundle)
    bundle = sealed(bundle.manifest, bundle.files)
    files = {
        BUNDLE + MANIFEST: manifest_text(bundle.manifest).encode(),
        **{BUNDLE + name: data for name, data in bundle.files.items()},
        **_own_files(draft),
    }
    made = VersionManifest(
        format_version=1,
        **_of_bundle(bundle.manifest),
        data=draft.data or _data_of(bundle.manifest),
        parents=tuple(draft.parents),
        metrics=dict(draft.metrics),
        gates=_outcome(draft.gates),
        files={path: record_of(data) for path, data in sorted(files.items())},
    )
    return checked(Contents(manifest=_written(made), files=files))


def of_folder(folder: Path) -> Contents:
    """Read a version that `save` wrote, or that came from elsewhere. Raises VersionRefused."""
    manifest = _read(folder / VERSION_FILE, MAX_MANIFEST_BYTES)
    listed = parse_version(manifest, str(folder / VERSION_FILE)).files
    files = {path: _read(folder / path, record.bytes) for path, record in listed.items()}
    return checked(Contents(manifest=manifest, files=files))


def save(contents: Contents, target: Path) -> None:
    """Write a version to a new folder: version.json, bundle/ and the rest. Raises OutputError."""
    if target.exists():
        raise OutputError(f"{target} exists already.", kept="Nothing was changed.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
            fresh = Path(scratch, "fresh")
            for path, data in {VERSION_FILE: contents.manifest, **contents.files}.items():
                (fresh / path).parent.mkdir(parents=True, exist_ok=True)
                (fresh / path).write_bytes(data)
            fresh.rename(target)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}.") from error


def checked(contents: Contents) -> Contents:
    """The same contents, if manifest and files agree. Raises VersionRefused."""
    manifest = parse_version(contents.manifest, "The version's manifest")
    if set(manifest.files) != set(contents.files):
        raise VersionRefused("The version's files are not those that its manifest lists.")
    for path, data in contents.files.items():
        if record_of(data) != manifest.files[path]:
            raise VersionRefused(f"{path} is not the original file: its size or SHA-256 differs.")
    check_bundle(manifest, contents.files[BUNDLE + MANIFEST])
    if WEIGHTS in contents.files:
        check_weights(contents.files[WEIGHTS])
    return contents


def check_bundle(manifest: VersionManifest, bundle_json: bytes) -> None:
    """Compare what a version and its bundle say of the bundle. Raises VersionRefused, BundleError."""
    bundle = parse_manifest(bundle_json, "the version's bundle")
    said = {BUNDLE + name: record for name, record in bundle.files.items()}
    said[BUNDLE + MANIFEST] = record_of(bundle_json)
    listed = {path: record for path, record in manifest.files.items() if path.startswith(BUNDLE)}
    if said != listed or any(getattr(manifest, name) != value for name, value in _of_bundle(bundle).items()):
        raise VersionRefused("The version's manifest and its bundle.json contradict each other.")


def check_weights(data: bytes) -> None:
    """Refuse what is not a safetensors file: a header of JSON, and tensors within the file."""
    size = int.from_bytes(data[:8], "little")
    try:
        if len(data) < 8 or not 2 <= size <= min(len(data) - 8, 100 * 2**20):
            raise ValueError("its header is cut short")
        header = load_json(data[8 : 8 + size])
        if not isinstance(header, dict):
            raise ValueError("its header is no object")
        for name, tensor in header.items():
            if name != "__metadata__":
                _check_tensor(name, tensor, len(data) - 8 - size)
    except ValueError as error:
        raise VersionRefused(f"The weights are not a safetensors file: {error}.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """Version 0 of every registry: the bundle that ships.

    ``weights`` are its trainable weights, which only a checkout and the image that learns have. They are no
    part of the version: its id is the same in all installations.
    """

    id: str
    text: bytes
    manifest: VersionManifest
    places: Mapping[str, Path]
    bundle_json: bytes
    weights: Path | None

    def read(self, path: str) -> bytes:
        """A file that the manifest lists. Raises VersionRefused."""
        if path == BUNDLE + MANIFEST:
            return self.bundle_json
        return _read(self.places[path], self.manifest.files[path].bytes)

    def contents(self) -> Contents:
        """All of it."""
        return checked(
            Contents(manifest=self.text, files={path: self.read(path) for path in self.manifest.files})
        )


@lru_cache(maxsize=1)
def shipped() -> Shipped:
    """Read once in a process what ships with this installation. Raises BundleMissing, VersionRefused."""
    bundle = read_bundle(default_bundle())
    gates = GateReport(passed=True, summary="Ships with Cutline.")
    whole = of_draft(Draft(bundle=bundle, metrics=bundle.manifest.metrics, gates=gates))
    weights = default_bundle().parent / f"{DEFAULT_BUNDLE}-training" / WEIGHTS
    return Shipped(
        id=whole.id,
        text=whole.manifest,
        manifest=parse_version(whole.manifest, "Version 0"),
        places={BUNDLE + name: default_bundle() / name for name in bundle.files},
        bundle_json=whole.files[BUNDLE + MANIFEST],
        weights=weights if weights.is_file() else None,
    )


def _outcome(report: GateReport | None) -> GateOutcome | None:
    return None if report is None else GateOutcome(passed=report.passed, summary=report.summary)


def _own_files(draft: Draft) -> dict[str, bytes]:
    """The files of a version beside its bundle."""
    files: dict[str, bytes] = {}
    if draft.weights is not None:
        files[WEIGHTS] = _read(draft.weights, MAX_TOTAL_BYTES)
    if draft.recipe:
        files[RECIPE] = draft.recipe.encode()
    if draft.gates is not None and draft.gates.report:
        files[GATES] = _json(draft.gates.report)
    if draft.gates is not None and draft.gates.page:
        files[GATES_PAGE] = draft.gates.page
    for name, source in draft.files.items():
        if re.fullmatch(OTHER_NAME, name) is None:
            raise OptionError(f"{name!r:.120} is a name that is not allowed in a version.")
        files[OTHERS + name] = source if isinstance(source, bytes) else _read(source, MAX_TOTAL_BYTES)
    return files


def _of_bundle(bundle: Manifest) -> dict[str, str]:
    return {
        "name": bundle.name,
        "version": bundle.version,
        "licence": bundle.licence,
        "created": bundle.created,
        "bundle_hash": bundle.content_hash(),
    }


def _data_of(bundle: Manifest) -> DataRecord:
    return DataRecord(hash=bundle.training_data.hash, description=bundle.training_data.description)


def _written(manifest: VersionManifest) -> bytes:
    try:
        return manifest.to_bytes()
    except (TypeError, ValueError) as error:  # metrics are free, but must be JSON
        raise OptionError(f"The version's metrics cannot be written as JSON: {error}.") from error


def _json(value: object) -> bytes:
    try:
        return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise OptionError(f"The report of the gates cannot be written as JSON: {error}.") from error


def _read(path: Path, most: int) -> bytes:
    """A file's bytes, at most so many. Raises VersionRefused."""
    try:
        if path.is_symlink() or not path.is_file():
            raise VersionRefused(f"{path} is not a regular file.")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise VersionRefused(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(data) > most:
        raise VersionRefused(f"{path} is longer than {most:,} bytes.")
    return data


def _check_tensor(name: str, tensor: object, room: int) -> None:
    offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    if not (
        isinstance(offsets, list)
        and len(offsets) == 2
        and all(type(each) is int for each in offsets)
        and 0 <= offsets[0] <= offsets[1] <= room
    ):
        raise ValueError(f"{name!r:.80} lies outside of the file")
