"""The cache of features: what it holds, that a killed run goes on, and that nothing stale is found."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image
from tiny_data import photo, write_photos
from torch import Tensor, nn

from cutline.errors import ImageError, OutputError
from cutline.images import Preprocessing, open_image, read_pixels, to_pixels
from cutline.training import features
from cutline.training.datasets import Example
from cutline.training.features import FeatureConfig, feature_store, open_session
from tests.server.services.process import ANSWERS_S

SIZE = Preprocessing(width_px=32, height_px=24)
PHOTOS, VARIANTS = 64, 3


class Trunk(nn.Module):
    """A convolution with fixed weights."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.convolution = nn.Conv2d(3, 5, 8, stride=8)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, H, W, 3] -> [B, H / 8, W / 8, 5]."""
        return self.convolution(pixels.permute(0, 3, 1, 2).float() / 255).permute(0, 2, 3, 1)


class Pixels(nn.Module):
    """The empty trunk."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels


def examples(folder: Path, count: int = 5) -> list[Example]:
    names = [f"{place}.jpg" for place in range(count)]
    write_photos(folder, names)
    return listed(folder, names)


def listed(folder: Path, names: list[str]) -> list[Example]:
    return [
        Example(key=name, image=folder / name, captions=("a dog",), split="train", source="tiny")
        for name in names
    ]


def config(**changes: Any) -> FeatureConfig:
    return FeatureConfig(**({"trunk": "tiny", "preprocessing": SIZE} | changes))


def test_a_large_photo_becomes_the_same_pixels_as_in_use(tmp_path: Path) -> None:
    """A large JPEG is decoded smaller, here as there."""
    cells = np.random.default_rng(3).integers(0, 255, (12, 16, 3), np.uint8)
    path = tmp_path / "large.jpg"
    Image.fromarray(cells).resize((640, 480), Image.Resampling.BICUBIC).save(path)
    used = read_pixels(path, SIZE)
    assert not np.array_equal(used, to_pixels(open_image(path), SIZE)), "else this test shows nothing"
    store = feature_store(tmp_path / "cache", listed(tmp_path, ["large.jpg"]), Pixels(), config(), quiet=True)
    assert np.array_equal(store.read([0], [0])[0].numpy(), used)


def test_variant_zero_is_what_the_trunk_makes_of_the_photo_itself(tmp_path: Path) -> None:
    photos, trunk = examples(tmp_path / "photos"), Trunk().eval()
    varied = config(augmentation="strong", variants=3)
    store = feature_store(tmp_path / "cache", photos, trunk, varied, quiet=True)
    assert (store.variants, store.features.shape) == (3, (3, 5, 3, 4, 5))
    pixels = np.stack([to_pixels(open_image(example.image), SIZE) for example in photos])  # type: ignore[arg-type]
    with torch.no_grad():
        expected = trunk(torch.from_numpy(pixels))
    found = store.read(range(5), [0] * 5)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=2e-3)  # half precision on disk
    for variant in (1, 2):
        assert not torch.allclose(store.read([3], [variant]), expected[3:4], atol=1e-2)
    torch.testing.assert_close(store.read([4, 0], [2, 1])[1], store.read([0], [1])[0])


def test_an_empty_trunk_keeps_the_very_pixels(tmp_path: Path) -> None:
    photos = examples(tmp_path / "photos")
    store = feature_store(tmp_path / "cache", photos, Pixels(), config(trunk="pixels"), quiet=True)
    found = store.read([2], [0])
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found[0].numpy(), to_pixels(open_image(photos[2].image), SIZE))  # type: ignore[arg-type]


def test_a_finished_cache_is_read_and_not_computed_again(tmp_path: Path) -> None:
    photos, cache = examples(tmp_path / "photos"), tmp_path / "cache"
    first = feature_store(cache, photos, Trunk(), config(), quiet=True)
    again = feature_store(cache, photos, Trunk(seed=9), config(), quiet=True)  # would give other numbers
    np.testing.assert_array_equal(first.features, again.features)
    assert len(list(cache.glob("*.npy"))) == 1


def test_a_note_that_a_full_disk_emptied_begins_anew(tmp_path: Path) -> None:
    photos, cache = examples(tmp_path / "photos"), tmp_path / "cache"
    feature_store(cache, photos, Pixels(), config(), quiet=True)
    [note] = cache.glob("*.done")
    note.write_text("")
    mark_first(cache)
    again = feature_store(cache, photos, Pixels(), config(), quiet=True)
    assert not (again.features[0, 0] == 7).all()
    assert int(note.read_text()) == 5


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot reserve room")
def test_a_disk_without_room_for_all_features_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the process would die by a signal, hours later, where it writes to a page that has no place."""
    photos, cache = examples(tmp_path / "photos"), tmp_path / "cache"

    def full(file: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(OutputError, match=r"npy cannot be written \(No space left"):
            feature_store(cache, photos, Pixels(), config(), quiet=True)
    assert not list(cache.glob("*.npy"))
    assert feature_store(cache, photos, Pixels(), config(), quiet=True).features.shape[1] == 5


def test_features_that_another_run_computes_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    photos, cache, read = examples(tmp_path / "photos"), tmp_path / "cache", count(1)
    others: list[threading.Thread] = []

    def to_pixels_while_another_comes(*arguments: Any) -> Any:
        if next(read) == 1:
            others.append(begun(lambda: feature_store(cache, photos, Pixels(), config(), quiet=True)))
        return to_pixels(*arguments)

    monkeypatch.setattr(features, "to_pixels", to_pixels_while_another_comes)
    feature_store(cache, photos, Pixels(), config(), quiet=True)
    others[0].join()
    assert next(read) == len(photos) + 1  # each was read once


LIGHT = {"variants": 2, "augmentation": "light"}


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ({}, {"trunk": "another"}),
        ({}, {"preprocessing": Preprocessing(width_px=32, height_px=32)}),
        ({}, LIGHT),
        (LIGHT, LIGHT | {"seed": 1}),
    ],
)
def test_another_question_gets_another_cache(
    tmp_path: Path, given: dict[str, Any], changes: dict[str, Any]
) -> None:
    photos, cache = examples(tmp_path / "photos", 2), tmp_path / "cache"
    feature_store(cache, photos, Pixels(), config(**given), quiet=True)
    feature_store(cache, photos, Pixels(), config(**changes), quiet=True)
    assert len(list(cache.glob("*.npy"))) == 2


