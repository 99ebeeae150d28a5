"""Google Takeout of Google Photos: photos, and JSON files whose names are made of theirs, and cut.

    IMG_1.jpg      IMG_1.jpg.json, or since 2024 IMG_1.jpg.supplemental-metadata.json
    IMG_1(1).jpg   IMG_1.jpg(1).json, or IMG_1.jpg.supplemental-metadata(1).json: the number moves
    long names     the JSON's name is cut to 51 characters: LONG.supplemental-me.json, LONG_WITHOUT_ITS_E.json

An edited copy (IMG_1-edited.jpg) has no JSON of its own. A photo and its JSON may lie in different archives.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cutline.file_names import same_name
from cutline.posts.files import Entry, Files, base_of, folder_of, is_photo
from cutline.posts.post import NO_FILE, NOT_OWN, Attachment, Post, Skip, read_json, string, utc

LOOK = re.compile(
    r"\.(?:jpe?g|png|heic|webp|gif|tiff?|dng)(?:\(\d+\))?\.json$|\.supplemental-metadata(?:\(\d+\))?\.json$",
    re.IGNORECASE,
)
"""What the name of a photo's JSON looks like, where it is not cut."""

_COPY = re.compile(r"\((\d+)\)$")
_ADDED = "supplemental-metadata"
_LONGEST = 51 - len(".json")


def read_takeout(files: Files, skip: Skip) -> Iterator[Post]:
    """Each photo that has a description; not what is in the bin, nor what others shared."""
    folders: dict[str, _Folder] = defaultdict(_Folder)
    for entry in files.entries:
        folders[folder_of(entry)].add(entry)
    for folder in folders.values():
        for entry in folder.texts:
            content = read_json(entry, skip)
            if not isinstance(content, dict) or not isinstance(content.get("photoTakenTime"), dict):
                continue  # an album's, or another product's
            description = string(content.get("description"))
            if not description or content.get("trashed") is True:
                continue
            if _is_shared(content):
                skip(NOT_OWN, entry.name)
            elif (photo := folder.photo_of(base_of(entry), string(content.get("title")))) is None:
                skip(NO_FILE, entry.name)
            else:
                yield Post(
                    id=entry.name,
                    text="",
                    date=utc(content["photoTakenTime"].get("timestamp")),
                    photos=(Attachment(file=photo, texts=(description,)),),
                )


def _is_shared(content: dict[str, Any]) -> bool:
    origin = content.get("googlePhotosOrigin")
    return isinstance(origin, dict) and bool(origin.keys() & {"fromPartnerSharing", "fromSharedAlbum"})


@dataclass(slots=True)
class _Folder:
    """A folder, whichever archives its files came in."""

    texts: list[Entry] = field(default_factory=list)
    _photos: dict[str, Entry] = field(default_factory=dict)  # by their whole names
    _copies: dict[tuple[str, str], Entry] = field(
        default_factory=dict
    )  # by (name without its number, number)

    def add(self, entry: Entry) -> None:
        """Sort a file in."""
        stem, dot, ending = _folded(base_of(entry)).rpartition(".")
        if f"{dot}{ending}" == ".json":
            self.texts.append(entry)
        elif is_photo(f"{dot}{ending}"):
            self._photos.setdefault(f"{stem}.{ending}", entry)
            if match := _COPY.search(stem):
                self._copies.setdefault((f"{stem[: match.start()]}.{ending}", match[1]), entry)
            else:
                self._copies.setdefault((f"{stem}.{ending}", ""), entry)

    def photo_of(self, text: str, title: str) -> Entry | None:
        """The photo whose JSON is called so. title: what the JSON calls it."""
        whole = _folded(text)[: -len(".json")]
        match = _COPY.search(whole)
        number = match[1] if match else ""
        stem = whole[: match.start()] if match else whole
        name = _without_addition(stem)
        if not number and name in self._photos:
            return self._photos[name]
        if found := self._copies.get((name, number)):
            return found
        if len(whole) >= _LONGEST - len(number):  # cut: the photo's name goes on
            alike = sorted(key for key in self._copies if key[1] == number and key[0].startswith(name))
            if alike:
                return self._copies[min(alike, key=lambda key: len(key[0]))]
        return self._other_ending(_folded(title) or name, number)

    def _other_ending(self, name: str, number: str) -> Entry | None:
        """A photo that was converted: IMG_1.HEIC in the JSON is IMG_1.jpg here. None where two may be it."""
        stem = name.rpartition(".")[0] or name
        alike = [key for key in self._copies if key[1] == number and key[0].rpartition(".")[0] == stem]
        return self._copies[alike[0]] if len(alike) == 1 else None


def _folded(name: str) -> str:
    return same_name(name).casefold()


def _without_addition(stem: str) -> str:
    """The photo's name: without .supplemental-metadata, or as much of it as was left."""
    head, dot, tail = stem.rpartition(".")
    return head if dot and head and _ADDED.startswith(tail) else stem
