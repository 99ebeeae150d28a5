"""A bundle made exact from its own weights, and the measure of whether one is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from cutline.captioning.bundle import ENCODER, read_bundle
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.sources import default_bundle
from cutline.cli.main import main
from cutline.errors import DataError
from cutline.training.agreement import share_of_differing
from cutline.training.exact import MAX_WEIGHT
from cutline.training.requantise import requantise
from tests.training.test_exact import multiplied_weights

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.jpg"))


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that ships, made exact by the command with the eight photos of examples/."""
    target = tmp_path_factory.mktemp("bundles") / "exact"
    source = str(default_bundle())
    code = main(["bundle", "requantise", source, str(target), str(EXAMPLES[0].parent), "--version", "9.9.9"])
    assert code == 0
    return target


def test_no_weight_of_an_exact_bundle_saturates_a_cpu(exact: Path) -> None:
    graph = onnx.load(exact / ENCODER).graph
    weights = multiplied_weights(graph)
    assert weights
    assert all(np.abs(each.astype(int)).max() <= MAX_WEIGHT for each in weights)


def test_an_exact_bundle_says_the_same_in_both_sessions(exact: Path) -> None:
    """But for a few photos: eight are little to calibrate with."""
    photos = [Image.open(path).convert("RGB") for path in EXAMPLES]
    parts = [
        part
        for photo in photos
        for part in (
            photo,
            photo.crop((0, 0, photo.width * 3 // 4, photo.height)),
            photo.crop((photo.width // 4, 0, photo.width, photo.height)),
            photo.crop((0, photo.height // 5, photo.width, photo.height)),
        )
    ]
    turned = [part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for part in parts]
    assert share_of_differing(exact, [*parts, *turned]) <= 1 / 16


def test_an_exact_bundle_is_a_new_version_without_scores(exact: Path) -> None:
    manifest = read_bundle(exact).manifest
    assert (manifest.version, manifest.metrics) == ("9.9.9", {})
    assert manifest.created > read_bundle(default_bundle()).manifest.created
    [[caption]] = BundleCaptioner(exact).caption(EXAMPLES[0])
    assert len(caption.text.split()) >= 3


def test_a_photo_that_cannot_be_read_is_an_error_of_the_measure(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(Exception, match="broken"):
        share_of_differing(default_bundle(), [broken])


def test_calibration_needs_photos(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no photo"):
        requantise(read_bundle(default_bundle()), tmp_path / "exact", [], version="1")
