"""`cutline data build`: from data sets and people's posts to webdataset shards.

OUT/shards/train-00000.tar ...   KEY.jpg, KEY.txt (a caption a line) and KEY.json of each photo
OUT/dataset.json                 sources with their consent, settings, counts, and the hash of each shard
OUT/README.md  OUT/left_out.json OUT/dvc.yaml: see notes.py

Shards are written whole or not at all, and dataset.json last: where there is none, the build has not ended.
The same sources and settings give the same shards, to the byte.
"""

from __future__ import annotations

import glob
import hashlib
import io
import json
import os
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from PIL import Image

from cutline.atomic_files import output_errors, replacement
from cutline.captioning.streaming import read_ahead
from cutline.errors import CutlineError, DataError, OptionError, OutputError
from cutline.images import Limits, open_image
from cutline.posts import notes
from cutline.posts.candidates import (
    UNREADABLE,
    Candidate,
    Counts,
    Photo,
    Seen,
    look_at,
    of_example,
    of_post,
    without_copies,
    without_templates,
)
from cutline.posts.files import Files, is_zip
from cutline.posts.kinds import POST_KINDS, READERS, PostKind, kinds_of
from cutline.posts.plan import BuildSettings, Built, SourceNote
from cutline.training.dataset_formats import resolve_kind
from cutline.training.datasets import load_examples, splits_by_content
from cutline.training.examples import SPLITS, UNUSED, Kind
from cutline.vectors import grouped

POSTS_MAX_SIDE_PX = 1024
_SHARD = re.compile(r"(?:train|dev|test)-\d{5}\.tar")
_UNFINISHED = re.compile(r"\.cutline-tmp-.*")
_OURS = (notes.SHARDS, notes.DATA, notes.README, notes.LEFT_OUT, notes.DVC, "dvc.lock", ".gitignore")
_QUALITY = 92
_SINGLE_FILES = (".car", ".xml")  # Bluesky's and WordPress' texts, whose photos lie elsewhere
_TAKEOUT = re.compile(r"(takeout-\d{8}t\d{6}z)-.+")
_NUMBERED = re.compile(r"(.+?)[-_ .](?:part[-_ ]?)?\d{1,3}")
_DATED = re.compile(r".*(?<!\d)(?:19|20)\d\d[-_.]\d{1,2}(?:[-_.]\d{1,2})?")

