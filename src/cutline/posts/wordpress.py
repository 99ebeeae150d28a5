"""WordPress' export: one XML file (WXR), and the folder of uploads, which it names by address.

Photos' texts are those of the media library (alternative text, caption, description) and of the posts that
show them (alt, figure captions, [caption]). What is not published, or needs a password, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from cutline.errors import CutlineError
from cutline.posts.files import Entry, Files, base_of, is_photo
from cutline.posts.html_text import pictures_in, text_of
from cutline.posts.post import MALFORMED, NO_FILE, NOT_PUBLIC, Attachment, Post, Skip, iso

MARK = b"//wordpress.org/export/"
_SCALED = re.compile(r"-(?:\d+x\d+|scaled|rotated|e\d{10,})(?=\.\w+$)")
_SHORTCODE = re.compile(r"\[caption[^\]]*\](.*?)\[/caption\]", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(slots=True, kw_only=True)
class _Item:
    """A post, page or attachment. fields: texts by their names without namespaces."""

    fields: dict[str, str] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)

    @property
    def is_public(self) -> bool:
        return self.fields.get("status") == "publish" and not self.fields.get("post_password")

    @property
    def date(self) -> str:
        gmt = self.fields.get("post_date_gmt", "")
        return iso(f"{gmt}Z") or iso(self.fields.get("post_date"))


def is_wordpress(entry: Entry) -> bool:
    """Whether an XML file is WordPress' export, as its first bytes say."""
    if not base_of(entry).lower().endswith(".xml"):
        return False
    try:
        return MARK in entry.read_text()[: 1 << 14]
    except CutlineError:
        return False


def read_wordpress(files: Files, skip: Skip) -> Iterator[Post]:
    """The photos of the media library, then those that posts show."""
    for entry in filter(is_wordpress, files.entries):
        items = list(_items(entry, skip))
        by_id = {item.fields.get("post_id", ""): item for item in items}
        for item in items:
            if item.fields.get("post_type") == "attachment":
                yield from _attachment(item, by_id, files, skip)
            elif item.fields.get("content"):
                yield from _shown(item, files, skip)


def _items(entry: Entry, skip: Skip) -> Iterator[_Item]:
    """The items of the file. One that declares entities is refused: an export has none, a bomb has."""
    data = entry.read_text()
    prolog = data[: max(data.find(b"<rss"), 0)]
    if not prolog or b"<!DOCTYPE" in prolog.upper() or b"<!ENTITY" in prolog.upper():
        skip(MALFORMED, entry.name)
        return
    try:
        for _, element in ElementTree.iterparse(BytesIO(data)):
            if element.tag == "item":
                yield _item(element)
                element.clear()
    except (ElementTree.ParseError, ValueError, LookupError):
        skip(MALFORMED, entry.name)


def _item(element: ElementTree.Element) -> _Item:
    item = _Item()
    for child in element:
        name = _local(child.tag)
        if name == "postmeta":
            values = {_local(each.tag): each.text or "" for each in child}
            item.meta[values.get("meta_key", "")] = values.get("meta_value", "")
        elif name == "encoded":  # content:encoded and excerpt:encoded
            item.fields["excerpt" if "/excerpt/" in child.tag else "content"] = (child.text or "").strip()
        else:
            item.fields.setdefault(name, (child.text or "").strip())
    return item


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _attachment(item: _Item, by_id: dict[str, _Item], files: Files, skip: Skip) -> Iterator[Post]:
    url = item.fields.get("attachment_url", "")
    if not _is_photo(url):
        return
    alt = item.meta.get("_wp_attachment_image_alt", "").strip()
    texts = tuple(filter(None, (text_of(item.fields.get(each, "")) for each in ("excerpt", "content"))))
    if not alt and not texts:
        return
    parent = by_id.get(item.fields.get("post_parent", ""))
    if item.fields.get("status") == "private" or (parent is not None and not parent.is_public):
        skip(NOT_PUBLIC, url)
    elif (found := _found(item.meta.get("_wp_attached_file") or url, files)) is None:
        skip(NO_FILE, url)
    else:
        photo = Attachment(file=found, alt=alt, texts=texts)
        yield Post(id=url, text="", date=item.date, photos=(photo,))


def _shown(item: _Item, files: Files, skip: Skip) -> Iterator[Post]:
    where = item.fields.get("link") or item.fields.get("title", "")
    html = _COMMENT.sub("", item.fields["content"])
    said = {picture.src: text_of(body) for body in _SHORTCODE.findall(html) for picture in pictures_in(body)}
    photos: list[Attachment] = []
    for picture in pictures_in(html):
        text = picture.caption or said.get(picture.src, "")
        if not _is_photo(picture.src) or not (picture.alt or text):
            continue
        if not item.is_public:
            skip(NOT_PUBLIC, where)
        elif found := _found(picture.src, files):
            photos.append(Attachment(file=found, alt=picture.alt, texts=(text,) if text else ()))
        else:
            skip(NO_FILE, picture.src)
    if photos:
        yield Post(id=where, text="", date=item.date, photos=tuple(photos))


def _is_photo(url: str) -> bool:
    return is_photo(_path_of(url))


def _path_of(url: str) -> str:
    """The path of an address; "" for what is none."""
    try:
        return unquote(urlsplit(url).path)
    except ValueError:
        return ""


def _found(url: str, files: Files) -> Entry | None:
    """The upload that an address means: the file itself, or the one that it was scaled from."""
    path = _path_of(url)
    path = path.rpartition("/uploads/")[2]
    for name in dict.fromkeys((path, _SCALED.sub("", path))):
        if entry := files.find(name):
            return entry
    return None
