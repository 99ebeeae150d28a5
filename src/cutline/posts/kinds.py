"""Which network an export comes from, and the reader for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeAlias, get_args

from cutline.errors import DataError
from cutline.posts import bluesky, flickr, mastodon, meta, takeout, wordpress
from cutline.posts.files import Entry, Files, base_of, folder_of
from cutline.posts.post import Post, Skip

PostKind: TypeAlias = Literal[
    "instagram", "facebook", "mastodon", "bluesky", "flickr", "wordpress", "takeout"
]
POST_KINDS: tuple[PostKind, ...] = get_args(PostKind)

READERS: Mapping[PostKind, Callable[[Files, Skip], Iterator[Post]]] = {
    "instagram": meta.read_instagram,
    "facebook": meta.read_facebook,
    "mastodon": mastodon.read_mastodon,
    "bluesky": bluesky.read_bluesky,
    "flickr": flickr.read_flickr,
    "wordpress": wordpress.read_wordpress,
    "takeout": takeout.read_takeout,
}

_ASK_FOR_JSON = ("posts_1.html", "your_posts_1.html", "your_posts__check_ins__photos_and_videos_1.html")


def kinds_of(files: Files) -> tuple[PostKind, ...]:
    """The networks whose files are there. Raises DataError for Meta's export as a web page."""
    found = {kind for entry in files.entries if (kind := _kind_of(entry)) is not None}
    if not found and any(files.named(name) for name in _ASK_FOR_JSON):
        raise DataError(
            "This export is a web page (HTML), made for reading.",
            hint='Ask for it again in the format "JSON".',
        )
    return tuple(kind for kind in POST_KINDS if kind in found)


def _kind_of(entry: Entry) -> PostKind | None:
    name, folder = base_of(entry).lower(), folder_of(entry)
    if meta.FACEBOOK.fullmatch(name) or name == meta.FACEBOOK_LOOSE or meta.is_album(name, folder):
        return "facebook"
    if meta.INSTAGRAM.fullmatch(name) or name == meta.INSTAGRAM_OLD:
        return "instagram"
    if name == mastodon.OUTBOX:
        return "mastodon"
    if name.endswith(bluesky.CAR) or folder.rpartition("/")[2] == bluesky.POSTS:
        return "bluesky"
    if flickr.PHOTO.fullmatch(name):
        return "flickr"
    if takeout.LOOK.search(name):
        return "takeout"
    return "wordpress" if wordpress.is_wordpress(entry) else None
