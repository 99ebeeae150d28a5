"""The index follows its folder: new and changed photos are captioned, and what is gone is forgotten.

A photo's caption and its vector come from one pass of the model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from PIL import Image

from cutline.captioning.protocol import Caption, Captioner
from cutline.captioning.streaming import caption_ready, model_input, read_ahead
from cutline.copies import Thumbnail, thumbnail
from cutline.errors import CutlineError, ImageMissing
from cutline.images import Limits, open_image, to_pixels
from cutline.photo_index.index import Entry, PhotoIndex, Stamp
from cutline.photo_search import PhotoSearch

_AT_ONCE = 16  # photos in a transaction: what a kill costs at most
_PLENTY_PX = 1024  # for captioners of unknown preprocessing

Report = Callable[[str, CutlineError], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be done: photos that are new or have changed, and the paths of those that are gone.

    ``problems`` are places that cannot be read: what was known below them is kept.
    """

    fresh: tuple[tuple[str, Stamp], ...]
    gone: tuple[str, ...]
    problems: tuple[tuple[str, CutlineError], ...]


@dataclass(slots=True, kw_only=True)
class Tally:
    """The counts of an update."""

    added: int = 0
    failed: int = 0
    gone: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    path: str
    stamp: Stamp
    photo: Image.Image | None = None
    thumbnail: Thumbnail | None = None
    error: CutlineError | None = field(default=None)


def space_of(captioner: Captioner) -> str:
    """What a model's vectors and captions are kept by: its content, or its name where that is all we know."""
    about = captioner.about()
    return about.bundle_hash or about.label


def changes(index: PhotoIndex, folder: str, search: PhotoSearch, space: str) -> Change:
    """Compare a folder with its index. Raises ImageMissing where there is nothing to search."""
    known = index.stamps()
    fresh: list[tuple[str, Stamp]] = []
    problems: list[tuple[str, CutlineError]] = []
    seen: set[str] = set()
    for found in search.find([folder]):
        path = os.path.relpath(found.path, folder)
        if found.error is not None:
            problems.append((path, found.error))
            continue
        try:
            status = os.stat(found.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append((path, ImageMissing(f"{found.path} cannot be read ({error.strerror}).")))
            continue
        stamp = Stamp(bytes=status.st_size, changed_ns=status.st_mtime_ns, space=space)
        seen.add(path)
        if known.get(path) != stamp:
            fresh.append((path, stamp))
    unread = tuple(path for path, _ in problems)
    gone = [path for path in known.keys() - seen if not _is_below(path, unread)]
    return Change(fresh=tuple(fresh), gone=tuple(gone), problems=tuple(problems))


def _is_below(path: str, places: tuple[str, ...]) -> bool:
    return any(place in (os.curdir, path) or path.startswith(place + os.sep) for place in places)


def update(
    index: PhotoIndex,
    folder: str,
    change: Change,
    captioner: Captioner,
    *,
    limits: Limits,
    report: Report,
    advance: Callable[[int], object],
) -> Tally:
    """Write what has changed into the index. Of photos that fail, the error is kept and reported.

    Raises what would fail every photo; what was written until then stays, and the next update goes on there.
    """
    tally = Tally(gone=len(change.gone))
    index.forget(change.gone)
    entries = _entries(folder, change, captioner, limits)
    with closing(entries):
        while some := list(islice(entries, _AT_ONCE)):
            index.write(entry for entry, _ in some)
            for entry, error in some:
                if error is not None:
                    report(entry.path, error)
            tally.failed += sum(error is not None for _, error in some)
            tally.added += sum(error is None for _, error in some)
            advance(len(some))
    return tally


def _entries(
    folder: str, change: Change, captioner: Captioner, limits: Limits
) -> Generator[tuple[Entry, CutlineError | None], None, None]:
    wanted, model = model_input(captioner), captioner.about().label

    def read(item: tuple[str, Stamp]) -> _Ready:
        path, stamp = item
        try:
            enough_px = wanted.enough_px if wanted else _PLENTY_PX
            whole = open_image(os.path.join(folder, path), limits=limits, enough_px=enough_px)
        except CutlineError as error:
            return _Ready(path=path, stamp=stamp, error=error)
        photo = Image.fromarray(to_pixels(whole, wanted)) if wanted else whole
        return _Ready(path=path, stamp=stamp, photo=photo, thumbnail=thumbnail(photo))

    with closing(read_ahead(iter(change.fresh), read)) as ready:
        for each, outcome in caption_ready(captioner, ready):
            if isinstance(outcome, CutlineError):
                yield Entry(path=each.path, stamp=each.stamp, model=model, error=outcome.message), outcome
            else:
                yield _entry(each, outcome, model), None


def _entry(ready: _Ready, captions: list[Caption], model: str) -> Entry:
    best = captions[0] if captions else None
    return Entry(
        path=ready.path,
        stamp=ready.stamp,
        model=model,
        caption=best.text if best else "",
        vector=best.embedding if best else None,
        thumbnail=ready.thumbnail,
    )
