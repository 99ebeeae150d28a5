"""From the names that captions give photos to the files on this machine.

Names come from other machines: with backslashes and drive letters, with accents composed in another way, in
other capitals, as URLs, or with the number that a labelling tool puts in front.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from cutline.errors import DataError
from cutline.file_names import Spellings, folded, portable
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

_LAST_NUMBER = re.compile(r"[0-9]{1,99}$")
_NUMBER = re.compile(r"(?:coco_)?([0-9]{1,99})", re.IGNORECASE)
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
        self._spellings = Spellings()
        self._ids: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path | None:
        """The photo of that name in the first folder that has it; else where it was most likely to be."""
        if self._folders is None:
            return None
        if found := self.existing(name):
            return found
        return Path(self._folders[0], portable(name))

    def of_id(self, image_id: str) -> Path | None:
        """The photo that a number or another id means: its name, also without the ending.

        Of a number also the one photo whose name ends in it: 42 is COCO_val2014_000000000042.jpg. None where
        several photos may be meant.
        """
        if self._folders is None:
            return None
        if found := self.existing(image_id):
            return found
        if self._ids is None:
            self._ids = {}
            for path in dict.fromkeys(path for folder in self._folders for path in _photos_below(folder)):
                for form in ids_of(path.name):
                    self._ids.setdefault(form, []).append(path)
        for form in asked_ids(image_id):
            if paths := self._ids.get(form):
                return paths[0] if len(paths) == 1 else None
        return None

    def existing(self, name: str) -> Path | None:
        """The photo of that name in the first folder that has it; None where none has."""
        for variant in possible_paths(name):
            for folder in self._folders or ():
                if (path := folder / variant).is_file():
                    return path
            for folder in self._folders or ():
                found = self._spellings.find(str(folder / variant), root=str(folder))
                if found is not None and os.path.isfile(found):
                    return Path(found)
        return None


def asked_ids(image_id: str) -> Iterator[str]:
    """The forms under which the photo with an id may be known, the surest first; see ``ids_of``."""
    name = folded(image_id)
    yield name
    if match := _NUMBER.fullmatch(image_id):
        yield f"#{int(match[1])}"
        yield f"*{int(match[1])}"


def ids_of(name: str) -> set[str]:
    """What may be asked for a photo by its file's name: the name, the name without its ending, its number.

    #42 is a name that is a number and nothing else; *42 one that ends in it.
    """
    path = PurePosixPath(folded(name))
    forms = {path.name, path.stem}
    if match := _LAST_NUMBER.search(path.stem):
        forms |= {f"*{int(match[0])}"} | ({f"#{int(match[0])}"} if match[0] == path.stem else set())
    return forms


def possible_paths(name: str) -> Iterator[str]:
    """The paths below a folder that a name may mean, the likeliest first."""
    yield name
    plain = portable(name)
    if plain != name:
        yield plain
    if "%" in plain:
        yield unquote(plain)
    if not is_whole(plain):
        return
    if _URL.match(plain) or _LABEL_STUDIO.match(plain):
        plain = _path_of_url(plain)
    parts = [part for part in PurePosixPath(_DRIVE.sub("", plain.lstrip("/"), count=1)).parts if part != "/"]
    for start in range(len(parts)):
        yield str(PurePosixPath(*parts[start:]))
    if parts and _UPLOAD_NUMBER.match(parts[-1]):
        yield _UPLOAD_NUMBER.sub("", parts[-1], count=1)


def is_whole(name: str) -> bool:
    """Whether a name begins at a root, a drive or a server: two such names are of two files."""
    return bool(_URL.match(name) or _DRIVE.match(name)) or portable(name).startswith("/")


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
