"""Feedback as a data set: captions.jsonl and images/, as `cutline train` and `cutline data check` read them.

Only images whose owner consented, and of those only texts that somebody stands behind: a person's own words,
a candidate that was picked, one that was rated up and never down. feedback.jsonl beside it has every event of
the same images, for training that learns from comparisons; styles.jsonl those of captions in a voice, each
with its voice and the description that it was written from, for language models. Nothing says whose an image
was: people.json and the events call each account, and all people without one in a network, by a number that
only this export knows, so that learning can tell many from one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from uuid import UUID

from django.utils import timezone

from cutline.errors import OutputError
from cutline.server.captions.models import Caption, Version
from cutline.server.errors import NotFound
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.images import renditions
from cutline.server.images.models import Image
from cutline.server.people.models import Owner
from cutline.server.people.voices import voice_of

logger = logging.getLogger(__name__)

CAPTIONS, FEEDBACK, STYLES = "captions.jsonl", "feedback.jsonl", "styles.jsonl"
PEOPLE, IMAGES = "people.json", "images"
_AT_ONCE = 200


@dataclass(slots=True, kw_only=True)
class Exported:
    """What an export wrote."""

    images: int = 0
    captions: int = 0
    events: int = 0
    styles: int = 0  # events of captions in a voice
    skipped: int = 0  # images whose file is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What people made of the captions of one image."""

    good: dict[str, str] = field(default_factory=dict)  # text -> why: edited, picked or rated
    bad: list[str] = field(default_factory=list)  # rated down, or replaced by a person's own words


@dataclass(slots=True)
class _Voices:
    """Numbers for those who count as one (people.voices), in the order in which they are met."""

    numbers: dict[object, str] = field(default_factory=dict)
    age_days: dict[str, float] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)  # by the image's name

    def of(self, owner: Owner | None) -> str:
        """The number of an owner; empty where the account is gone."""
        if owner is None:
            return ""
        voice = voice_of(owner)
        number = self.numbers.setdefault(voice, f"v{len(self.numbers) + 1}")
        age = (timezone.now() - owner.created_at).total_seconds() / 86_400
        self.age_days[number] = max(round(age, 1), self.age_days.get(number, 0.0))
        return number


