"""Find what is wrong with a data set before a training fails on it.

The captions are read as a training would read them, but every problem is collected; then each photo is opened
once, one after the other, and only a fingerprint of it is kept.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from cutline.errors import ImageError
from cutline.images import DEFAULT_LIMITS, Limits
from cutline.training.dataset_formats import resolve_kind
from cutline.training.datasets import content_hash, load_examples, missing_images, open_example
from cutline.training.duplicates import Fingerprint, exact_groups, fingerprint, near_groups
from cutline.training.examples import (
    DEV,
    SPLITS,
    TRAIN,
    UNUSED,
    DataConfig,
    Example,
    Problem,
)
from cutline.training.reading import IMAGE_SUFFIXES

Severity: TypeAlias = Literal["error", "warning", "note"]
Progress: TypeAlias = Callable[[int, int], None]  # photos done, photos in all

_LEAST_DECODED_PX = 64  # enough for a fingerprint
_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """What counts as wrong. open_images: False looks at names and captions only."""

    open_images: bool = True
    longest_words: int = 40
    smallest_side_px: int = 64
    fewest_train_captions: int = 1_000
    workers: int = 2
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of problem, with every place where it occurs."""

    code: str
    severity: Severity
    summary: str
    places: tuple[str, ...]

    @property
    def headline(self) -> str:
        """What it is, and at how many places."""
        return f"{self.severity}: {self.summary} ({len(self.places):,})  [{self.code}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """Everything that `check` found. splits: photos and captions by split."""

    path: str
    kind: str
    splits: Mapping[str, Mapping[str, int]]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many places hold an error."""
        return sum(len(finding.places) for finding in self.findings if finding.severity == "error")

    def as_json(self) -> dict[str, Any]:
        """The report as plain values, every place included."""
        return {
            "path": self.path,
            "kind": self.kind,
            "splits": {name: dict(counts) for name, counts in self.splits.items()},
            "errors": self.errors,
            "findings": [
                {
                    "code": finding.code,
                    "severity": finding.severity,
                    "summary": finding.summary,
                    "count": len(finding.places),
                    "places": list(finding.places),
                }
                for finding in self.findings
            ],
        }

    def as_text(self, *, most_places: int = 5) -> str:
        """The report for a reader: worst first, a few places of each."""
        lines = [f"{self.path} ({self.kind})"]
        for name, counts in self.splits.items():
            lines.append(f"  {name}: {counts['photos']:,} photos, {counts['captions']:,} captions")
        for finding in self.findings:
            lines.append("")
            lines.append(finding.headline)
            lines += [f"  {place}" for place in finding.places[:most_places]]
            if len(finding.places) > most_places:
                lines.append(f"  ... and {len(finding.places) - most_places:,} more")
        return "\n".join([*lines, "", self._verdict()])

    def _verdict(self) -> str:
        counts = Counter(finding.severity for finding in self.findings)
        if not counts:
            return "No problems were found."
        named = [(counts[name], name) for name in _SEVERITIES if counts[name]]
        kinds = ", ".join(f"{count} {name}{'s' * (count > 1)}" for count, name in named)
        return (
            f"{kinds}. {'Fix the errors before you train.' if counts['error'] else 'You can train with it.'}"
        )


_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

# code -> what it means to the reader; the order is that of the report within one severity
SUMMARIES: Mapping[str, str] = {
    "malformed": "entries that cannot be read",
    "shard_damaged": "damaged shards",
    "wrong_encoding": "text that is not UTF-8",
    "stray_quote": "quotation marks that are read as part of the text",
    "unknown_split": "splits of unknown name",
    "split_overlap": "photos listed in two splits",
    "no_train_split": "there is nothing to train on",
    "no_dev_split": "there is nothing to validate on: early stopping and best checkpoints need a dev split",
    "image_missing": "photos that are missing",
    "image_unreadable": "photos that cannot be opened",
    "duplicate_across_splits": "the same photo in different splits: scores will be too good",
    "near_duplicate_across_splits": "photos that look alike in different splits: scores may be too good",
    "duplicate_within_split": "the same photo more than once in one split",
    "near_duplicate_within_split": "photos that look alike in one split",
    "caption_without_image": "captions without a photo",
    "image_without_caption": "photos without a caption",
    "caption_empty": "empty captions, which training leaves out",
    "caption_too_long": "captions that are very long, and will be cut",
    "caption_mojibake": "captions whose characters were decoded wrongly once (mojibake)",
    "caption_markup": "captions with markup or a web address in them",
    "caption_repeated": "photos with the same caption twice",
    "few_captions": "photos with fewer captions than most",
    "few_train_captions": "few captions to train on: expect it to overfit",
    "image_small": "photos that are very small",
    "photos_repeated": "folders whose photos count several times in a training, as their names say",
    "answers_left_out": "conversations of which only the first answer is taken for a caption",
    "image_unlisted": "photos in the folder that no caption names",
    "split_unused": "photos that the split files leave out",
}


