"""From the names that captions give photos to the files on this machine.

Names come from other machines: with backslashes and drive letters, with accents composed in another way, in
other capitals, as URLs, or with the number that a labelling tool puts in front.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from cutline.errors import DataError
from cutline.file_names import portable
from cutline.training.examples import DataConfig
from cutline.training.reading import IMAGE_SUFFIXES

NO_IMAGES = "none"
_IMAGE_FOLDERS = (
    "Flicker8k_Dataset",
    "Flickr8k_Dataset",
    "flickr30k-images",
    "flickr30k_images/flickr30k_images",
    "flickr30k_images",
    "Images",
    "images",
    "img",
    "photos",
)
IMAGE_NAME = re.compile(
    rf"\.(?:{'|'.join(suffix[1:] for suffix in sorted(IMAGE_SUFFIXES))})(?:$|[?#])", re.IGNORECASE
)
"""What the end of a photo's name or address looks like."""

_LAST_NUMBER = re.compile(r"\d+$")
_DRIVE = re.compile(r"[A-Za-z]:")
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_LABEL_STUDIO = re.compile(r"/data/(?:upload|local-files)/")
_UPLOAD_NUMBER = re.compile(r"[0-9a-f]{8}-(?=.)")


class PhotoFiles:
    """Finds photos by name in some folders, the likeliest first; each folder is listed at most once.

    folders None: photos are not wanted.
    """

    def __init__(self, folders: Sequence[Path] | None) -> None:
        self._folders = folders
        self._listings: dict[Path, dict[str, str | None]] = {}
        self._numbers: dict[int, Path] | None = None

    def find(self, name: str) -> Path | None:
        """The photo of that name in the first folder that has it; else where it was most likely to be."""
        if self._folders is None:
            return None
        if found := self._existing(name):
            return found
        return Path(self._folders[0], portable(name))

    def of_number(self, number: str) -> Path | None:
        """The photo with that number at the end of its name: 42 is COCO_val2014_000000000042.jpg."""
        asked = _LAST_NUMBER.search(PurePosixPath(number).stem)
        if self._folders is None or asked is None:
            return None
        if self._numbers is None:
            self._numbers = {}
            for path in (path for folder in self._folders for path in _photos_below(folder)):
                if digits := _LAST_NUMBER.search(path.stem):
                    self._numbers.setdefault(int(digits[0]), path)
        return self._numbers.get(int(asked[0]))

    def _existing(self, name: str) -> Path | None:
        for variant in possible_paths(name):
            for folder in self._folders or ():
                if (path := folder / variant).is_file():
                    return path
            for folder in self._folders or ():
                if (listed := self._listed(folder / variant)) is not None:
                    return listed
        return None

    def _listed(self, path: Path) -> Path | None:
        """The file whose name is this one but for accents and capitals, if there is exactly one."""
        folder = path.parent
        if folder not in self._listings:
            names: dict[str, str | None] = {}
            for name in _names_in(folder):
                names[_folded(name)] = None if _folded(name) in names else name
            self._listings[folder] = names
        found = self._listings[folder].get(_folded(path.name))
        return folder / found if found is not None else None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def possible_paths(name: str) -> Iterator[str]:
    """The paths below a folder that a name may mean, the likeliest first."""
    yield name
    plain = portable(name)
    if plain != name:
        yield plain
    if "%" in plain:
        yield unquote(plain)
    is_url = bool(_URL.match(plain) or _LABEL_STUDIO.match(plain))
    if is_url:
        plain = _path_of_url(plain)
    elif not (_DRIVE.match(plain) or plain.startswith("/")):
        return
    parts = [part for part in PurePosixPath(_DRIVE.sub("", plain.lstrip("/"), count=1)).parts if part != "/"]
    for start in range(len(parts)):
        yield str(PurePosixPath(*parts[start:]))
    if parts and _UPLOAD_NUMBER.match(parts[-1]):
        yield _UPLOAD_NUMBER.sub("", parts[-1], count=1)


def _path_of_url(url: str) -> str:
    """The path in a URL; of Label Studio's local files the one in its query."""
    split = urlsplit(url)
    local = parse_qs(split.query).get("d")
    return local[0] if local else unquote(split.path)


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _photos_below(folder: Path) -> Iterator[Path]:
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            yield path


def photo_files(config: DataConfig, root: Path, *, strict: bool = True) -> PhotoFiles:
    """Where the photos of captions in `root` are looked for.

    strict: raises DataError where no folder of photos is known; otherwise they are looked for beside the
    captions.
    """
    if config.images == NO_IMAGES:
        return PhotoFiles(None)
    folder = image_folder(config, root, strict=strict)
    if strict:
        return PhotoFiles([folder] if folder else None)
    named = Path(config.path)  # the photos' folder, where the captions lie elsewhere
    places = [folder, root, named if config.captions and named.is_dir() else None]
    return PhotoFiles([place for place in places if place is not None])


def image_folder(config: DataConfig, root: Path, *, strict: bool = True) -> Path | None:
    """The folder of photos; None when only captions are wanted, or (not strict) when none is known."""
    if config.images == NO_IMAGES:
        return None
    if config.images:
        folder = Path(config.images)
        if not folder.is_dir():
            raise DataError(f"There is no folder of photos at {folder}.")
        return folder
    for name in _IMAGE_FOLDERS:
        if (root / name).is_dir():
            return root / name
    if not strict:
        return None
    if has_photos(root):
        return root
    raise DataError(
        f"{root} has no photos.",
        hint="Name their folder with images: FOLDER, or read captions alone with images: none.",
    )


def has_photos(folder: Path) -> bool:
    """Whether a folder holds photos itself."""
    return any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in _names_in(folder))