def test_photos_that_were_moved_or_copied_are_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With other times, under other names; and where there is one variant, with any seed."""
    first = examples(tmp_path / "photos")
    feature_store(tmp_path / "cache", first, Trunk(), config(), quiet=True)
    shutil.copytree(tmp_path / "photos", tmp_path / "elsewhere", copy_function=shutil.copyfile)
    moved = [
        replace(each, source="else", key=f"new-{each.key}", image=tmp_path / "elsewhere" / each.image.name)
        for each in first
        if isinstance(each.image, Path)
    ]
    monkeypatch.setattr("cutline.training.features._compute", None)
    feature_store(tmp_path / "cache", moved, Trunk(), replace(config(), seed=5), quiet=True)


def test_a_photo_that_changed_is_seen_anew(tmp_path: Path) -> None:
    photos, cache = examples(tmp_path / "photos", 2), tmp_path / "cache"
    before = feature_store(cache, photos, Pixels(), config(), quiet=True).read([1], [0])
    photo(77, width_px=90).save(tmp_path / "photos" / "1.jpg", "JPEG")
    after = feature_store(cache, photos, Pixels(), config(), quiet=True).read([1], [0])
    assert not torch.equal(before, after)


def test_a_photo_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    photos = examples(tmp_path / "photos", 3)
    (tmp_path / "photos" / "1.jpg").write_bytes(b"not a photo")
    with pytest.raises(ImageError, match=r"1\.jpg"):
        feature_store(tmp_path / "cache", photos, Pixels(), config(), quiet=True)


def test_one_of_several_processes_computes_on_all_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchrun gives each process one thread, and the others wait for the features."""
    node = helper.make_node("Identity", ["pixels"], ["features"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("pixels", "features")]
    model = helper.make_model(
        helper.make_graph([node], "same", values[:1], values[1:]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    onnx.save(model, tmp_path / "same.onnx")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)

    def threads() -> int:
        return int(open_session(tmp_path / "same.onnx").get_session_options().intra_op_num_threads)

    assert threads() == torch.get_num_threads()
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        assert threads() == 3
    finally:
        torch.distributed.destroy_process_group()


def many(folder: Path) -> list[Example]:
    """Many photos that lie in five files."""
    return listed(folder, [f"{place % 5}.jpg" for place in range(PHOTOS)])


def compute(folder: Path, cache: Path) -> None:
    torch.set_num_threads(1)
    varied = config(augmentation="strong", variants=VARIANTS)
    feature_store(cache, many(folder), Pixels(), varied, quiet=True)


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_features(tmp_path: Path) -> None:
    folder, killed, whole = tmp_path / "photos", tmp_path / "killed", tmp_path / "whole"
    for place in range(5):
        folder.mkdir(exist_ok=True)
        photo(place, width_px=700, height_px=500).save(folder / f"{place}.jpg", "JPEG")
    command = [sys.executable, str(Path(__file__)), str(folder), str(killed)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run(command, env=environment, timeout=ANSWERS_S)
    assert run.returncode == -signal.SIGKILL
    (progress,) = killed.glob("*.done")
    done = int(progress.read_text())
    assert 0 < done < PHOTOS * VARIANTS
    mark_first(killed)
    compute(folder, killed)
    compute(folder, whole)
    (resumed,), (plain,) = (list(each.glob("*.npy")) for each in (killed, whole))
    found, expected = np.load(resumed), np.load(plain)
    assert (found[0, 0] == 7).all()  # what was there was kept, not computed again
    found[0, 0] = expected[0, 0]
    np.testing.assert_array_equal(found, expected)


def mark_first(cache: Path) -> None:
    (path,) = cache.glob("*.npy")
    computed = np.load(path, mmap_mode="r+")
    computed[0, 0] = 7
    computed.flush()


def compute_and_die(folder: Path, cache: Path) -> None:
    """Be gone in the middle of the fourth batch, when the first has been noted."""
    read = count(1)

    def to_pixels_and_die(*arguments: Any) -> Any:
        if next(read) == 100:
            os.kill(os.getpid(), signal.SIGKILL)
        return to_pixels(*arguments)

    features.to_pixels = to_pixels_and_die  # type: ignore[attr-defined]
    compute(folder, cache)


if __name__ == "__main__":
    compute_and_die(Path(sys.argv[1]), Path(sys.argv[2]))
