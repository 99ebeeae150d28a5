"""Small data sets of generated photos, in every layout."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def photo(seed: int, *, width_px: int = 96, height_px: int = 80) -> Image.Image:
    """A picture of soft coloured blobs, different for every seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width_px, height_px), Image.Resampling.BICUBIC)


def photo_bytes(seed: int, *, kind: str = "JPEG") -> bytes:
    """The same picture, encoded."""
    buffer = io.BytesIO()
    photo(seed).save(buffer, kind, quality=92)
    return buffer.getvalue()


def write_photos(folder: Path, names: list[str], *, first_seed: int = 0) -> None:
    """A different photo under each name."""
    for seed, name in enumerate(names, first_seed):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo_bytes(seed))


def write_json(path: Path, content: Any) -> Path:
    """A JSON file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def flickr8k(root: Path, splits: dict[str, list[str]], *, captions: int = 2) -> Path:
    """A Flickr8k layout: photos, the token file, and a file of names for each split (train, dev, test)."""
    names = sorted({name for members in splits.values() for name in members})
    write_photos(root / "Flicker8k_Dataset", names)
    text = root / "Flickr8k_text"
    text.mkdir()
    lines = [f"{name}#{i}\tA dog number {i} runs in {name} ." for name in names for i in range(captions)]
    (text / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for split, members in splits.items():
        (text / f"Flickr_8k.{split}Images.txt").write_text("".join(f"{name}\n" for name in members))
    return root


def coco_captions(path: Path, photos: dict[str, list[str]]) -> Path:
    """A COCO captions file, ids counted from 1."""
    images = [{"id": n, "file_name": name, "width": 96, "height": 80} for n, name in enumerate(photos, 1)]
    annotations: list[dict[str, Any]] = []
    for n, texts in enumerate(photos.values(), 1):
        for text in texts:
            annotations.append({"id": len(annotations) + 1, "image_id": n, "caption": text})
    return write_json(path, {"info": {}, "licenses": [], "images": images, "annotations": annotations})
