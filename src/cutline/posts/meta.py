"""Instagram's and Facebook's "download your information", in JSON.

Both write each byte of UTF-8 as if it were a character of Latin-1: an é is "\\u00c3\\u00a9". Their folders
have been called differently over the years, so files are known by their own names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cutline.posts.files import Files, base_of, folder_of, is_photo
from cutline.posts.post import NO_FILE, Attachment, Post, Skip, dicts, iso, read_json, string, utc

INSTAGRAM = re.compile(r"posts(_\d+)?\.json", re.IGNORECASE)
INSTAGRAM_OLD = "media.json"  # until 2021: {"photos": [{"caption", "taken_at", "path"}]}
FACEBOOK = re.compile(r"your_posts.*\.json", re.IGNORECASE)
FACEBOOK_ALBUM = re.compile(r"\d+\.json")
FACEBOOK_LOOSE = "your_uncategorized_photos.json"


def repaired(text: str) -> str:
    """A text whose UTF-8 bytes were written as Latin-1; any other text as it is."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def is_album(name: str, folder: str) -> bool:
    """Whether a file is one of Facebook's albums: posts/album/0.json."""
    return bool(FACEBOOK_ALBUM.fullmatch(name)) and folder.rpartition("/")[2].lower() == "album"


def read_instagram(files: Files, skip: Skip) -> Iterator[Post]:
    """Posts, not stories, reels, messages nor archived posts, which their authors hid."""
    for entry in files.entries:
        if INSTAGRAM.fullmatch(base_of(entry)):
            for number, post in enumerate(dicts(read_json(entry, skip))):
                if found := _instagram_post(post, f"{entry.name}#{number}", files, skip):
                    yield found
        elif base_of(entry).lower() == INSTAGRAM_OLD:
            content = read_json(entry, skip)
            photos = content.get("photos") if isinstance(content, dict) else None
            for number, photo in enumerate(dicts(photos)):
                own = {"uri": photo.get("path"), "title": photo.get("caption")}
                post = {"media": [own], "creation_timestamp": None, "taken_at": photo.get("taken_at")}
                if found := _instagram_post(post, f"{entry.name}#{number}", files, skip):
                    yield found


def _instagram_post(post: dict[str, Any], where: str, files: Files, skip: Skip) -> Post | None:
    """One photo has its text in its own title; of several, the post has it."""
    media = list(dicts(post.get("media")))
    titles = [_text(each.get("title")) for each in media]
    text = _text(post.get("title")) or next(filter(None, titles), "")
    several = len({title for title in titles if title}) > 1
    photos = _photos(media, files, skip, own=[title if several else "" for title in titles])
    first = media[0] if media else {}
    date = utc(post.get("creation_timestamp")) or utc(first.get("creation_timestamp"))
    date = date or iso(post.get("taken_at"))
    return Post(id=where, text=text, date=date, photos=photos) if photos else None


def read_facebook(files: Files, skip: Skip) -> Iterator[Post]:
    """Posts, albums, and photos in no album. What others wrote below them is left alone."""
    for entry in files.entries:
        name, folder = base_of(entry).lower(), folder_of(entry)
        if FACEBOOK.fullmatch(name):
            for number, post in enumerate(dicts(read_json(entry, skip))):
                if found := _facebook_post(post, f"{entry.name}#{number}", files, skip):
                    yield found
        elif is_album(name, folder) or name == FACEBOOK_LOOSE:
            content = read_json(entry, skip)
            content = content if isinstance(content, dict) else {}
            photos = content.get("photos") or content.get("other_photos_v2")
            for number, photo in enumerate(dicts(photos)):
                own = _photos([photo], files, skip, own=[_text(photo.get("description"))])
                date = utc(photo.get("creation_timestamp"))
                if own:
                    yield Post(id=f"{entry.name}#{number}", text="", date=date, photos=own)


def _facebook_post(post: dict[str, Any], where: str, files: Files, skip: Skip) -> Post | None:
    """A photo's title is the name of its album, and no text of anybody's; its description is one."""
    parts = [part for attachment in dicts(post.get("attachments")) for part in dicts(attachment.get("data"))]
    media = [part["media"] for part in parts if isinstance(part.get("media"), dict)]
    text = next((_text(each["post"]) for each in dicts(post.get("data")) if _text(each.get("post"))), "")
    own = [_text(each.get("description")) for each in media]
    photos = _photos(media, files, skip, own=["" if each == text else each for each in own])
    return Post(id=where, text=text, date=utc(post.get("timestamp")), photos=photos) if photos else None


def _photos(
    media: list[dict[str, Any]], files: Files, skip: Skip, *, own: list[str]
) -> tuple[Attachment, ...]:
    """The photos among media that the export has. own: what was written of each alone."""
    found: list[Attachment] = []
    for each, text in zip(media, own, strict=True):
        uri = _text(each.get("uri"))
        if not is_photo(uri) or "://" in uri:
            continue  # a film, or a photo on somebody's server
        if entry := files.find(uri):
            found.append(Attachment(file=entry, texts=(text,) if text else ()))
        else:
            skip(NO_FILE, uri)
    return tuple(found)


def _text(value: object) -> str:
    return repaired(string(value))
