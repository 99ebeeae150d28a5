"""Photos that may go into a data set: read from exports and data sets, and each of them once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from cutline.captioning.streaming import read_ahead
from cutline.errors import CutlineError
from cutline.images import DEFAULT_LIMITS, Limits, open_image
from cutline.posts.cleaning import clean, is_file_name, shortened, words_in
from cutline.posts.files import PhotoFile
from cutline.posts.post import Attachment, Post, Skip
from cutline.training.duplicates import Fingerprint, exact_groups, fingerprint, near_groups
from cutline.training.examples import Example, ImageFile, TarMember
from cutline.vectors import grouped

Texts: TypeAlias = Literal["alt", "post", "both"]
Albums: TypeAlias = Literal["first", "all"]

FURTHER, NO_TEXT, SHORT, LONG, REPEATED, UNREADABLE = (
    "a further photo of a post with one text",
    "no text",
    "too few words",
    "too many words",
    "a text that many photos have",
    "the photo cannot be read",
)
_LEAST_DECODED_PX = 64  # enough for a fingerprint
_MOST_WITH_ONE_TEXT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """Which texts of posts become captions.

    texts: the photo's own alternative text where it has one ("alt"), what was posted with it ("post"), or
    both. albums: of several photos under one text, the first, or all. Texts of fewer words are left out; of
    those with more than max_words, whole sentences are kept.
    """

    texts: Texts = "alt"
    albums: Albums = "first"
    min_words: int = 3
    max_words: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamplePhoto:
    """The photo of a data set's example."""

    image: ImageFile

    @property
    def name(self) -> str:
        """As PhotoFile."""
        return str(self.image)

    def read(self, max_bytes: int) -> bytes:
        """As PhotoFile."""
        if isinstance(self.image, TarMember):
            return self.image.read_bytes()
        from cutline.images.files import read_file

        return read_file(str(self.image), replace(DEFAULT_LIMITS, max_file_bytes=max_bytes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A photo with its captions. together: what the photos of one post have in common.

    split: as the data set has it, "" where it has none.
    """

    photo: PhotoFile
    captions: tuple[str, ...]
    source: str
    id: str
    together: str
    date: str = ""
    hashtags: tuple[str, ...] = ()
    split: str = ""
    is_post: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A candidate whose photo was opened. size: of its file, in bytes."""

    candidate: Candidate
    print: Fingerprint
    size: int


@dataclass(slots=True)
class Counts:
    """What is left out, by reason: how often, and where first."""

    reasons: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)

    def skip(self, reason: str, where: str) -> None:
        """Count one. As Skip."""
        self.reasons[reason] += 1
        self.places.setdefault(reason, [])
        if len(self.places[reason]) < 100:
            self.places[reason].append(where)


def of_post(post: Post, source: str, origin: str, cleaning: Cleaning, skip: Skip) -> Iterator[Candidate]:
    """The photos of a post with the captions that they have of their own, or of the post.

    source: the network; origin: the export, for there may be several.
    """
    for place, photo in enumerate(post.photos):
        texts, reason = _texts_of(post, photo, is_first=place == 0, cleaning=cleaning)
        if not texts:
            skip(reason, photo.file.name)
            continue
        captions, tags, reason = _captions(texts, cleaning)
        if not captions:
            skip(reason, photo.file.name)
            continue
        yield Candidate(
            photo=photo.file,
            captions=captions,
            source=source,
            id=post.id,
            together=f"{origin}\0{source}\0{post.id}",
            date=post.date,
            hashtags=tuple(dict.fromkeys([*tags, *post.tags])),
        )


def _texts_of(post: Post, photo: Attachment, *, is_first: bool, cleaning: Cleaning) -> tuple[list[str], str]:
    if photo.alt and cleaning.texts != "post":
        own = [photo.alt]
        if cleaning.texts == "alt":
            return own, ""
    else:
        own = []
    own += photo.texts
    shares = is_first or cleaning.albums == "all"
    if post.text and shares and not photo.texts:
        own.append(post.text)
    return own, FURTHER if post.text and not shares else NO_TEXT


def _captions(texts: Sequence[str], cleaning: Cleaning) -> tuple[tuple[str, ...], list[str], str]:
    """Captions, hashtags, and why there is no caption."""
    found: list[str] = []
    tags: list[str] = []
    reason = NO_TEXT
    for text in texts:
        cleaned = clean(text)
        tags += cleaned.hashtags
        if not cleaned.caption or is_file_name(cleaned.caption):
            continue
        caption = shortened(cleaned.caption, cleaning.max_words)
        if not caption:
            reason = LONG
        elif words_in(caption) < cleaning.min_words:
            reason = SHORT
        else:
            found.append(caption)
    return tuple(dict.fromkeys(found)), tags, reason


def of_example(example: Example, skip: Skip) -> Iterator[Candidate]:
    """The photo of a data set's example, with its captions as they are."""
    captions = tuple(dict.fromkeys(filter(None, (" ".join(each.split()) for each in example.captions))))
    if example.image is None or not captions:
        skip(NO_TEXT, example.key)
        return
    yield Candidate(
        photo=ExamplePhoto(image=example.image),
        captions=captions,
        source=example.source,
        id=example.key,
        together="",
        split=example.split,
        is_post=False,
    )


def without_templates(candidates: Iterable[Candidate], skip: Skip) -> list[Candidate]:
    """Leave out a text that many posts have in common: it is a greeting or an advertisement."""
    found = list(candidates)
    posts: dict[str, set[str]] = {}
    for each in found:
        for caption in each.captions if each.is_post else ():
            posts.setdefault(caption.casefold(), set()).add(each.together)
    common = {caption for caption, together in posts.items() if len(together) > _MOST_WITH_ONE_TEXT}
    kept: list[Candidate] = []
    for each in found:
        own = tuple(text for text in each.captions if not each.is_post or text.casefold() not in common)
        if own:
            kept.append(each if own == each.captions else replace(each, captions=own))
        else:
            skip(REPEATED, each.photo.name)
    return kept


def look_at(
    candidates: Sequence[Candidate], *, limits: Limits, workers: int, skip: Skip
) -> Iterator[Seen | None]:
    """Open each photo, small; None for one that cannot be opened."""
    outcomes = read_ahead(iter(candidates), lambda each: _look(each, limits), readers=workers)
    for candidate, outcome in zip(candidates, outcomes, strict=True):
        if isinstance(outcome, CutlineError):
            skip(UNREADABLE, f"{candidate.photo.name}: {outcome.message}")
            yield None
        else:
            yield outcome


def _look(candidate: Candidate, limits: Limits) -> Seen | CutlineError:
    try:
        data = candidate.photo.read(limits.max_file_bytes)
        image = open_image(data, limits=limits, enough_px=_LEAST_DECODED_PX)
    except CutlineError as error:
        return error
    print_ = fingerprint(hashlib.sha256(data).digest(), image)
    return Seen(candidate=candidate, print=print_, size=len(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A photo of the data set: of all copies the largest file, with the captions and posts of all of them."""

    best: Candidate
    content: bytes
    captions: tuple[str, ...]
    hashtags: tuple[str, ...]
    together: frozenset[str]
    splits: frozenset[str]
    ids: tuple[str, ...]
    date: str


def without_copies(seen: Sequence[Seen]) -> Iterator[Photo]:
    """One photo for each group that is equal to the byte, or to the eye."""
    prints = list(enumerate(each.print for each in seen))
    alike = [*exact_groups(prints), *near_groups(prints)]
    pairs = [(group[0], each) for group in alike for each in group[1:]]
    first = {place: group[0] for group in grouped(pairs) for place in group}
    groups: dict[int, list[Seen]] = {}
    for place, one in enumerate(seen):
        groups.setdefault(first.get(place, place), []).append(one)
    return map(_merged, groups.values())


def _merged(copies: list[Seen]) -> Photo:
    best = max(copies, key=lambda each: each.size)
    each_one = [each.candidate for each in copies]
    return Photo(
        best=best.candidate,
        content=best.print.content,
        captions=tuple(dict.fromkeys(caption for each in each_one for caption in each.captions)),
        hashtags=tuple(dict.fromkeys(tag for each in each_one for tag in each.hashtags)),
        together=frozenset(each.together for each in each_one if each.together),
        splits=frozenset(each.split for each in each_one if each.split),
        ids=tuple(dict.fromkeys(each.id for each in each_one)),
        date=min((each.date for each in each_one if each.date), default=""),
    )