def export(folder: Path) -> Exported:
    """Write the data set into a folder that is not there yet, or empty. Raises OutputError.

    It is written beside the folder first: an export that ends early leaves no half of a data set behind.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists and is not empty.", hint="Name another folder.")
    draft = folder.with_name(folder.name + ".partial")
    try:
        (draft / IMAGES).mkdir(parents=True)
        with (
            (draft / CAPTIONS).open("w", encoding="utf-8") as captions,
            (draft / FEEDBACK).open("w", encoding="utf-8") as feedback,
            (draft / STYLES).open("w", encoding="utf-8") as styles,
        ):
            voices = _Voices()
            files = _Files(captions=captions, feedback=feedback, styles=styles)
            exported = _write(draft, files, voices)
        people = {"owners": voices.owners, "age_days": voices.age_days}
        (draft / PEOPLE).write_text(json.dumps(people, indent=1) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror or error}).") from error
    return exported


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    captions: IO[str]
    feedback: IO[str]
    styles: IO[str]


def _write(folder: Path, files: _Files, voices: _Voices) -> Exported:
    exported = Exported()
    for images in _consenting():
        ids = [image.pk for image in images]
        learned = _learned(ids)
        events = _events(ids, voices)
        for image in images:
            voices.owners[name_of(image.pk)] = voices.of(image.owner)
            found = learned.get(image.pk)
            if found and found.good:
                _write_image(folder, image, found, files.captions, exported)
            for event in events.get(image.pk, ()):
                is_styled = "voice" in event
                _write_line(files.styles if is_styled else files.feedback, event)
                exported.styles += is_styled
                exported.events += not is_styled
    return exported


def _consenting() -> Iterator[list[Image]]:
    """The images that may train, in a stable order, some at a time."""
    allowed = (
        Image.objects.filter(owner__may_train=True, deleted_at=None).select_related("owner").order_by("pk")
    )
    last: UUID | None = None
    while images := list((allowed if last is None else allowed.filter(pk__gt=last))[:_AT_ONCE]):
        yield images
        last = images[-1].pk


def _learned(ids: Sequence[UUID]) -> dict[UUID, Learned]:
    learned = {image_id: Learned() for image_id in ids}
    last: dict[UUID, Version] = {}
    # What is in a voice describes no photo.
    for version in Version.objects.filter(image_id__in=ids, styled=False).order_by("image_id", "number"):
        last[version.image_id] = version
    for image_id, version in last.items():
        # What an image shows now; an earlier text was given up.
        if version.by == "person":
            learned[image_id].good[version.text] = "edited"
        elif version.action != Version.Action.GENERATED:
            learned[image_id].good[version.text] = "picked"
    for caption, value in _verdicts(ids):
        found = learned[caption.image_id]
        if value > 0:
            found.good.setdefault(caption.text, "rated")
        elif caption.text not in found.good and caption.text not in found.bad:
            found.bad.append(caption.text)
    for image_id, before in _edited_away(ids):
        found = learned[image_id]
        if before and before not in found.good and before not in found.bad:
            found.bad.append(before)
    return learned


def _verdicts(ids: Sequence[UUID]) -> Iterator[tuple[Caption, int]]:
    """Rated captions, with 1 where all who rated agree that they are good, else -1."""
    verdicts: dict[UUID, tuple[Caption, int]] = {}
    plain = Rating.objects.filter(caption__image_id__in=ids, caption__style__isnull=True)
    for rating in plain.select_related("caption").order_by("pk"):
        value = min(rating.value, verdicts[rating.caption_id][1] if rating.caption_id in verdicts else 1)
        verdicts[rating.caption_id] = rating.caption, value
    yield from verdicts.values()


def _edited_away(ids: Sequence[UUID]) -> Iterator[tuple[UUID, str]]:
    plain = Feedback.objects.filter(image_id__in=ids, kind=Feedback.Kind.EDIT, styled=False)
    yield from plain.order_by("pk").values_list("image_id", "before")


def _events(ids: Sequence[UUID], voices: _Voices) -> dict[UUID, list[dict[str, object]]]:
    """Everything that was logged about these images, oldest first; by whom, without a name."""
    events: dict[UUID, list[dict[str, object]]] = {}
    logged = Feedback.objects.filter(image_id__in=ids).select_related("caption", "viewer", "image")
    logged = logged.order_by("pk")
    for each in logged:
        events.setdefault(each.image_id, []).append(
            {
                "image": name_of(each.image_id),
                "kind": each.kind,
                "candidate": each.caption.text if each.caption else "",
                **(_styled(each.caption, each.image) if each.styled else {}),
                "before": each.before,
                "after": each.after,
                "model": each.model,
                **({} if each.hashtags is None else {"hashtags": each.hashtags}),
                "by": voices.of(each.viewer),
                "at": each.created_at.isoformat(),
            }
        )
    ratings = (
        Rating.objects.filter(caption__image_id__in=ids)
        .select_related("caption__image", "viewer")
        .order_by("pk")
    )
    for rating in ratings:
        events.setdefault(rating.caption.image_id, []).append(
            {
                "image": name_of(rating.caption.image_id),
                "kind": "rating",
                "candidate": rating.caption.text,
                **(_styled(rating.caption, rating.caption.image) if rating.caption.is_styled else {}),
                "value": rating.value,
                "model": rating.caption.model,
                "by": voices.of(rating.viewer),
                "at": rating.changed_at.isoformat(),
            }
        )
    return events


def _styled(caption: Caption | None, image: Image) -> dict[str, object]:
    """What an event says of a caption in a voice; a person's own words are in one that nobody knows."""
    style = caption.style if caption else None
    if style is None:
        return {"voice": None, "description": image.description or image.caption}
    return {
        "voice": style["voice"],
        "description": style["description"]["text"],
        "prompt": style["prompt"],
        "seed": style["seed"],
    }


def name_of(image_id: UUID) -> str:
    """An image's file in the data set; its table says the same."""
    return f"{IMAGES}/{image_id}.jpg"


def _write_image(folder: Path, image: Image, learned: Learned, captions: IO[str], exported: Exported) -> None:
    try:
        data = renditions.read_master(image.pk)
    except NotFound:
        logger.warning("The file of %s is gone; it is left out.", image.pk)
        exported.skipped += 1
        return
    (folder / name_of(image.pk)).write_bytes(data)
    _write_line(
        captions,
        {
            "image": name_of(image.pk),
            "captions": list(learned.good),
            "because": list(learned.good.values()),
            "rejected": learned.bad,
        },
    )
    exported.images += 1
    exported.captions += len(learned.good)


def _write_line(file: IO[str], row: dict[str, object]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")
