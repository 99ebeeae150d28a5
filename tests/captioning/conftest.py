from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tiny_bundle import MakeCaptioner, Tiny, make_bundle

from cutline.captioning.bundle_captioner import BundleCaptioner


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A sound bundle, in a folder."""
    return make_bundle(tmp_path / "tiny")


@pytest.fixture
def make_captioner(tmp_path: Path) -> MakeCaptioner:
    """Make captioners of tiny bundles."""
    made: list[BundleCaptioner] = []

    def make(tiny: Tiny | None = None, **settings: object) -> BundleCaptioner:
        folder = make_bundle(tmp_path / f"tiny-{len(made)}", tiny)
        made.append(BundleCaptioner(folder, **({"threads": 1} | settings)))
        return made[-1]

    return make


COLOURS = ["red", "blue", "white", "black", "olive", "teal", "orange", "grey", "pink"]


@pytest.fixture
def photos() -> list[Image.Image]:
    """Photos of one colour each: enough for the tiny encoder, which sees the mean colour."""
    return [Image.new("RGB", (30, 20), colour) for colour in COLOURS]
