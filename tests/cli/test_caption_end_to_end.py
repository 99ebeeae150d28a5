"""The installed command with real bundles: a tiny one that the tests make, and the one that ships."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cutline
from cutline.captioning.sources import default_bundle
from cutline.errors import BundleMissing

sys.path.append(str(Path(__file__).parents[1] / "captioning"))
from tiny_bundle import make_bundle

from tests.server.services.process import ANSWERS_S, wait_until

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cutline.cli.main", "caption", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=ANSWERS_S, **options)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "tiny")


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Large enough that they are decoded smaller on the way."""
    chance = np.random.default_rng(5)
    paths = []
    for n in range(12):
        cells = chance.integers(0, 255, (9, 12, 3), np.uint8)
        path = tmp_path / "in" / f"{n:02}.{('jpg', 'png', 'webp')[n % 3]}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(cells).resize((1200, 900), Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    return paths


def test_the_command_writes_what_the_library_says(tiny: Path, photos: list[Path], tmp_path: Path) -> None:
    done = run("--model", tiny, "-n", 2, "--json", "--batch-size", 5, tmp_path / "in")
    assert done.returncode == 0, done.stderr
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    said = cutline.load(str(tiny)).caption(photos, n=2)
    assert [line["file"] for line in seen] == [str(path) for path in photos]
    for line, captions in zip(seen, said, strict=True):
        assert [each["text"] for each in line["captions"]] == [each.text for each in captions]
        for written, caption in zip(line["captions"], captions, strict=True):
            assert written["log_prob"] == pytest.approx(caption.log_prob, abs=1e-3)


def test_options_change_what_a_bundle_says(tiny: Path, photos: list[Path]) -> None:
    texts = {
        run("--model", tiny, photos[0], *flags).stdout
        for flags in (["--max-length", "1"], ["--max-length", "4", "--min-length", "4"])
    }
    assert len(texts) == 2
    again = [run("--model", tiny, photos[0], "--seed", seed).stdout for seed in ("4", "4")]
    assert again[0] == again[1] != ""


def test_attention_is_drawn_for_a_bundle(tiny: Path, photos: list[Path], tmp_path: Path) -> None:
    assert run("--model", tiny, photos[0], "--attention", tmp_path / "out.png").returncode == 0
    with Image.open(tmp_path / "out.png") as picture:
        assert min(picture.size) > 100


def test_a_bundle_that_is_missing_is_one_clear_error(photos: list[Path], tmp_path: Path) -> None:
    done = run("--model", tmp_path / "nowhere", photos[0])
    assert done.returncode == 1
    assert done.stderr.startswith("cutline: ")
    assert "Traceback" not in done.stderr


@pytest.fixture
def shipped() -> Path:
    try:
        return default_bundle()
    except BundleMissing:
        pytest.skip("no bundle ships yet")


def test_the_shipped_model_captions_the_examples(shipped: Path) -> None:
    done = run("--json", EXAMPLES)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(list(EXAMPLES.glob("*.jpg")))
    for line in lines:
        assert line["model"].startswith("cutline-base@")
        (caption,) = line["captions"]
        assert len(caption["text"].split()) >= 4
        assert caption["log_prob"] < 0
    assert len({line["captions"][0]["text"] for line in lines}) > len(lines) / 2


def test_the_shipped_model_sees_through_every_disguise_of_a_photo(shipped: Path, tmp_path: Path) -> None:
    """Turned by EXIF, stored large, as PNG or in a palette: the photo, and so its caption, is the same."""
    with Image.open(EXAMPLES / "cat.jpg") as cat:
        original = cat.convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    original.save(tmp_path / "a.png")
    original.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "b.png", exif=exif)
    original.convert("RGBA").save(tmp_path / "c.webp", lossless=True)
    original.save(tmp_path / "d.tiff")
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert len({line.split("\t")[1] for line in done.stdout.splitlines()}) == 1


def test_the_shipped_model_resumes_after_a_kill(shipped: Path, tmp_path: Path) -> None:
    with Image.open(EXAMPLES / "coffee.jpg") as coffee:
        for n in range(40):
            coffee.crop((n, n, coffee.width, coffee.height)).save(tmp_path / f"{n:02}.jpg")
    output = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "cutline.cli.main", "caption", str(tmp_path), "--output", str(output)]
    with subprocess.Popen([*command, "--batch-size", "2"], stderr=subprocess.DEVNULL) as running:
        wait_until(lambda: output.exists() and output.stat().st_size, what="the first line")
        running.send_signal(signal.SIGKILL)
    done = run(tmp_path, "--output", output)
    assert done.returncode == 0, done.stderr
    assert "skipped (done before)" in done.stderr
    files = [json.loads(line)["file"] for line in output.read_text().splitlines()]
    assert sorted(files) == sorted(set(files)) == [f"{n:02}.jpg" for n in range(40)]