def check(
    config: DataConfig, *, options: CheckOptions | None = None, progress: Progress | None = None
) -> CheckReport:
    """Look for everything that is wrong with a data set. progress is called as photos are opened.

    Raises DataError only when there is no data set at all, or its captions file cannot be parsed.
    """
    options = options or CheckOptions()
    problems: list[Problem] = []
    examples = load_examples(config, report=problems.append)
    problems += _split_problems(examples, options)
    problems += _caption_problems(examples, options)
    problems += _file_problems(examples)
    if options.open_images:
        problems += _photo_problems(examples, options, progress)
    return CheckReport(
        path=config.path, kind=resolve_kind(config), splits=_counts(examples), findings=_findings(problems)
    )


def _counts(examples: Sequence[Example]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for split in (*SPLITS, UNUSED):
        members = [example for example in examples if example.split == split]
        if members:
            found[split] = {
                "photos": sum(example.image is not None for example in members),
                "captions": sum(len(example.captions) for example in members),
            }
    return found


def _findings(problems: Iterable[Problem]) -> tuple[Finding, ...]:
    groups: dict[tuple[Severity, str], list[str]] = defaultdict(list)
    for problem in problems:
        groups[problem.severity, problem.code].append(
            f"{problem.where}: {problem.message}" if problem.message else problem.where
        )
    codes = list(SUMMARIES)
    order = sorted(groups, key=lambda group: (_SEVERITIES.index(group[0]), codes.index(group[1])))
    return tuple(
        Finding(code=code, severity=severity, summary=SUMMARIES[code], places=tuple(groups[severity, code]))
        for severity, code in order
    )


def _problem(severity: Severity, code: str, where: str, message: str = "") -> Problem:
    return Problem(code=code, severity=severity, message=message, where=where)


# Splits and captions


def _split_problems(examples: Sequence[Example], options: CheckOptions) -> Iterator[Problem]:
    captions: Counter[str] = Counter()
    splits_of: dict[str, str] = {}
    for example in examples:
        captions[example.split] += len(example.captions)
        if splits_of.setdefault(example.key, example.split) != example.split:
            yield _problem(
                "error", "split_overlap", example.key, f"in {splits_of[example.key]} and in {example.split}"
            )
        if example.split == UNUSED:
            yield _problem("note", "split_unused", example.key)
    if not captions[TRAIN]:
        yield _problem("error", "no_train_split", "the train split", "it has no captions")
    elif captions[TRAIN] < options.fewest_train_captions:
        yield _problem("warning", "few_train_captions", "the train split", f"{captions[TRAIN]:,} captions")
    if not captions[DEV]:
        yield _problem("warning", "no_dev_split", "the dev split", "it has no captions")


# UTF-8 read as Latin-1 or Windows-1252: a lead byte's letter, then one that only a continuation byte becomes.
_MOJIBAKE = re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac|\u00e2\u0080|\ufffd")
_MARKUP = re.compile(r"</?[a-z][^>]*>|&(?:amp|lt|gt|quot|nbsp|#\d+);|https?://|www\.", re.IGNORECASE)


def _caption_problems(examples: Sequence[Example], options: CheckOptions) -> Iterator[Problem]:
    described = Counter(len(example.captions) for example in examples if example.captions)
    usual = max(described, key=lambda count: (described[count], count), default=0)
    for example in examples:
        for number, caption in enumerate(example.captions):
            yield from _one_caption(f"{example.key}#{number}", caption, options)
        texts = Counter(filter(None, map(_folded, example.captions)))
        repeated = [text for text, count in texts.items() if count > 1]
        if repeated:
            yield _problem("note", "caption_repeated", example.key, repr(repeated[0]))
        if example.split == UNUSED:
            continue
        if not any(caption.strip() for caption in example.captions):
            yield _problem("warning", "image_without_caption", example.key)
        elif len(example.captions) < usual:
            yield _problem("note", "few_captions", example.key, f"{len(example.captions)}, most have {usual}")


def _folded(caption: str) -> str:
    return " ".join(re.findall(r"\w+", caption.lower()))


def _one_caption(where: str, caption: str, options: CheckOptions) -> Iterator[Problem]:
    words = len(caption.split())
    if not _folded(caption):
        yield _problem("warning", "caption_empty", where)
    if words > options.longest_words:
        yield _problem("warning", "caption_too_long", where, f"{words} words")
    if _MOJIBAKE.search(caption):
        yield _problem("warning", "caption_mojibake", where, repr(caption))
    if _MARKUP.search(caption):
        yield _problem("warning", "caption_markup", where, repr(caption))


# Photos


def _file_problems(examples: Sequence[Example]) -> Iterator[Problem]:
    for example in missing_images(examples):
        severity: Severity = "note" if example.split == UNUSED else "error"
        yield _problem(severity, "image_missing", example.key, f"expected at {example.image}")
    listed: dict[Path, set[str]] = defaultdict(set)
    for example in examples:
        if isinstance(example.image, Path):
            listed[example.image.parent].add(example.image.name)
    for folder, names in sorted(listed.items()):
        for name in _photos_in(folder):
            if name not in names:
                yield _problem("note", "image_unlisted", str(folder / name))


def _photos_in(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if Path(name).suffix.lower() in IMAGE_SUFFIXES)
    except OSError:
        return []


def _photo_problems(
    examples: Sequence[Example], options: CheckOptions, progress: Progress | None
) -> Iterator[Problem]:
    gone = {example.key for example in missing_images(examples)}
    present = [example for example in examples if example.image is not None and example.key not in gone]
    prints: list[tuple[int, Fingerprint]] = []
    for index, outcome in enumerate(_looked_at(present, options)):
        if progress:
            progress(index + 1, len(present))
        example = present[index]
        if isinstance(outcome, ImageError):
            yield _problem("error", "image_unreadable", example.key, outcome.message)
            continue
        prints.append((index, outcome[0]))
        if min(outcome[1]) < options.smallest_side_px:
            yield _problem("warning", "image_small", example.key, "{} x {} px".format(*outcome[1]))
    yield from _duplicate_problems(present, prints)


_Look: TypeAlias = tuple[Fingerprint, tuple[int, int]]


def _looked_at(examples: Sequence[Example], options: CheckOptions) -> Iterator[_Look | ImageError]:
    """Open photos in order, a few at a time, so that memory does not grow with the data set."""
    with ThreadPoolExecutor(max_workers=options.workers) as pool:
        for start in range(0, len(examples), _BATCH):
            yield from pool.map(lambda example: _look(example, options), examples[start : start + _BATCH])


def _look(example: Example, options: CheckOptions) -> _Look | ImageError:
    """Fingerprint and size [width, height] of a photo (large ones made smaller), or what is wrong with it."""
    assert example.image is not None
    try:
        # A JPEG decodes at an eighth of its size then, but still to its last byte.
        enough_px = max(_LEAST_DECODED_PX, options.smallest_side_px)
        image = open_example(example, limits=options.limits, enough_px=enough_px)
    except ImageError as error:
        return error
    return fingerprint(content_hash(example.image), image), image.size


def _duplicate_problems(
    examples: Sequence[Example], prints: Sequence[tuple[int, Fingerprint]]
) -> Iterator[Problem]:
    levels: tuple[tuple[str, list[list[int]], Severity, Severity], ...] = (
        ("duplicate", exact_groups(prints), "error", "warning"),
        ("near_duplicate", near_groups(prints), "warning", "note"),
    )
    for code, groups, across, within in levels:
        for group in groups:
            members = [examples[index] for index in group]
            place = ", ".join(f"{example.key} ({example.split})" for example in members)
            if len({example.split for example in members} - {UNUSED}) > 1:
                yield _problem(across, f"{code}_across_splits", place)
            else:
                yield _problem(within, f"{code}_within_split", place)
