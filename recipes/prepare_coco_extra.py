"""Split the general photos for cutline-base: train, dev, and captions alone without those of the dev photos.

    python recipes/prepare_coco_extra.py DATA/coco_extra data/coco

Dev gets the 200 photos, among those with five captions, whose names have the smallest MD5: a draw that no
order of files changes. Captions of dev photos never enter the text, or the decoder would have read the
answers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

DEV_PHOTOS = 200


def main() -> None:
    """Write train.json, dev.json and text.json, each {name: [captions]}."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "source", type=Path, help="folder with captions.json, meta.json, text_only_captions.json"
    )
    parser.add_argument("target", type=Path, help="folder to write to")
    arguments = parser.parse_args()
    read = {
        name: json.loads((arguments.source / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("captions", "meta", "text_only_captions")
    }
    captions = read["captions"]
    whole = sorted(
        (name for name, texts in captions.items() if len(texts) == 5),
        key=lambda name: hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(),
    )
    dev = set(whole[:DEV_PHOTOS])
    held_back = {str(read["meta"][name]["coco_id"]) for name in dev}
    parts = {
        "train": {name: texts for name, texts in captions.items() if name not in dev},
        "dev": {name: texts for name, texts in captions.items() if name in dev},
        "text": {key: texts for key, texts in read["text_only_captions"].items() if key not in held_back},
    }
    arguments.target.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        (arguments.target / f"{name}.json").write_text(json.dumps(part), encoding="utf-8")
        print(f"{name}: {len(part)} photos, {sum(map(len, part.values()))} captions")


if __name__ == "__main__":
    main()
