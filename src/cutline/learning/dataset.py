"""From feedback to a data set: a folder that is named for the hash of its content, and never changed.

data.json           hash, counts, settings, the data set before it, and the photos that are gone since then
captions.jsonl      captions with their weights; split: train, judged or held
preferences.jsonl   of two captions of a photo, the one that people liked better
ratings.jsonl       captions that models wrote, with what people thought of them, from -1 to 1
report.json         what was left out and why, and what is wrong with the whole
forgotten.json      photos that were withdrawn since, and taken out of all of this
images/             the photos
huggingface/        the captions again, as `datasets.load_dataset("imagefolder", data_dir=...)` reads them
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cutline.errors import DataError, ImageError, OutputError
from cutline.images import open_image
from cutline.learning.config import DataSettings
from cutline.learning.feedback import Feedback, Pair, Text
from cutline.learning.files import read_json, write_json
from cutline.learning.layouts import LATEST, write_hugging_face
from cutline.learning.texts import POISON, Fault, Known, fault_of, likeness, normal
from cutline.learning.trust import capped, most_from_each, trust
from cutline.strict import dump
from cutline.training.duplicates import Fingerprint, exact_groups, fingerprint, near_groups

DATA, CAPTIONS, PREFERENCES, RATINGS, REPORT, IMAGES, FORGOTTEN = (
    "data.json",
    "captions.jsonl",
    "preferences.jsonl",
    "ratings.jsonl",
    "report.json",
    "images",
    "forgotten.json",
)
TRAIN, JUDGED, HELD = SPLITS = ("train", "judged", "held")
FORMAT = 1
_LEAST_DECODED_PX = 64
_FEWEST_TO_JUDGE = 20  # captions, or ratings of a kind, below which shares say nothing
_REPLACED = 0.5  # a caption is less like what a person wrote instead: it was not corrected, but replaced
_SHOWN = 200  # of each reason, in the report

# Reasons beside those of a text alone.
UNREADABLE, COPIED, DUPLICATE, SURPLUS, DISTRUSTED, NO_AUTHOR = (
    "the photo cannot be read",
    "copied from what a model wrote",
    "the same caption of the same photo twice",
    "more than one owner's or author's share",
    "by an author whose captions were mostly left out",
    "its author is gone",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A caption that is learned from. group: photos that look the same have the same one."""

    image: str
    text: str
    why: str
    weight: float
    owner: str
    split: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A data set that was written. problems: why it must not be learned from; none for one that may."""

    folder: Path
    hash: str
    counts: Mapping[str, int]
    problems: tuple[str, ...]
    withdrawn: tuple[str, ...] = ()

    @property
    def images(self) -> Path:
        """The folder of the photos."""
        return self.folder / IMAGES

    def is_divided_as(self, settings: DataSettings) -> bool:
        """Whether its splits have the shares that these settings say. Raises DataError."""
        own = read_json(self.folder / DATA)["settings"]
        return bool(own["held_share"] == settings.held_share and own["judged_share"] == settings.judged_share)


@dataclass(slots=True)
class _Candidate:
    """A caption on its way into the data set. reason: why it is left out, once that is known."""

    text: Text
    owner: str
    author: str
    group: str = ""
    reason: str = ""


@dataclass(slots=True)
class _Found:
    """What is known of the photos: their content, and which look the same."""

    content: dict[str, str] = field(default_factory=dict)  # SHA-256 by name
    group: dict[str, str] = field(default_factory=dict)  # the smallest SHA-256 of those that look alike


def build(
    feedback: Feedback,
    parent: Path,
    settings: DataSettings,
    *,
    known: Known,
    before: DataSet | None = None,
) -> DataSet:
    """Write a data set into a new folder of ``parent``; one that is there already is taken as it is.

    before: the data set of the last run. Raises DataError for a data set that cannot be read, OutputError.
    """
    found = _look_at(feedback.photos)
    candidates = [
        _Candidate(text=text, owner=_owner(feedback, text), author=text.by or _owner(feedback, text))
        for text in feedback.texts
    ]
    _leave_out_texts(candidates, feedback, found, known)
    _leave_out_authors(candidates)
    problems = _problems(candidates, feedback, settings)
    has_people = bool(feedback.owners)
    if has_people:
        _leave_out_surplus(candidates, settings, feedback.ages)
    kept = sorted(
        (each for each in candidates if not each.reason), key=lambda each: (each.text.image, each.text.text)
    )
    weights = _weights(kept, feedback.ages, settings.owner_share if has_people else 1.0)
    splits = _earlier_splits(kept, before, settings)
    rows = [
        Row(
            image=each.text.image,
            text=each.text.text,
            why=each.text.why,
            weight=round(weight, 4),
            owner=each.owner,
            split=splits.get(each.group) or _split(each.group, settings),
            group=each.group[:16],
        )
        for each, weight in zip(kept, weights, strict=True)
    ]
    if len(rows) < settings.fewest_captions:
        problems.append(_too_few(len(rows), len(candidates), settings, has_people=has_people))
    made = _Writing(feedback, found, candidates, rows, problems, settings, before, known).write(parent)
    write_json(parent / LATEST, {"folder": made.folder.name, "hash": made.hash})
    return made


def _owner(feedback: Feedback, text: Text) -> str:
    return feedback.owners.get(text.image, text.by)


def _look_at(photos: Mapping[str, Path]) -> _Found:
    found = _Found()
    names, prints = list[str](), list[tuple[int, Fingerprint]]()
    for name, path in sorted(photos.items()):
        try:
            content = hashlib.sha256(path.read_bytes()).digest()
            image = open_image(path, enough_px=_LEAST_DECODED_PX)
        except (OSError, ImageError):
            continue
        prints.append((len(names), fingerprint(content, image)))
        names.append(name)
        found.content[name] = found.group[name] = content.hex()
    for group in (*exact_groups(prints), *near_groups(prints)):
        members = [names[place] for place in group]
        first = min(found.group[name] for name in members)
        joined = {found.group[name] for name in members}
        for name, mark in found.group.items():
            if mark in joined:
                found.group[name] = first
    return found


def _leave_out_texts(
    candidates: Sequence[_Candidate], feedback: Feedback, found: _Found, known: Known
) -> None:
    machine = {(image, normal(text)) for image, written in feedback.machine.items() for text in written}
    seen: set[tuple[str, str, str]] = set()
    for each in candidates:
        image, text = each.text.image, each.text.text
        each.group = found.group.get(image, "")
        mark = (each.group, each.author, normal(text))
        fault = fault_of(text, known)
        if not each.group:
            each.reason = UNREADABLE
        elif fault is not None:
            each.reason = fault.value
        elif each.text.why == "edited" and (image, normal(text)) in machine:
            each.reason = COPIED
        elif mark in seen:
            each.reason = DUPLICATE
        seen.add(mark)


def _leave_out_authors(candidates: Sequence[_Candidate]) -> None:
    """Leave out those of whom most was left out: what is left of it is no better."""
    counts = Counter(each.author for each in candidates)
    bad = Counter(each.author for each in candidates if each.reason in {fault.value for fault in POISON})
    distrusted = {author for author, number in bad.items() if author and number > counts[author] / 2}
    for each in candidates:
        if not each.reason and each.author in distrusted:
            each.reason = DISTRUSTED


def _leave_out_surplus(
    candidates: Sequence[_Candidate], settings: DataSettings, ages: Mapping[str, float]
) -> None:
    """Keep at most the share of each owner and of each author: the newest captions."""
    for each in candidates:
        if not each.reason and not each.author:
            each.reason = NO_AUTHOR
    while True:
        kept = [each for each in candidates if not each.reason]
        dropped = 0
        for of in ("owner", "author"):
            by: dict[str, list[_Candidate]] = defaultdict(list)
            for each in kept:
                if not each.reason:
                    by[getattr(each, of)].append(each)
            most = most_from_each([len(own) for own in by.values()], settings.owner_share)
            for own in by.values():
                newest = sorted(own, key=lambda each: (each.text.at, each.text.image), reverse=True)
                for each in newest[most:]:
                    each.reason = SURPLUS
                    dropped += 1
        if not dropped:
            return


def _weights(kept: Sequence[_Candidate], ages: Mapping[str, float], share: float) -> list[float]:
    """Weights with a mean of 1, as far as the share of one owner allows."""
    trusted = trust(
        [each.author for each in kept], [each.group for each in kept], [each.text.text for each in kept], ages
    )
    found = [trusted[each.author] for each in kept]
    for of in ("author", "owner"):
        found = capped(found, [getattr(each, of) for each in kept], share)
    mean = sum(found) / len(found) if found else 1.0
    return [weight / mean for weight in found] if mean else found


def _split(group: str, settings: DataSettings) -> str:
    """By the photo alone, so that it stays where it is in every later data set."""
    place = int(group[:12], 16) / 16**12
    if place < settings.held_share:
        return HELD
    return JUDGED if place < settings.held_share + settings.judged_share else TRAIN


def _earlier_splits(
    kept: Sequence[_Candidate], before: DataSet | None, settings: DataSettings
) -> dict[str, str]:
    """Where groups of photos that look the same were before, whatever joined them since.

    What was trained on stays there, or it would be held back from a model that knows it.
    """
    if before is None or not before.is_divided_as(settings):
        return {}
    was = {row.image: row.split for row in rows_of(before)}
    found: dict[str, set[str]] = defaultdict(set)
    for each in kept:
        if each.text.image in was:
            found[each.group].add(was[each.text.image])
    return {group: next(split for split in SPLITS if split in splits) for group, splits in found.items()}


# What is wrong with the whole


def _problems(candidates: Sequence[_Candidate], feedback: Feedback, settings: DataSettings) -> list[str]:
    return [
        *_wrong_captions(candidates, settings, has_people=bool(feedback.owners)),
        *_wrong_ratings(feedback),
    ]


def _wrong_captions(
    candidates: Sequence[_Candidate], settings: DataSettings, *, has_people: bool
) -> Iterable[str]:
    total = len(candidates)
    if total < _FEWEST_TO_JUDGE:
        return
    reasons = Counter(each.reason for each in candidates if each.reason)
    faults = {fault.value for fault in Fault}
    poison = {fault.value for fault in POISON}
    poisoned = sum(number for reason, number in reasons.items() if reason in poison)
    if poisoned > settings.poison_share * total:
        worst = ", ".join(
            f"{number} {reason}" for reason, number in reasons.most_common() if reason in poison
        )
        yield f"{poisoned} of {total} captions are poison ({worst})"
    rejected = sum(number for reason, number in reasons.items() if reason in faults or reason == COPIED)
    if rejected > settings.rejected_share * total:
        yield f"{rejected} of {total} captions had to be left out"
    author, number = Counter(each.author for each in candidates).most_common(1)[0]
    if has_people and number > settings.account_share * total:
        yield f"{number} of {total} captions come from one author ({author or 'unknown'})"
    groups: dict[str, set[str]] = defaultdict(set)
    for each in candidates:
        groups[normal(each.text.text)].add(each.group or each.text.image)
    same = max(groups.values(), key=len)
    if len(same) > max(2, settings.same_share * len({each.group or each.text.image for each in candidates})):
        yield f"{len(same)} photos have the same caption"


def _wrong_ratings(feedback: Feedback) -> Iterable[str]:
    """Ratings that contradict what people wrote of the same photos.

    Flipped, or given at random by a program. Who replaces a caption does not find it good.
    """
    written: dict[str, list[str]] = defaultdict(list)
    for text in feedback.texts:
        if text.why == "edited":
            written[text.image].append(text.text)
    alike: dict[int, list[float]] = {1: [], -1: []}
    for each in feedback.opinions:
        if each.image in written:
            alike[each.value].append(max(likeness(each.text, text) for text in written[each.image]))
    up, down = alike[1], alike[-1]
    replaced = Counter(value for value, found in alike.items() for each in found if each < _REPLACED)
    if replaced.total() >= _FEWEST_TO_JUDGE and replaced[1] > replaced[-1]:
        yield f"{replaced[1]} of {replaced.total()} rated captions that people replaced were rated up"
    if min(len(up), len(down)) < _FEWEST_TO_JUDGE:
        return
    if sum(up) / len(up) <= sum(down) / len(down):
        yield (
            f"{len(up)} captions that were rated up are less like what people wrote of the same photos than"
            f" {len(down)} that were rated down"
        )


def _too_few(kept: int, given: int, settings: DataSettings, *, has_people: bool) -> str:
    said = f"{kept} captions of {given} can be learned from, fewer than {settings.fewest_captions}"
    owners = round(1 / settings.owner_share)
    return (
        f"{said} (of at least {owners} owners, each may give {settings.owner_share:.0%})"
        if has_people
        else said
    )


# Writing


@dataclass(frozen=True, slots=True)
class _Writing:
    """Everything that goes into the folder."""

    feedback: Feedback
    found: _Found
    candidates: Sequence[_Candidate]
    rows: Sequence[Row]
    problems: Sequence[str]
    settings: DataSettings
    before: DataSet | None
    known: Known

    def write(self, parent: Path) -> DataSet:
        """Write it beside its place first, so that no half of a data set is ever found."""
        captions = [dump(row) for row in self.rows]
        photos = {row.image: self.found.content[row.image] for row in self.rows}
        preferences = [dump(each) for each in self._preferences(photos)]
        ratings = self._ratings(photos)
        content = {
            "format": FORMAT,
            "settings": dump(self.settings),
            "photos": photos,
            "captions": captions,
            "preferences": preferences,
            "ratings": ratings,
            "problems": list(self.problems),
        }
        mark = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        folder = parent / f"data-{mark[:12]}"
        withdrawn = self._withdrawn(photos)
        if folder.exists() and not forgotten_of(folder):
            return replace(read(folder), withdrawn=tuple(withdrawn))
        counts = {
            "photos": len(photos),
            "captions": len(captions),
            **{split: sum(row.split == split for row in self.rows) for split in SPLITS},
            "owners": len({row.owner for row in self.rows}),
            "preferences": len(preferences),
            "ratings": len(ratings),
            "left_out": sum(bool(each.reason) for each in self.candidates),
        }
        data = {
            "format": FORMAT,
            "hash": mark,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "counts": counts,
            "settings": dump(self.settings),
            "photos": photos,
            "before": self.before.hash if self.before else "",
            "withdrawn": withdrawn,
            "problems": list(self.problems),
        }
        draft = parent / f".{folder.name}.{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(mode=0o700, parents=True)  # people's photos and words: its owner's alone
            (draft / IMAGES).mkdir()
            for name in photos:
                target = draft / IMAGES / Path(name).name
                shutil.copyfile(self.feedback.photos[name], target)
            _write_lines(draft / CAPTIONS, captions)
            _write_lines(draft / PREFERENCES, preferences)
            _write_lines(draft / RATINGS, ratings)
            write_json(draft / REPORT, self._report())
            write_json(draft / DATA, data)
            write_hugging_face(draft / "huggingface", draft / IMAGES, self.rows, counts)
            shutil.rmtree(folder, ignore_errors=True)  # of which something had been forgotten
            draft.rename(folder)
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            raise OutputError(f"{folder} cannot be written ({error.strerror or error}).") from error
        return read(folder)

    def _preferences(self, photos: Mapping[str, str]) -> list[Pair]:
        """Pairs whose better half is among the captions, or a good caption that a model wrote. By nobody."""
        learned = {(row.image, row.text) for row in self.rows}
        written = {(image, text) for image, texts in self.feedback.machine.items() for text in texts}
        return sorted(
            (
                replace(pair, by="")
                for pair in self.feedback.pairs
                if pair.image in photos
                and normal(pair.chosen) != normal(pair.rejected)
                and ((pair.image, pair.chosen) in learned or (pair.image, pair.chosen) in written)
                and fault_of(pair.chosen, self.known) is None
            ),
            key=lambda pair: (pair.image, pair.chosen, pair.rejected),
        )

    def _ratings(self, photos: Mapping[str, str]) -> list[dict[str, Any]]:
        """The mean of the ratings of each caption; of each voice at most its share of all."""
        kept = [each for each in self.feedback.opinions if each.image in photos]
        weights = capped(
            [1.0] * len(kept),
            [each.by for each in kept],
            self.settings.owner_share if self.feedback.owners else 1.0,
        )
        sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for each, weight in zip(kept, weights, strict=True):
            total = sums[each.image, each.text]
            total[0] += weight * each.value
            total[1] += weight
        return [
            {"image": image, "text": text, "reward": round(value / weight, 4), "weight": round(weight, 4)}
            for (image, text), (value, weight) in sorted(sums.items())
            if weight
        ]

    def _withdrawn(self, photos: Mapping[str, str]) -> list[str]:
        if self.before is None:
            return []
        return sorted(photos_of(self.before) - set(self.feedback.photos))

    def _report(self) -> dict[str, Any]:
        left_out: dict[str, list[dict[str, str]]] = defaultdict(list)
        for each in self.candidates:
            if each.reason:
                left_out[each.reason].append(
                    {"image": each.text.image, "text": each.text.text, "author": each.author}
                )
        groups: dict[str, list[str]] = defaultdict(list)
        for name, mark in self.found.group.items():
            groups[mark].append(name)
        owners = Counter(row.owner for row in self.rows)
        weights: dict[str, float] = defaultdict(float)
        for row in self.rows:
            weights[row.owner] += row.weight
        total = sum(weights.values()) or 1.0
        return {
            "problems": list(self.problems),
            "read": {
                "photos": len(self.feedback.photos),
                "captions": len(self.candidates),
                "ratings": len(self.feedback.opinions),
            },
            "left_out": {
                reason: {"count": len(found), "captions": found[:_SHOWN]}
                for reason, found in sorted(left_out.items())
            },
            "photos_that_look_the_same": sorted(group for group in groups.values() if len(group) > 1),
            "largest_owner": {
                "captions": max(owners.values(), default=0) / max(1, len(self.rows)),
                "weight": max(weights.values(), default=0.0) / total,
            },
        }


def read(folder: Path) -> DataSet:
    """Read a data set that `build` wrote. Raises DataError."""
    data = read_json(folder / DATA)
    try:
        return DataSet(
            folder=folder,
            hash=data["hash"],
            counts=data["counts"],
            problems=tuple(data["problems"]),
            withdrawn=tuple(data["withdrawn"]),
        )
    except KeyError as error:
        raise DataError(f"{folder / DATA} lacks {error}.") from error


def latest(parent: Path) -> DataSet | None:
    """The data set that was made last in a folder; None where none was. Raises DataError."""
    path = parent / LATEST
    folder = parent / read_json(path)["folder"] if path.exists() else None
    return read(folder) if folder is not None and folder.is_dir() else None


def photos_of(data: DataSet) -> set[str]:
    """The names of the photos of a data set."""
    return set(read_json(data.folder / DATA)["photos"])


def named_in(data: DataSet) -> set[str]:
    """The names of all photos of which a data set tells: also those of captions that were left out."""
    left_out = read_json(data.folder / REPORT)["left_out"].values()
    return photos_of(data) | {each["image"] for found in left_out for each in found["captions"]}


def forgotten_of(folder: Path) -> set[str]:
    """The names of the photos that were taken out of the data set in a folder since it was made."""
    path = folder / FORGOTTEN
    return set(read_json(path)) if path.exists() else set()


def rows_of(data: DataSet) -> list[Row]:
    """The captions of a data set."""
    return [Row(**row) for row in lines_of(data, CAPTIONS)]


def lines_of(data: DataSet, name: str) -> list[dict[str, Any]]:
    """The rows of one of a data set's files. Raises DataError."""
    try:
        text = (data.folder / name).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{data.folder / name} cannot be read ({error}).") from error


def photo_of(data: DataSet, image: str) -> Path:
    """The file of a photo of a data set."""
    return data.images / Path(image).name


def forget(data: DataSet, withdrawn: Iterable[str]) -> None:
    """Take photos that were withdrawn out of an older data set: the files, and what was said of them."""
    gone = set(withdrawn)
    for image in gone:
        for path in data.folder.rglob(Path(image).name):
            path.unlink()
    for name in (CAPTIONS, PREFERENCES, RATINGS):
        _write_lines(data.folder / name, [row for row in lines_of(data, name) if row["image"] not in gone])
    for path in data.folder.glob("huggingface/*/metadata.jsonl"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        kept = [row for row in rows if (path.parent / row["file_name"]).exists()]
        _write_lines(path, kept)
    report = read_json(data.folder / REPORT)
    for found in report["left_out"].values():
        found["captions"] = [each for each in found["captions"] if each["image"] not in gone]
    alike = [[image for image in group if image not in gone] for group in report["photos_that_look_the_same"]]
    report["photos_that_look_the_same"] = [group for group in alike if len(group) > 1]
    write_json(data.folder / REPORT, report)
    write_json(data.folder / FORGOTTEN, sorted(gone | forgotten_of(data.folder)))


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
