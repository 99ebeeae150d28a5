"""Generated photos that can be told apart, and recipes small enough to train on them in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220), "white": (250, 250, 250)}
SHAPES = ("square", "circle")


def write_shapes(folder: Path, *, train: int = 24, dev: int = 8) -> Path:
    """Photos of one coloured shape, with two captions each, in a captions.jsonl beside them."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for index in range(train + dev):
        colour, shape = str(rng.choice(list(COLOURS))), str(rng.choice(SHAPES))
        picture = Image.new("RGB", (80, 64), tuple(int(each) for each in rng.integers(90, 130, 3)))
        left, top = (int(each) for each in rng.integers(4, 24, 2))
        draw = ImageDraw.Draw(picture).rectangle if shape == "square" else ImageDraw.Draw(picture).ellipse
        draw((left, top, left + 36, top + 36), fill=COLOURS[colour])
        picture.save(folder / f"{index:03}.png")
        captions = [f"a {colour} {shape}", f"there is a {shape} that is {colour}"]
        split = "train" if index < train else "dev"
        lines.append(json.dumps({"image": f"{index:03}.png", "captions": captions, "split": split}))
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


RECIPE = """
name: shapes
output: {output}
cache: {cache}
seed: 3
data:
  - {{name: shapes, kind: folder, path: {data}}}
image: {{width_px: 64, height_px: 64}}
encoder: {{name: efficientnet-lite0}}
decoder: {{kind: lstm-attention, width: 16, hidden: 24, attention_width: 16, max_tokens: 12, dropout: 0.1}}
stages:
  - name: captions
    objective: captions
    epochs: 2
    batch_size: 6
    learning_rate: 2e-2
    captions_per_image: 2
    monitor: cider
tracking: {{log_every: 1}}
"""


def write_recipe(folder: Path) -> Path:
    """The data and a recipe for it, in one folder."""
    data = write_shapes(folder / "data")
    path = folder / "shapes.yaml"
    text = RECIPE.format(output=folder / "run", cache=folder / "features", data=data)
    path.write_text(text, encoding="utf-8")
    return path