Progress = Callable[[str, int, int], None]
"""Told what is being done, photos done, and photos in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    key: str
    photo: Photo
    split: str


def build(
    sources: Sequence[str], out: Path, settings: BuildSettings, *, progress: Progress | None = None
) -> Built:
    """Read all sources and write the data set. Raises DataError, OptionError and OutputError."""
    with output_errors(str(out)):
        _clear(out)
    report = progress or (lambda what, done, total: None)
    counts = Counts()
    with ExitStack() as opened:
        found, candidates = _read(sources, settings, counts, opened)
        kept = without_templates(candidates, counts.skip)
        seen: list[Seen] = []
        looked = look_at(kept, limits=settings.limits, workers=settings.workers, skip=counts.skip)
        for done, each in enumerate(looked, 1):
            report("looking", done, len(kept))
            if each is not None:
                seen.append(each)
        photos = list(without_copies(seen))
        if not photos:
            raise DataError(
                "There is no photo with a caption in these sources.", hint=_most_left_out(counts.reasons)
            )
        items = _items(photos, settings)
        with output_errors(str(out)):
            shards = _write(items, out, settings, counts, report)
    return _finish(out, sources, settings, found, shards, counts, copies=len(seen) - len(photos))


def _clear(out: Path) -> None:
    """Remove what a killed build has left. Raises OutputError where there is a data set, or anything else."""
    if (out / notes.DATA).exists():
        raise OutputError(f"{out} has a data set already.", hint="Name a new folder, or remove it first.")
    shards = out / notes.SHARDS
    left = list(shards.iterdir()) if shards.is_dir() else []
    beside = [path for path in (out.iterdir() if out.is_dir() else ()) if path.name not in _OURS]
    strangers = [
        path for path in left if not (_SHARD.fullmatch(path.name) or _UNFINISHED.fullmatch(path.name))
    ]
    strangers += [path for path in beside if not _UNFINISHED.fullmatch(path.name)]
    if strangers:
        raise OutputError(
            f"{out} has files of another program, such as {min(strangers).name}.",
            kept="Nothing in it was changed.",
            hint="Name a new folder.",
        )
    for path in (*left, *beside):
        path.unlink()


def _most_left_out(reasons: Counter[str]) -> str:
    told = ", ".join(f"{reason}: {count:,}" for reason, count in reasons.most_common(3))
    return f"Left out were {told}." if told else "Are these the right folders?"


# Sources


def _read(
    sources: Sequence[str], settings: BuildSettings, counts: Counts, opened: ExitStack
) -> tuple[list[SourceNote], list[Candidate]]:
    found: list[tuple[SourceNote, Files | None, tuple[PostKind, ...]]] = []
    for places in _joined(_grouped(sources), settings):
        files = opened.enter_context(Files(places)) if _may_be_export(places, settings.kind) else None
        kinds = _kinds(files, places, settings.kind) if files is not None else ()
        note = SourceNote(places=tuple(map(str, places)), kinds=kinds)
        found.append((note, files, kinds))
    exports = [note for note, _, kinds in found if kinds]
    if exports:
        _give_consent(exports, settings)
    candidates: list[Candidate] = []
    for note, files, kinds in found:
        if files is None or not kinds:
            note.kinds, read = _data_set(note.path, settings, counts)
        else:
            read = list(_exported(files, kinds, note.path, settings, counts))
        note.photos = len(read)
        candidates += read
    if not exports:
        _give_consent(exports, settings)
    return [note for note, _, _ in found], candidates


def _grouped(sources: Sequence[str]) -> list[list[Path]]:
    """What belongs together: the archives of a pattern, and those that an export has numbered.

    Its photos may lie in one and its texts in another.
    """
    groups: list[list[Path]] = []
    numbered: dict[str, list[Path]] = {}
    for source in sources:
        places = sorted(glob.glob(source)) if glob.has_magic(source) and not os.path.exists(source) else []
        zips = [Path(place) for place in places or [source] if is_zip(Path(place))]
        if missing := [place for place in zips if not place.exists()]:
            raise DataError(f"There is nothing at {missing[0]}.", hint="Check the path.")
        export = _export_of(zips[0]) if zips and not places else ""
        if export in numbered:
            numbered[export] += zips
            continue
        groups.append(zips or [Path(source)])
        if export:
            numbered[export] = groups[-1]
    return groups


def _export_of(archive: Path) -> str:
    """What the parts of one export are all called, before their numbers; "" for an archive without one."""
    stem = archive.stem.casefold()
    match = _TAKEOUT.fullmatch(stem) or (None if _DATED.fullmatch(stem) else _NUMBERED.fullmatch(stem))
    return str(archive.absolute().parent / match[1]) if match else ""


def _joined(groups: Sequence[list[Path]], settings: BuildSettings) -> list[list[Path]]:
    """A single file of texts, together with what is named after it, where that is photos and no more."""
    joined: list[list[Path]] = []
    for places in groups:
        has_texts_alone = bool(joined) and joined[-1][0].suffix.lower() in _SINGLE_FILES
        if has_texts_alone and settings.kind in ("auto", *POST_KINDS) and _is_photos(places, settings):
            joined[-1] = [*joined[-1], *places]
        else:
            joined.append(places)
    return joined


def _is_photos(places: Sequence[Path], settings: BuildSettings) -> bool:
    """Whether these are neither an export nor a data set."""
    if not all(place.is_dir() or is_zip(place) for place in places):
        return False
    with Files(places) as files:
        if kinds_of(files):
            return False
    if is_zip(places[0]):
        return True
    try:
        resolve_kind(replace(settings.data, path=str(places[0]), kind="auto"))
    except DataError:
        return True
    return False


def _may_be_export(places: Sequence[Path], kind: str) -> bool:
    if kind not in ("auto", *POST_KINDS):
        return False
    return all(place.is_dir() or is_zip(place) or place.suffix.lower() in _SINGLE_FILES for place in places)


def _kinds(files: Files, places: Sequence[Path], kind: str) -> tuple[PostKind, ...]:
    if kind != "auto":
        return tuple(each for each in POST_KINDS if each == kind)
    kinds = kinds_of(files)
    if not kinds and is_zip(places[0]):
        raise DataError(
            f"{places[0]} is not an export that Cutline knows.",
            hint=f"Say which with --kind: {', '.join(POST_KINDS)}. Unpack other data sets first.",
        )
    return kinds


def _give_consent(exports: Sequence[SourceNote], settings: BuildSettings) -> None:
    """Each export has its own, in their order. Raises OptionError."""
    given = [text.strip() for text in settings.consent if text.strip()]
    if exports and not given:
        raise OptionError(
            f"Whose posts are in {exports[0].path}, and may they be learned from?",
            hint="Write it down: --consent 'Ann Lee, 28 November 2026: for our own captioner, until she"
            " objects'.",
        )
    if len(given) != len(exports):
        listed = "; ".join(f"({number}) {note.path}" for number, note in enumerate(exports, 1))
        raise OptionError(
            f"There are {len(exports)} exports, and {len(given)} consents{f': {listed}' if listed else ''}.",
            hint="Give one --consent for each export, in this order. Archives of one pattern, or whose names"
            " differ in their last number alone, are parts of one export."
            if exports
            else "Only exports of people's posts have a --consent.",
        )
    for note, consent in zip(exports, given, strict=True):
        note.consent = consent


def _exported(
    files: Files, kinds: Sequence[PostKind], origin: str, settings: BuildSettings, counts: Counts
) -> Iterator[Candidate]:
    for reason in files.refused:
        counts.skip("refused in an archive", reason)
    for kind in kinds:
        for post in READERS[kind](files, counts.skip):
            yield from of_post(post, kind, origin, settings.cleaning, counts.skip)


def _data_set(path: str, settings: BuildSettings, counts: Counts) -> tuple[tuple[str, ...], list[Candidate]]:
    if settings.kind in POST_KINDS:
        raise DataError(f"{path} is no export of {settings.kind}.", hint="Name its folder or its archives.")
    kind: Kind = settings.kind  # type: ignore[assignment]  # DataConfig checks it
    config = replace(settings.data, path=path, kind=kind)
    examples = load_examples(config)
    used = [each for each in examples if each.split != UNUSED]
    read = [candidate for each in used for candidate in of_example(each, counts.skip)]
    return (resolve_kind(config),), read


# Splits, and what the shards hold


def _items(photos: Sequence[Photo], settings: BuildSettings) -> list[_Item]:
    """Photos in an order that has nothing to do with who took them when: that of their hashes."""
    splits = _splits(photos, settings)
    found = [
        _Item(key=photo.content.hex()[:20], photo=photo, split=split)
        for photo, split in zip(photos, splits, strict=True)
    ]
    return sorted(found, key=lambda item: item.key)


def _splits(photos: Sequence[Photo], settings: BuildSettings) -> list[str]:
    """A data set's own splits hold; a copy that is in two goes to the one that is measured on.

    Photos of one post share a split, and so do posts that share a photo, or a copy of it.
    """
    if settings.data.split:
        return [settings.data.split] * len(photos)
    posts: dict[str, list[int]] = defaultdict(list)
    for place, photo in enumerate(photos):
        for post in photo.together:
            posts[post].append(place)
    contents = [photo.content for photo in photos]
    for group in grouped((places[0], place) for places in posts.values() for place in places[1:]):
        anchor = min(contents[place] for place in group)
        for place in group:
            contents[place] = anchor
    assigned = splits_by_content(contents, settings.data)
    return [
        next((split for split in reversed(SPLITS) if split in photo.splits), by_content)
        for photo, by_content in zip(photos, assigned, strict=True)
    ]


def _write(
    items: Sequence[_Item], out: Path, settings: BuildSettings, counts: Counts, report: Progress
) -> list[Mapping[str, object]]:
    folder = out / notes.SHARDS
    folder.mkdir(parents=True, exist_ok=True)
    by_split: dict[str, list[_Item]] = defaultdict(list)
    for item in items:
        by_split[item.split].append(item)
    shards: list[Mapping[str, object]] = []
    done = 0
    for split in SPLITS:
        own = by_split[split]
        for number, start in enumerate(range(0, len(own), settings.shard_size)):
            part = own[start : start + settings.shard_size]
            shards.append(_write_shard(folder / f"{split}-{number:05}.tar", part, settings, counts))
            done += len(part)
            report("writing", done, len(items))
    return shards


def _write_shard(
    path: Path, items: Sequence[_Item], settings: BuildSettings, counts: Counts
) -> Mapping[str, object]:
    captions = photos = 0
    with replacement(str(path)) as temporary:
        with tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as tar:
            for item, data in _with_bytes(items, settings):
                if isinstance(data, CutlineError):
                    counts.skip(UNREADABLE, f"{item.photo.best.photo.name}: {data.message}")
                    continue
                _add_sample(tar, item, data, _ending(item, settings))
                photos += 1
                captions += len(item.photo.captions)
        with open(temporary, "rb") as file:
            digest, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
    split = path.name.partition("-")[0]
    return {
        "file": f"{notes.SHARDS}/{path.name}",
        "split": split,
        "photos": photos,
        "captions": captions,
        "bytes": size,
        "sha256": digest,
    }


def _with_bytes(
    items: Iterable[_Item], settings: BuildSettings
) -> Iterator[tuple[_Item, bytes | CutlineError]]:
    """Photos as they are written, a few ahead on threads."""
    return read_ahead(iter(items), lambda item: (item, _bytes_of(item, settings)), readers=settings.workers)


def _bytes_of(item: _Item, settings: BuildSettings) -> bytes | CutlineError:
    candidate = item.photo.best
    side = _max_side_px(item, settings)
    try:
        data = candidate.photo.read(settings.limits.max_file_bytes)
        return data if side is None else _small_jpeg(data, side, settings.limits)
    except CutlineError as error:
        return error


def _max_side_px(item: _Item, settings: BuildSettings) -> int | None:
    return settings.max_side_px or (POSTS_MAX_SIDE_PX if item.photo.best.is_post else None)


def _ending(item: _Item, settings: BuildSettings) -> str:
    if _max_side_px(item, settings) is not None:
        return ".jpg"
    return PurePosixPath(item.photo.best.photo.name).suffix.lower() or ".jpg"


def _small_jpeg(data: bytes, side: int, limits: Limits) -> bytes:
    """The photo at that size at most, upright, without the place, the camera and whatever else it said."""
    image = open_image(data, limits=limits)
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _add_sample(tar: tarfile.TarFile, item: _Item, data: bytes, ending: str) -> None:
    photo = item.photo
    about = {
        "captions": photo.captions,
        "hashtags": photo.hashtags,
        "date": photo.date,
        "source": photo.best.source,
        "ids": photo.ids,
        "split": item.split,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    text = "".join(f"{caption}\n" for caption in photo.captions)
    _add(tar, f"{item.key}{ending}", data)
    _add(tar, f"{item.key}.txt", text.encode("utf-8", "replace"))
    _add(tar, f"{item.key}.json", json.dumps(about, ensure_ascii=False).encode("utf-8", "replace"))


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)  # owned by nobody, of 1970: the same photos make the same shard
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def _finish(
    out: Path,
    sources: Sequence[str],
    settings: BuildSettings,
    found: Sequence[SourceNote],
    shards: Sequence[Mapping[str, object]],
    counts: Counts,
    *,
    copies: int,
) -> Built:
    splits: dict[str, dict[str, int]] = {}
    for shard in shards:
        own = splits.setdefault(str(shard["split"]), {"photos": 0, "captions": 0})
        for name in own:
            own[name] += int(str(shard[name]))
    built = Built(
        folder=out,
        sources=tuple(found),
        splits=splits,
        shards=tuple(shards),
        left_out=dict(counts.reasons.most_common()),
        copies=copies,
    )
    notes.write(built, sources, settings, counts.places)
    return built
