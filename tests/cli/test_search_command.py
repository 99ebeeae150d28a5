"""`cutline search` as its users meet it."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from fixed import COLOURS, OUTAGE, POISON, FixedCaptioner
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

from cutline.captioning.protocol import Caption
from cutline.cli.main import main
from cutline.errors import OptionError
from cutline.images import open_image
from cutline.photo_index import sentences
from cutline.photo_index.index import FILE_NAME
from cutline.vectors import unit

SAYS = {name: f"A {name} photo on the wall." for name in COLOURS}


class Seeing(FixedCaptioner):
    """Says a photo's colour, and that like colours are alike. has_tower: texts lie at colours, too."""

    def __init__(self, *, has_tower: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.no_text_reason = "" if has_tower else "It has no text tower."
        self.embedded = 0

    def caption(self, images: Sequence[Any], *, n: int = 1, options: Any = None) -> list[list[Caption]]:
        captions = super().caption(images, n=n, options=options)
        return [
            [Caption(text=each.text, log_prob=each.log_prob, embedding=_place(image)) for each in of_one]
            for image, of_one in zip(images, captions, strict=True)
        ]

    def embed(self, images: Sequence[Any]) -> np.ndarray:
        self.embedded += len(images)
        return np.stack([_place(open_image(each)) for each in images])

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        if self.no_text_reason:
            raise OptionError(self.no_text_reason)
        meant = {"ruby": "red", "grass": "green", "sky": "blue"}
        return unit(np.array([COLOURS[meant[text]] for text in texts], np.float32))


def _place(image: Image.Image) -> np.ndarray:
    return unit(np.asarray(image, np.float32).mean((0, 1)))


def photo(path: Path, colour: str | tuple[int, int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (48, 32), COLOURS[colour] if isinstance(colour, str) else colour).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos of three colours, one of them twice."""
    monkeypatch.chdir(tmp_path)
    for name, colour in (
        ("a.png", "red"),
        ("b/c.png", "green"),
        ("b/d.png", "blue"),
        ("e.png", (215, 40, 35)),
    ):
        photo(tmp_path / "album" / name, colour)
    return Path("album")


Run = Callable[..., list[str]]


@pytest.fixture
def search(capfd: pytest.CaptureFixture[str]) -> Run:
    """The command in this process; `errors` of it is what it printed beside its lines."""

    def run(*arguments: object, model: FixedCaptioner | None = None, code: int = 0) -> list[str]:
        seen = main(["search", *map(str, arguments)], load=lambda _: model or Seeing())
        out, run.errors = capfd.readouterr()  # type: ignore[attr-defined]
        assert seen == code, (seen, out, run.errors)  # type: ignore[attr-defined]
        return out.splitlines()

    return run


def test_words_are_found_in_captions_and_the_rest_is_said(folder: Path, search: Run) -> None:
    assert search(folder, "GREEN walls")[0] == f"{folder}/b/c.png\t{SAYS['green']}"
    assert "Searched the words of captions alone: It has no text tower." in search.errors  # type: ignore[attr-defined]
    assert search(folder, "zebra") == []
    assert "Nothing was found." in search.errors  # type: ignore[attr-defined]


def test_what_a_folder_has_besides_photos_is_counted(folder: Path, search: Run) -> None:
    for name in ("page.svg", "b/v.mp4", "@eaDir.txt"):
        (folder / name).touch()
    for again in (["--exclude", "d.png"], []):
        search(folder, "wall", *again)
        excluded = "1 excluded file or folder, " if again else ""
        assert f"Not searched: {excluded}1 SVG drawing, 1 video.\n" in search.errors  # type: ignore[attr-defined]


def test_photos_like_one_of_the_folder_or_another(folder: Path, search: Run, tmp_path: Path) -> None:
    model = Seeing()
    assert search(folder, "--like", folder / "a.png", "-n", 1, model=model) == [
        f"{folder}/e.png\t{SAYS['red']}"
    ]
    assert model.embedded == 0  # its place is in the index
    other = photo(tmp_path / "other.png", (20, 50, 200))
    [line] = search(folder, "--like", other, "-n", 1, "--json", model=model)
    assert json.loads(line) == {
        "file": f"{folder}/b/d.png",
        "caption": SAYS["blue"],
        "likeness": pytest.approx(0.999, abs=1e-3),
    }
    assert (
        search(folder, "green", "--like", folder / "a.png", "-n", 1)[0].startswith(f"{folder}/e.png") is False
    )
    assert search(folder, "--like", tmp_path / "nothing.jpg", code=1) == []
    assert search(folder, "--like", other, model=FixedCaptioner(), code=2) == []
    assert "does not say how photos are alike" in search.errors  # type: ignore[attr-defined]


def test_with_a_text_tower_photos_are_found_by_what_is_meant(folder: Path, search: Run) -> None:
    model = Seeing(has_tower=True)
    assert search(folder, "grass", "-n", 1, model=model) == [f"{folder}/b/c.png\t{SAYS['green']}"]
    assert "words" not in search.errors  # type: ignore[attr-defined]


def test_with_the_extra_captions_are_found_by_what_they_mean(
    folder: Path, search: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra's two files, in small: "lawn" lies near "green", and "ruby" near "red"."""
    words = ["red", "green", "blue", "ruby", "lawn", "else"]
    vectors = np.array([[1, 0], [0, 1], [-1, 0], [0.9, 0.1], [0.1, 0.9], [0, 0]], "<f2")
    package = tmp_path / "extra" / "wordllama"
    for name in ("weights", "tokenizers"):
        (package / name).mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemError('its code is not run')")
    about = {"embedding.weight": {"dtype": "F16", "shape": [6, 2], "data_offsets": [0, 24]}}
    header = json.dumps(about).encode()
    content = len(header).to_bytes(8, "little") + header + vectors.tobytes()
    (package / "weights" / "l2_supercat_256.safetensors").write_bytes(content)
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(words)}, unk_token="else"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), Whitespace()
    tokenizer.save(str(package / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    monkeypatch.syspath_prepend(tmp_path / "extra")
    sentences.load.cache_clear()
    found = search(folder, "ruby")
    assert [line.split("\t")[0] for line in found] == [f"{folder}/a.png", f"{folder}/e.png"]
    assert "alone" not in search.errors  # type: ignore[attr-defined]
    (folder / "a.png").unlink()
    photo(folder / "new.png", "green")
    assert sorted(line.split("\t")[0] for line in search(folder, "lawn")) == [
        f"{folder}/b/c.png",
        f"{folder}/new.png",
    ]
    sentences.load.cache_clear()


def test_the_index_follows_the_folder(folder: Path, search: Run) -> None:
    model = Seeing()
    search(folder, "red", model=model)
    assert sum(model.batches) == 4
    search(folder, "red", model=model)
    assert sum(model.batches) == 4
    (folder / "a.png").unlink()
    photo(folder / "b/d.png", "red")
    os.utime(folder / "b/d.png", ns=(0, 1))
    photo(folder / "new.png", "red")
    (folder / "broken.jpg").write_bytes(b"no photo")
    found = search(folder, "red", model=model, code=1)
    assert sorted(line.split("\t")[0] for line in found) == [
        f"{folder}/{name}" for name in ("b/d.png", "e.png", "new.png")
    ]
    assert sum(model.batches) == 6
    assert "broken.jpg" in search.errors  # type: ignore[attr-defined]
    assert "4 photos in album/.cutline-search: 2 new, 1 gone, 1 failed." in search.errors  # type: ignore[attr-defined]
    search(folder, "red", model=model)  # what cannot be read is not tried again until it changes
    newer = Seeing(version="2.0")
    search(folder, "red", "--no-update", model=newer)
    assert "Searched the words of captions alone: another model made the index." in search.errors  # type: ignore[attr-defined]
    for wanted in (("--duplicates",), ("--like", folder / "e.png")):
        search(folder, *wanted, "--no-update", model=newer, code=2)
        assert "was made by another model" in search.errors  # type: ignore[attr-defined]
    search(folder, "red", model=newer, code=1)
    assert sum(newer.batches) == 4  # another model's captions and places are made anew


def test_what_was_done_before_the_model_failed_is_kept(folder: Path, search: Run) -> None:
    for number in range(40):
        photo(folder / f"n{number:02}.png", "grey")
    photo(folder / "z.png", OUTAGE)
    first, second = Seeing(), Seeing()
    search(folder, "grey", model=first, code=1)
    photo(folder / "z.png", POISON)
    found = search(folder, "grey", "-n", 99, model=second, code=1)
    assert len(found) == 40
    assert sum(second.batches) < 44


def test_failures_are_printed_above_the_progress_bar(
    folder: Path, search: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bar:
        is_away = False
        photos = 0

        def update(self, photos: int) -> None:
            self.photos += photos

        @contextmanager
        def external_write_mode(self) -> Iterator[None]:
            self.is_away = True
            yield
            self.is_away = False

    bar = Bar()
    seen: list[tuple[str, bool]] = []
    echo = click.echo
    monkeypatch.setattr(
        click, "echo", lambda text, **more: (seen.append((text, bar.is_away)), echo(text, **more))
    )
    monkeypatch.setattr("cutline.cli.search._progress", lambda *_: bar)
    (folder / "broken.png").write_bytes(b"no photo")
    search(folder, "green", code=1)
    assert [is_away for text, is_away in seen if "broken.png" in text] == [True]
    assert bar.photos == 5


def test_copies_are_shown_in_groups(folder: Path, search: Run) -> None:
    assert search(folder, "--duplicates") == [
        f"{folder}/a.png\t{SAYS['red']}",
        f"{folder}/e.png\t{SAYS['red']}",
    ]
    [line] = search(folder, "--duplicates", "--json")
    assert [each["file"] for each in json.loads(line)["photos"]] == [f"{folder}/a.png", f"{folder}/e.png"]


def test_a_folder_that_cannot_be_read_keeps_what_is_known_of_it(
    folder: Path, search: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(folder, "green")
    real = os.scandir

    def scandir(path: str) -> Any:
        if path.endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert search(folder, "green", "-n", 1, code=1) == [f"{folder}/b/c.png\t{SAYS['green']}"]


def test_other_files_are_no_index_and_stay(folder: Path, search: Run, tmp_path: Path) -> None:
    other, broken = tmp_path / "other.db", tmp_path / "broken"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE t (x)")
    broken.write_bytes(b"nothing like an index" * 99)
    for place in (other, broken):
        before = place.read_bytes()
        assert search(folder, "red", "--index", place, code=1) == []
        assert place.read_bytes() == before
    search(folder, "red", "--index", tmp_path / "mine")
    assert not (folder / FILE_NAME).exists()


def test_what_makes_no_sense_is_refused(folder: Path, search: Run) -> None:
    for wrong in ([], ["  "], ["red", "--duplicates"], ["red", "--no-update"], ["red", "-n", "0"]):
        search(folder, *wrong, code=2)
    assert not (folder / FILE_NAME).exists()
    assert "cutline search holiday/" in "\n".join(search("--help"))


if __name__ == "__main__":
    sys.exit(main(load=lambda _: Seeing()))
