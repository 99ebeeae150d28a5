"""Split the general photos for cutline-base 2: train, dev, and captions alone but those of dev photos.

    python recipes/prepare_photos.py PHOTOS/coco_extra PHOTOS/general data/photos

Dev gets the photos, among those with five captions, whose names have the smallest MD5 (200 of coco_extra, 300
of general): a draw that no order of files changes. Captions of dev photos never enter the text, or the
decoder would have read the answers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

DEV_PHOTOS = {"coco_extra": 200, "general": 300}
_COCO_ID = {"coco_extra": "coco_id", "general": "id"}


def main() -> None:
    """Write COCO_EXTRA-train.json and so on, and text.json, each {name: [captions]}."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("coco_extra", type=Path, help="its text_only_captions.json becomes text.json")
    parser.add_argument("general", type=Path, help="like it, with captions.json and meta.json")
    parser.add_argument("target", type=Path, help="folder to write to")
    arguments = parser.parse_args()
    parts: dict[str, dict[str, list[str]]] = {}
    held_back: set[str] = set()
    for name, folder in (("coco_extra", arguments.coco_extra), ("general", arguments.general)):
        captions, meta = read(folder / "captions.json"), read(folder / "meta.json")
        dev = drawn(captions, DEV_PHOTOS[name])
        held_back |= {str(meta[photo].get(_COCO_ID[name])) for photo in dev}
        parts[f"{name}-train"] = {photo: texts for photo, texts in captions.items() if photo not in dev}
        parts[f"{name}-dev"] = {photo: texts for photo, texts in captions.items() if photo in dev}
    texts = read(arguments.coco_extra / "text_only_captions.json")
    parts["text"] = {key: captions for key, captions in texts.items() if key not in held_back}
    arguments.target.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        (arguments.target / f"{name}.json").write_text(json.dumps(part), encoding="utf-8")
        print(f"{name}: {len(part)} photos, {sum(map(len, part.values()))} captions")


def read(path: Path) -> dict[str, Any]:
    """A JSON object."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def drawn(captions: dict[str, list[str]], count: int) -> set[str]:
    """So many of the photos that have five captions, by the MD5 of their names."""
    whole = [name for name, texts in captions.items() if len(texts) == 5]
    return set(
        sorted(whole, key=lambda name: hashlib.md5(name.encode(), usedforsecurity=False).hexdigest())[:count]
    )


if __name__ == "__main__":
    main()
