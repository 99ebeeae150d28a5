"""Augmentation: within bounds, and the same for the same seed, epoch and photo."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps
from tiny_data import photo

from cutline.errors import ConfigError
from cutline.images import Preprocessing, to_pixels
from cutline.training.transforms import (
    AUGMENTATIONS,
    NORMALISATIONS,
    augment,
    augmentation_rng,
    may_flip,
    normalisation,
)


def pixels(image: Image.Image) -> np.ndarray:
    return to_pixels(image, Preprocessing(width_px=32, height_px=32))


def test_off_returns_the_photo_itself() -> None:
    image = photo(1)
    assert augment(image, "off", augmentation_rng(0, 0, 0)) is image


@pytest.mark.parametrize("level", ["light", "strong"])
def test_the_same_seed_epoch_and_photo_give_the_same_variation(level: str) -> None:
    first = augment(photo(1), level, augmentation_rng(3, 2, 17))
    again = augment(photo(1), level, augmentation_rng(3, 2, 17))
    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize("other", [(4, 2, 17), (3, 3, 17), (3, 2, 18), (2, 3, 17)])
def test_another_seed_epoch_or_photo_gives_another(other: tuple[int, int, int]) -> None:
    first = augment(photo(1), "light", augmentation_rng(3, 2, 17))
    assert first.tobytes() != augment(photo(1), "light", augmentation_rng(*other)).tobytes()


@pytest.mark.parametrize("level", ["light", "strong"])
def test_crops_keep_the_promised_share_of_the_photo(level: str) -> None:
    image = photo(1, width_px=200, height_px=120)
    areas = []
    for index in range(200):
        varied = augment(image, level, augmentation_rng(0, 0, index))
        assert varied.mode == "RGB"
        assert varied.width <= 200
        assert varied.height <= 120
        areas.append(varied.width * varied.height / (200 * 120))
    assert min(areas) > AUGMENTATIONS[level].smallest_area * 0.85  # a side that hits the edge costs area
    assert max(areas) <= 1
    assert np.mean(areas) < 0.95


def test_strong_varies_more_than_light() -> None:
    image = photo(1)
    plain = pixels(image).astype(int)

    def change(level: str) -> float:
        variations = (augment(image, level, augmentation_rng(0, 0, index), flip=False) for index in range(40))
        return float(np.mean([np.abs(pixels(varied) - plain).mean() for varied in variations]))

    assert change("strong") > 1.3 * change("light") > 0


def test_about_half_the_photos_are_mirrored_unless_forbidden() -> None:
    image = Image.new("RGB", (64, 64), "black")
    image.paste((255, 255, 255), (0, 0, 32, 64))  # white on the left

    def mirrored(index: int, *, flip: bool) -> bool:
        small = pixels(augment(image, "light", augmentation_rng(0, 0, index), flip=flip))
        return bool(small[:, :8].mean() < small[:, -8:].mean())

    assert 70 < sum(mirrored(index, flip=True) for index in range(200)) < 130
    assert not any(mirrored(index, flip=False) for index in range(200))


def test_forbidding_the_flip_changes_nothing_else() -> None:
    for index in range(20):
        free = augment(photo(1), "strong", augmentation_rng(0, 0, index))
        fixed = augment(photo(1), "strong", augmentation_rng(0, 0, index), flip=False)
        assert free.size == fixed.size


def test_cutout_hides_part_of_about_half_the_photos() -> None:
    image = Image.new("RGB", (100, 100), (200, 30, 30))

    def hidden(index: int) -> bool:
        varied = np.asarray(augment(image, "strong", augmentation_rng(0, 0, index)))
        return bool((varied == 128).all(axis=-1).any())

    assert 60 < sum(map(hidden, range(200))) < 130


def test_one_pixel_is_enough() -> None:
    for index in range(20):
        augment(Image.new("RGB", (1, 1)), "strong", augmentation_rng(0, 0, index))


def test_augmentation_leaves_the_photo_it_was_given_alone() -> None:
    image = photo(1)
    before = image.tobytes()
    for index in range(20):
        augment(image, "strong", augmentation_rng(0, 0, index))
    assert image.tobytes() == before


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ConfigError, match="off, light, strong"):
        augment(photo(1), "wild", augmentation_rng(0, 0, 0))


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A dog runs to the left .", False),
        ("A leftmost car", False),
        ("The man on the right-hand side", False),
        ("A right handed batter", False),
        ("A sign that says stop", False),
        ('A shop called "Joe"', False),
        ("A dog was left behind", True),
        ("A boy right before he jumps", True),
        ("A bright copyright office", True),
        ("A dog runs", True),
    ],
)
def test_photos_whose_captions_name_a_side_or_quote_writing_are_not_mirrored(
    caption: str, expected: bool
) -> None:
    assert may_flip(["A dog", caption]) is expected


def test_a_flip_that_is_allowed_mirrors_exactly() -> None:
    image = photo(2)
    flipped = augment(image, "light", _OnlyMirror())  # type: ignore[arg-type]
    assert np.abs(np.asarray(flipped).astype(int) - np.asarray(ImageOps.mirror(image))).max() <= 1


class _OnlyMirror:
    """Draws that crop nothing, recolour nothing and always mirror."""

    def uniform(self, low: float, high: float) -> float:
        return 1.0 if low <= 1 <= high else 0.0

    def integers(self, low: int, high: int) -> int:
        return low

    def random(self) -> float:
        return 0.0


def test_lite_encoders_see_minus_one_to_one_and_resnet_sees_imagenet() -> None:
    lite, resnet = normalisation("efficientnet-lite2"), normalisation("resnet50")
    assert (127 / 255 - lite.mean[0]) / lite.std[0] == 0
    assert (255 / 255 - lite.mean[0]) / lite.std[0] == pytest.approx(1.0)
    assert resnet.mean == (0.485, 0.456, 0.406)
    with pytest.raises(ConfigError, match="efficientnet-lite0"):
        normalisation("vgg")
    assert set(NORMALISATIONS) == {f"efficientnet-lite{n}" for n in range(3)} | {"resnet50"}
