"""`cutline caption` as its users meet it: what is printed, what is written, what is left alone."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import glob
import hashlib
import importlib
import io
import json
import logging
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import termios
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import pytest
from fixed import COLOURS, OUTAGE, POISON, FixedCaptioner
from PIL import Image

from cutline.alt_text import shorten
from cutline.caption_files import FORMATS, CaptionLine, ScoredCaption, read_caption_lines
from cutline.captioning.options import DecodingOptions
from cutline.cli import caption as caption_module
from cutline.cli._caption_options import LIMIT_NAMES
from cutline.cli.main import main, missing_extra
from cutline.errors import OptionError
from cutline.images import Limits, developing
from cutline.photo_search import PhotoSearch
from cutline.terminal import name_the_command_in_warnings
from tests import raw_photos
from tests.server.services.process import ANSWERS_S, wait_until

FIXED = str(Path(__file__).with_name("fixed.py"))
SAYS = {name: f"A {name} photo on the wall." for name in COLOURS}


def photo(path: Path, colour: str | tuple[int, int, int] = "red", **options: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (48, 32), COLOURS[colour] if isinstance(colour, str) else colour).save(path, **options)
    return str(path)


class Cutline:
    """The command in this process, with what it printed."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self.captioner = FixedCaptioner()
        self.err = ""

    def __call__(self, *arguments: str | Path, code: int = 0) -> list[str]:
        seen = main(["caption", *map(str, arguments)], load=lambda _: self.captioner)
        out, self.err = self._capfd.readouterr()
        assert seen == code, (seen, out, self.err)
        return out.splitlines()


@pytest.fixture
def cutline(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cutline:
    monkeypatch.chdir(tmp_path)
    return Cutline(capfd)


def process(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, FIXED, "caption", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=ANSWERS_S, **options)


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# What is printed


def test_a_photo_gives_its_path_a_tab_and_a_caption(cutline: Cutline, tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    assert cutline(path) == [f"{path}\t{SAYS['red']}"]
    assert cutline.err == ""


def test_paths_stay_as_they_were_typed(cutline: Cutline, tmp_path: Path) -> None:
    photo(tmp_path / "in" / "a.jpg")
    assert cutline("in", "./in/../in/a.jpg") == [f"in/a.jpg\t{SAYS['red']}"]


def test_json_is_one_object_a_photo_best_first(cutline: Cutline, tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    (line,) = cutline("--json", "-n", 3, path)
    assert json.loads(line) == {
        "file": path,
        "model": "fixed@1.0",
        "captions": [
            {"text": SAYS["red"], "log_prob": -1.25},
            {"text": "Something red in a frame.", "log_prob": -2.25},
            {"text": "A photo.", "log_prob": None},
        ],
    }


def test_several_captions_are_several_plain_lines(cutline: Cutline, tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    assert cutline("-n", 2, path) == [f"{path}\t{SAYS['red']}", f"{path}\tSomething red in a frame."]


def test_a_failing_photo_does_not_stop_the_rest(cutline: Cutline, tmp_path: Path) -> None:
    good, other = photo(tmp_path / "a.jpg"), photo(tmp_path / "c.png", "blue")
    (tmp_path / "b.jpg").write_bytes(b"")
    lines = [json.loads(line) for line in cutline("--json", tmp_path, "no.jpg", code=1)]
    assert [line["file"] for line in lines] == [good, str(tmp_path / "b.jpg"), other, "no.jpg"]
    assert [set(line) for line in lines] == [{"file", "model", "captions"}, {"file", "error"}] * 2
    assert lines[1]["error"]["code"] == "image_unreadable"
    assert "is empty" in lines[1]["error"]["message"]
    assert lines[3] == {
        "file": "no.jpg",
        "error": {"code": "image_missing", "message": "no.jpg does not exist."},
    }
    assert "2 captioned, 2 failed" in cutline.err
    assert cutline.err.count("no.jpg") == 1


def test_a_failed_photo_prints_no_plain_line_but_a_message(cutline: Cutline, tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"not a photo")
    assert cutline("b.jpg", code=1) == []
    assert cutline.err.splitlines()[0].startswith("cutline: b.jpg is not an image")


def test_one_photo_that_chokes_the_captioner_costs_only_itself(cutline: Cutline, tmp_path: Path) -> None:
    for name, colour in (("a", "red"), ("b", POISON), ("c", "blue")):
        photo(tmp_path / f"{name}.png", colour)  # type: ignore[arg-type]
    lines = [json.loads(line) for line in cutline("--json", tmp_path, code=1)]
    assert ["error" in line for line in lines] == [False, True, False]


def test_a_captioner_that_goes_away_ends_the_run_and_says_what_was_kept(
    cutline: Cutline, tmp_path: Path
) -> None:
    paths = [photo(tmp_path / "a.png"), photo(tmp_path / "b.png", OUTAGE), photo(tmp_path / "c.png")]
    cutline("--output", "out.jsonl", "--batch-size", 1, *paths, code=1)
    assert "went away" in cutline.err
    assert "1 captions were written in out.jsonl; the same command continues from there" in cutline.err
    assert [str(tmp_path / line["file"]) for line in json_lines(tmp_path / "out.jsonl")] == paths[:1]


def test_photos_are_captioned_in_batches_and_in_order(cutline: Cutline, tmp_path: Path) -> None:
    names = [photo(tmp_path / f"{n:02}.png", "red" if n % 3 else "blue") for n in range(11)]
    assert [line.split("\t")[0] for line in cutline("--batch-size", 4, tmp_path)] == names
    assert cutline.captioner.batches == [4, 4, 3]


def test_decoding_options_reach_the_captioner(cutline: Cutline, tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    cutline(
        path, "--beam-size", 5, "--length-penalty", 0.9, "--no-repeat-ngram", 2, "--start-with", "a photo"
    )
    cutline(path, "--seed", 7, "--top-p", 0.8, "--top-k", 9, "--temperature", 1.5, "--max-length", 9)
    assert cutline.captioner.options == [
        DecodingOptions(beam_size=5, length_penalty=0.9, no_repeat_ngram=2, prefix="a photo"),
        DecodingOptions(strategy="sample", seed=7, top_p=0.8, top_k=9, temperature=1.5, max_length=9),  # type: ignore[arg-type]
    ]


def test_the_command_offers_every_decoding_option_and_limit() -> None:
    offered = {parameter.name for parameter in caption_module.command.params}
    assert {field.name for field in fields(DecodingOptions)} - {"prefix"} | {"start_with"} <= offered
    assert {field.name for field in fields(Limits)} <= offered
    assert set(LIMIT_NAMES) == {field.name for field in fields(Limits)}
    undocumented = [
        p.name for p in caption_module.command.params if isinstance(p, click.Option) and not p.help
    ]
    assert undocumented == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--no-such-option"],
        ["a.jpg", "--beam-size", "0"],
        ["a.jpg", "--top-p", "2"],
        ["a.jpg", "-n", "0"],
        ["a.jpg", "--max-chars", "3"],
        ["a.jpg", "--max-chars", "20", "--prefix", "fifteen letters"],
        ["a.jpg", "--output", "captions.txt"],
        ["a.jpg", "--output", "captions.csv", "--json"],
        ["a.jpg", "--max-pixels", "0"],
        ["a.jpg", "--overwrite"],
        ["a.jpg", "--prefix", "two\nlines"],
        ["a.jpg", "--retry-failed"],
        ["a.jpg", "--skip-by", "content"],
        ["a.jpg", "--null"],
        ["-", "--sidecar"],
        ["-", "--xmp", "darktable"],
        ["a.jpg", "--xmp", "paint"],
        ["-", "--from-file", "-"],
        ["a.jpg", "b.jpg", "--attention", "out.png"],
    ],
)
def test_a_command_that_makes_no_sense_is_a_usage_error(cutline: Cutline, arguments: list[str]) -> None:
    assert cutline(*arguments, code=2) == []
    assert cutline.err
    assert "Traceback" not in cutline.err


def test_limits_come_from_the_environment_and_options_win(
    cutline: Cutline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = photo(tmp_path / "a.jpg")
    monkeypatch.setenv("CUTLINE_MAX_PIXELS", "100")
    assert cutline(path, code=1) == []
    assert "1,536 pixels; the limit is 100" in cutline.err
    assert len(cutline("--max-pixels", 2000, path)) == 1
    monkeypatch.setenv("CUTLINE_MAX_PIXELS", "many")
    cutline(path, code=2)
    assert "CUTLINE_MAX_PIXELS" in cutline.err


# What is found


def test_a_folder_gives_its_photos_in_order_and_nothing_else(cutline: Cutline, tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "deep/er/c.webp", ".hidden.jpg", ".hidden/d.jpg"):
        photo(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("a letter")
    names = [line.split("\t")[0] for line in cutline("in")]
    assert names == ["in/a.png", "in/b.JPG", "in/deep/er/c.webp"]


def test_what_a_folder_has_besides_photos_is_counted(cutline: Cutline, tmp_path: Path) -> None:
    for name in ("a.png", "@eaDir/a.png", "Previews.lrdata/b.jpg"):
        photo(tmp_path / "in" / name)
    others = ("drawing.eps", "favicon.ico", "c.raw", "notes.txt.bak")
    names = ("page.svg", "one.MOV", "deep/two.insv", "notes.pdf", "raw.txt", "Thumbs.db", "._a.png", *others)
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
    assert [line.split("\t")[0] for line in cutline("in")] == ["in/a.png"]
    (counts,) = [line for line in cutline.err.splitlines() if "not captioned: " in line]
    expected = {"2 videos", "1 PDF document", "1 SVG drawing", "3 images of other formats"}
    assert set(counts.split(": ")[1].split(", ")) == expected


def test_raw_photos_in_a_folder_are_captioned(
    cutline: Cutline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(developing, "_EXTRA", "no_such_package")
    red = io.BytesIO()
    Image.new("RGB", (320, 213), COLOURS["red"]).save(red, "JPEG")
    for kind, make in raw_photos.KINDS.items():
        (tmp_path / f"{kind}.{kind.upper()}").write_bytes(make(red.getvalue(), 1))
    (tmp_path / "sensor.dng").write_bytes(raw_photos.dng(None))
    assert {line.split("\t")[1] for line in cutline(tmp_path, code=1)} == {SAYS["red"]}
    assert f"{len(raw_photos.KINDS)} captioned, 1 failed" in cutline.err
    assert "sensor.dng is a raw photo (DNG) that has no preview" in cutline.err
    assert "pip install 'cutline[raw]'" in cutline.err


def test_a_folder_of_drawings_says_so(cutline: Cutline, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "page.svg").write_text("<svg/>")
    assert cutline("in", code=1) == []
    assert "in contains no photos, only 1 SVG drawing" in cutline.err


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["*-edited.*"], ["a.png", "deep/c.png"]),
        (["deep"], ["a.png", "a-edited.png"]),
        (["deep/c*", "*-edited.png"], ["a.png"]),
    ],
)
def test_what_is_excluded_is_left_out_of_folders_and_globs(
    cutline: Cutline, tmp_path: Path, patterns: list[str], left: list[str]
) -> None:
    for name in ("a.png", "a-edited.png", "deep/c.png"):
        photo(tmp_path / "in" / name)
    excluding = [part for pattern in patterns for part in ("--exclude", pattern)]
    assert {line.split("\t")[0] for line in cutline("in", *excluding)} == {f"in/{name}" for name in left}
    assert "excluded file" in cutline.err
    edited_too = "*-edited.*" not in patterns and "*-edited.png" not in patterns
    assert len(cutline("in/a*", *excluding)) == 1 + edited_too
    assert len(cutline("in/a-edited.png", *excluding)) == 1, "what is named is always captioned"


EXCLUDING = ["a.png", "B.PNG", "thumbs/t.png", "deep/thumbs/u.png", "deep/[1].png"]


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("*.png", "aBtu1"),
        ("*.PNG", "aBtu1"),
        ("b.png", ""),
        ("thumbs", "tu"),
        ("thumbs/", "tu"),
        ("**/thumbs/*", "tu"),
        ("**/thumbs/**", "tu"),
        ("**/thumbs", "tu"),
        ("./thumbs", "t"),
        ("/thumbs", "t"),
        ("in/thumbs", "t"),
        ("in\\thumbs", "t"),
        ("in/**/thumbs", "tu"),
        ("{here}/in/thumbs", "t"),
        ("{here}/**/deep/**/*.png", "u1"),
        ("deep/thumbs", "u"),
        ("../in/thumbs", ""),
        ("[1].png", "1"),
        ("[!.]umbs", ""),
        (".*", ""),
        ("in", ""),
        ("", ""),
    ],
)
def test_a_pattern_means_what_people_mean_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, gone: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in EXCLUDING:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    left = {f"in/{name}" for name in EXCLUDING if Path(name).stem.strip("[]") not in gone}

    def found(*arguments: str) -> set[str]:
        search = PhotoSearch([pattern.format(here=tmp_path)])
        return {os.path.relpath(each.path) for each in search.find(arguments) if each.error is None}

    assert found("in") == found("./in/") == found(str(tmp_path / "in")) == left
    assert found("in/**/*.png", "in/*.PNG") == left
    assert found(*(glob.escape(f"in/{name}") for name in EXCLUDING)) == left
    assert found(*(f"in/{name}" for name in EXCLUDING)) == left


JUNK = [
    "@eaDir/a.jpg/SYNOFILE_THUMB_M.jpg",
    "Photos.lrdata/p.jpg",
    "photos.LRDATA/p.jpg",
    "#recycle/r.jpg",
    "$RECYCLE.BIN/r.jpg",
    "__MACOSX/m.jpg",
    "sub/.thumbnails/t.jpg",
    "._a.jpg",
]
NO_JUNK = ["a.jpg", "sub/@anna/b.jpg", "sub/#1/c.jpg", "thumbs/d.jpg", "lrdata.jpg"]


@pytest.mark.parametrize(
    "arguments",
    [["in"], ["in/*"], ["in/**/*.jpg"], ["in/*.jpg", "in/*/*.jpg", "in/*/*/*"], ["i*"]],
    ids=" ".join,
)
def test_what_programs_keep_beside_photos_is_left_out_by_whatever_way_it_comes(
    cutline: Cutline, tmp_path: Path, arguments: list[str]
) -> None:
    for name in (*JUNK, *NO_JUNK):
        photo(tmp_path / "in" / name)
    expanded = [name for each in arguments for name in sorted(glob.glob(each, recursive=True))]
    listed = [str(path.relative_to(tmp_path)) for path in sorted((tmp_path / "in").rglob("*.jpg"))]
    (tmp_path / "list.txt").write_text("".join(f"{name}\n" for name in listed))
    for typed in (arguments, expanded, ["--from-file", "list.txt"]):
        names = {line.split("\t")[0] for line in cutline(*typed)}
        assert names == {f"in/{name}" for name in NO_JUNK}


@pytest.mark.parametrize("wanted", ["@eaDir", "@eaDir/a.jpg/SYNOFILE_THUMB_M.jpg", "@eaDir/*/*.jpg"])
def test_what_is_named_outright_is_wanted_wherever_it_lies(
    cutline: Cutline, tmp_path: Path, wanted: str
) -> None:
    photo(tmp_path / "in" / JUNK[0])
    photo(tmp_path / "in" / JUNK[0].replace("_M", "_S"), "blue")
    several = sorted(glob.glob("in/@eaDir/*/*.jpg"))
    assert len(several) == 2
    for typed in ([f"in/{wanted}"], [str(tmp_path / "in" / wanted)], several):
        assert cutline(*typed)


def test_named_photos_are_excluded_where_there_are_several(cutline: Cutline, tmp_path: Path) -> None:
    for name in ("a.jpg", "t.jpg", "thumbs/t.jpg", "Sub/b.jpg"):
        photo(tmp_path / "thumbs" / "left" / name)
    for folder in ("thumbs/left/", str(tmp_path / "thumbs" / "left") + "/"):  # they all lie in "thumbs"
        for pattern, typed, kept in (
            ("thumbs", ["Sub", "thumbs"], ["Sub/b.jpg"]),
            ("thumbs", ["a.jpg", "thumbs/t.jpg"], ["a.jpg"]),
            ("t.jpg", ["a.jpg", "t.jpg", "thumbs/t.jpg"], ["a.jpg"]),
            ("t.jpg", ["t.jpg"], ["t.jpg"]),
        ):
            lines = cutline(*(folder + name for name in typed), "--exclude", pattern)
            assert [line.split("\t")[0] for line in lines] == [folder + name for name in kept]
            left_out = len(typed) - len(kept)
            assert (f"not captioned: {left_out} excluded file" in cutline.err) == bool(left_out)


def test_a_list_may_begin_with_a_byte_order_mark(cutline: Cutline, tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfa.jpg\r\n")
    assert len(cutline("--from-file", "list.txt")) == 1


def test_links_that_lead_round_are_followed_once(cutline: Cutline, tmp_path: Path) -> None:
    photo(tmp_path / "in" / "deep" / "a.jpg")
    (tmp_path / "in" / "deep" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in" / "deep")
    (tmp_path / "in" / "loop.jpg").symlink_to(tmp_path / "in" / "loop.jpg")
    lines = [json.loads(line) for line in cutline("--json", "in", code=1)]
    assert len(lines) == 2
    assert sum("captions" in line for line in lines) == 1
    assert "leads back to itself" in next(line["error"]["message"] for line in lines if "error" in line)


def test_globs_are_expanded_where_the_shell_did_not(cutline: Cutline, tmp_path: Path) -> None:
    for name in ("in/a.jpg", "in/b.png", "in/deep/c.jpg", "in/deep/er/d.jpg"):
        photo(tmp_path / name)
    (tmp_path / "in" / "deep" / "up").symlink_to(tmp_path / "in")

    def names(pattern: str) -> list[str]:
        return [line.split("\t")[0] for line in cutline(pattern)]

    assert names("in/*.jpg") == ["in/a.jpg"]
    assert names("in/**/*.jpg") == ["in/a.jpg", "in/deep/c.jpg", "in/deep/er/d.jpg"]
    assert names("**/d*") == ["in/deep/er/d.jpg"]
    assert names(f"{tmp_path}/**/[ab].*") == [f"{tmp_path}/in/a.jpg", f"{tmp_path}/in/b.png"]
    assert cutline("in/*.heic", code=1) == []
    assert "matches nothing" in cutline.err


def test_a_name_that_looks_like_a_glob_is_taken_as_it_is(cutline: Cutline, tmp_path: Path) -> None:
    photo(tmp_path / "a[1].jpg")
    assert cutline("a[1].jpg") == [f"a[1].jpg\t{SAYS['red']}"]


def test_a_photo_named_twice_is_captioned_once(cutline: Cutline, tmp_path: Path) -> None:
    path = photo(tmp_path / "in" / "a.jpg")
    assert len(cutline(path, "in", "in/*.jpg", "./in/a.jpg")) == 1


def test_a_folder_without_photos_is_a_failure(cutline: Cutline, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert cutline("in", code=1) == []
    assert "in contains no photos" in cutline.err


def test_a_folder_that_may_not_be_read_is_told(cutline: Cutline, tmp_path: Path) -> None:
    photo(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "locked").mkdir(mode=0o000)
    with unprivileged(tmp_path):
        lines = cutline("in", code=1)
    assert len(lines) == 1
    assert "in/locked cannot be read (Permission denied)" in cutline.err


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Root may read everything: be nobody for a moment, in a folder that nobody owns."""
    if os.geteuid() != 0:
        yield
        return
    importlib.import_module("concurrent.futures.thread")  # nobody may be unable to read Python's own files
    for place in (folder, *folder.rglob("*")):
        os.chown(place, 65534, -1)
    for parent in list(folder.parents)[:4]:  # pytest's own, down from "pytest-of-root"
        if parent.owner() == "root" and parent.name.startswith(("pytest-", "popen-")):
            parent.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_image_comes_in_on_standard_input(tmp_path: Path) -> None:
    data = Path(photo(tmp_path / "a.png", "green")).read_bytes()
    done = process("-", input=data)
    assert (done.returncode, done.stdout) == (0, f"-\t{SAYS['green']}\n".encode())
    assert process("-", "--json", input=b"").returncode == 1


@pytest.mark.parametrize("null", [False, True])
def test_a_list_of_paths_comes_from_a_file_or_standard_input(tmp_path: Path, null: bool) -> None:
    paths = [photo(tmp_path / f"{n} .jpg") for n in range(3)]
    data = ("\0" if null else "\n").join(paths).encode()
    (tmp_path / "list").write_bytes(data)
    flags = ["--null"] if null else []
    for source, standard_input in (("-", data), (tmp_path / "list", None)):
        done = process("--from-file", source, *flags, input=standard_input)
        assert [line.split("\t")[0] for line in done.stdout.decode().splitlines()] == paths


def test_a_list_that_is_missing_is_one_clear_error(cutline: Cutline) -> None:
    assert cutline("--from-file", "no.list", code=1) == []
    assert cutline.err.startswith("cutline: The list no.list cannot be read")


def test_odd_file_names_survive(cutline: Cutline, tmp_path: Path) -> None:
    photo(tmp_path / "ä 日本 '\".jpg")
    photo(tmp_path / "tab\tline\n.jpg")
    os.rename(photo(tmp_path / "latin.jpg"), os.fsencode(tmp_path) + b"/latin\xe9.jpg")
    for output in ("out.jsonl", "out.csv"):
        assert cutline("--output", output, ".") == []
        cutline("--output", output, ".")
        assert "0 captioned, 3 skipped" in cutline.err
    names = {line["file"] for line in json_lines(tmp_path / "out.jsonl")}
    assert names == {"./ä 日本 '\".jpg", "./tab\tline\n.jpg", "./latin\udce9.jpg"}
    assert all(len(line.split("\t")) == 2 for line in cutline("."))


# The file that grows


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_second_run_skips_what_is_done_and_says_so(cutline: Cutline, tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        photo(tmp_path / "in" / f"{name}.jpg")
    output = tmp_path / f"captions.{suffix}"
    assert cutline("in", "--output", output) == []
    assert f"2 captioned -> {output}" in cutline.err
    before = output.read_bytes()
    photo(tmp_path / "in" / "c.jpg", "blue")
    cutline(tmp_path / "in", "--output", output)  # spelt otherwise, and still the same photos
    assert "1 captioned, 2 skipped (done before)" in cutline.err
    after = output.read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == before.count(b"\n") + 1
    cutline("in", "--output", output)
    assert "0 captioned, 3 skipped" in cutline.err
    assert output.read_bytes() == after


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_photos_of_the_same_name_in_two_folders_are_two(
    cutline: Cutline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    for folder in ("1", "2"):
        for name in ("a.jpg", "b.jpg"):
            photo(tmp_path / "t" / folder / name)
    for folder in ("1", "2"):
        monkeypatch.chdir(tmp_path / "t" / folder)
        cutline(".", "-o", f"../all.{suffix}")
        assert "2 captioned ->" in cutline.err
        cutline("a.jpg", tmp_path / "t" / folder, "-o", f"../all.{suffix}")
        assert "0 captioned, 2 skipped" in cutline.err
    monkeypatch.chdir(tmp_path)
    cutline("t", "-o", f"t/all.{suffix}")
    assert "0 captioned, 4 skipped" in cutline.err
    assert recorded(tmp_path / "t" / f"all.{suffix}") == ["1/a.jpg", "1/b.jpg", "2/a.jpg", "2/b.jpg"]


def recorded(output: Path) -> list[str]:
    if output.suffix == ".jsonl":
        return [line["file"] for line in json_lines(output)]
    with output.open(newline="") as file:
        return [row["file"] for row in csv.DictReader(file)]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_folder_and_its_captions_can_be_moved_together(
    cutline: Cutline, tmp_path: Path, suffix: str
) -> None:
    photo(tmp_path / "in" / "deep" / "a.jpg")
    photo(tmp_path / "elsewhere" / "b.jpg")
    arguments = ("in", tmp_path / "in", tmp_path / "elsewhere", "-o", tmp_path / "in" / f"c.{suffix}")
    cutline(*arguments)
    assert recorded(tmp_path / "in" / f"c.{suffix}") == ["deep/a.jpg", str(tmp_path / "elsewhere" / "b.jpg")]
    (tmp_path / "in").rename(tmp_path / "moved")
    cutline("moved", "elsewhere/b.jpg", "-o", f"moved/c.{suffix}")
    assert "0 captioned, 2 skipped" in cutline.err


def test_links_to_a_photo_or_its_folder_are_that_photo(cutline: Cutline, tmp_path: Path) -> None:
    real = photo(tmp_path / "in" / "a.jpg")
    (tmp_path / "link.jpg").symlink_to(real)
    (tmp_path / "album").symlink_to(tmp_path / "in")
    assert len(cutline("album", "in", "link.jpg", "album/../in/a.jpg")) == 1
    cutline("album", "-o", "c.jsonl")
    cutline("in", "link.jpg", "-o", "c.jsonl")
    assert "0 captioned, 1 skipped" in cutline.err
    (tmp_path / "out").symlink_to(tmp_path / "c.jsonl")
    (tmp_path / "linked.jsonl").symlink_to(tmp_path / "c.jsonl")
    cutline("in", "-o", "linked.jsonl")
    assert "0 captioned, 1 skipped" in cutline.err


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_what_older_versions_wrote_goes_on(cutline: Cutline, tmp_path: Path, suffix: str) -> None:
    """They wrote names as they were typed."""
    for name in "abcd":
        photo(tmp_path / "in" / f"{name}.jpg")
    absolute = [str(tmp_path / "in" / f"{name}.jpg") for name in "abcd"]
    for names in (["in/a.jpg", "in/b.jpg", "./in/../in/c.jpg", "in\\d.jpg"], absolute):
        for folder in ("out", "."):
            output = older_output(tmp_path / folder / f"c.{suffix}", names)
            cutline("in", "-o", output)
            assert "0 captioned, 4 skipped" in cutline.err
            photo(tmp_path / "in" / "new.jpg")
            cutline("in", "-o", output)
            assert "1 captioned, 4 skipped" in cutline.err
            cutline("in", "-o", output)
            assert "0 captioned, 5 skipped" in cutline.err
            (tmp_path / "in" / "new.jpg").unlink()


def older_output(output: Path, names: Sequence[str]) -> Path:
    format_ = FORMATS[output.suffix](1)
    captions = (ScoredCaption(text="A dog.", log_prob=-1.0),)
    lines = [CaptionLine(file=name, model="old@1", captions=captions) for name in names]
    output.parent.mkdir(exist_ok=True)
    output.write_bytes(format_.header() + b"".join(map(format_.encode, lines)))
    return output


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_photo_with_the_name_of_one_that_was_moved_away_is_captioned(
    cutline: Cutline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Cameras count from IMG_0001 again."""
    photo(tmp_path / "inbox" / "IMG_0001.jpg")
    monkeypatch.chdir(tmp_path / "inbox")
    cutline(".", "-o", f"all.{suffix}")
    (tmp_path / "inbox" / "IMG_0001.jpg").rename(tmp_path / "archived.jpg")
    os.utime(f"all.{suffix}", (0, 0))  # long ago
    photo(tmp_path / "card" / "IMG_0001.jpg", "blue")
    monkeypatch.chdir(tmp_path / "card")
    for _ in range(2):
        cutline("IMG_0001.jpg", "-o", f"../inbox/all.{suffix}")
    assert len(recorded(tmp_path / "inbox" / f"all.{suffix}")) == 2
    assert "0 captioned, 1 skipped" in cutline.err


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_names_of_an_older_version_mean_the_same_photos_from_anywhere(
    cutline: Cutline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    for name in ("1/a,.jpg", "1/b.jpg", "2/a,.jpg", "2/b.jpg"):
        photo(tmp_path / "t" / name)
    output = older_output(tmp_path / "t" / f"all.{suffix}", ["./a,.jpg", "./b.jpg"])
    before = list(read_caption_lines(output))
    monkeypatch.chdir(tmp_path / "t" / "1")
    cutline(".", "-o", f"../all.{suffix}")
    assert "0 captioned, 2 skipped" in cutline.err
    assert f"were taken as those of photos in {tmp_path / 't' / '1'}" in cutline.err
    assert recorded(output) == ["1/a,.jpg", "1/b.jpg"]
    assert [line.captions for _, line in read_caption_lines(output)] == [line.captions for _, line in before]
    monkeypatch.chdir(tmp_path / "t" / "2")
    cutline(".", "-o", f"../all.{suffix}")
    assert "2 captioned ->" in cutline.err
    assert "older version" not in cutline.err


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
@pytest.mark.parametrize("typed", [".", "a.jpg", "../1/a.jpg"])
def test_an_output_that_was_moved_away_from_its_photos_means_no_others(
    cutline: Cutline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, typed: str
) -> None:
    for folder in ("1", "2"):
        photo(tmp_path / folder / "a.jpg")
    monkeypatch.chdir(tmp_path / "1")
    cutline(typed, "-o", f"all.{suffix}")
    (tmp_path / "1" / f"all.{suffix}").rename(tmp_path / f"all.{suffix}")
    monkeypatch.chdir(tmp_path / "2")
    for told in ("1 captioned ->", "0 captioned, 1 skipped"):
        cutline(typed.replace("1", "2"), "-o", f"../all.{suffix}")
        assert told in cutline.err


def test_an_older_output_goes_on_where_all_was_copied(
    cutline: Cutline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(tmp_path / "v" / "ph" / "a.jpg")
    older_output(tmp_path / "v" / "out" / "all.jsonl", ["ph/a.jpg"])
    for path in (tmp_path / "v" / "ph" / "a.jpg", tmp_path / "v" / "out" / "all.jsonl"):
        os.utime(path, (1_000_000_000, 1_000_000_000 + path.name.startswith("all")))
    shutil.copytree(tmp_path / "v", tmp_path / "v2")  # with times
    monkeypatch.chdir(tmp_path / "v2")
    cutline("ph", "-o", "out/all.jsonl")
    assert "0 captioned, 1 skipped" in cutline.err


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_by_content_another_photo_of_the_same_name_is_new(
    cutline: Cutline, tmp_path: Path, suffix: str
) -> None:
    output = f"c.{suffix}"
    arguments = (".", "-o", output, "--skip-by", "content")
    photo(tmp_path / "a.jpg")
    whole = Path(photo(tmp_path / "torn.jpg", "green")).read_bytes()
    (tmp_path / "torn.jpg").write_bytes(whole[:100])
    cutline(*arguments, code=1)
    (tmp_path / "a.jpg").rename(tmp_path / "moved.jpg")
    photo(tmp_path / "a.jpg", "blue")
    (tmp_path / "torn.jpg").write_bytes(whole)
    cutline(*arguments)
    assert "2 captioned, 1 skipped (done before)" in cutline.err
    assert {
        line.file: line.captions[0].text for _, line in list(read_caption_lines(tmp_path / output))[2:]
    } == {"./a.jpg": SAYS["blue"], "./torn.jpg": SAYS["green"]}
    cutline(*arguments)
    assert "0 captioned, 3 skipped (done before) ->" in cutline.err
    assert "had failed" not in cutline.err


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_by_content_a_photo_is_known_before_and_after_its_description_was_written(
    cutline: Cutline, tmp_path: Path, suffix: str
) -> None:
    arguments = ("m", "-o", f"m.{suffix}", "--skip-by", "content", "--write-metadata")
    original = Path(photo(tmp_path / "m" / "a.jpg")).read_bytes()
    cutline(*arguments)
    described = (tmp_path / "m" / "a.jpg").read_bytes()
    assert described != original
    assert hashlib.sha256(described).hexdigest() in (tmp_path / f"m.{suffix}").read_text()
    (tmp_path / "m" / "a.jpg").rename(tmp_path / "m" / "zz.jpg")
    (tmp_path / "m" / "original.jpg").write_bytes(original)
    cutline(*arguments)
    assert "0 captioned, 2 skipped" in cutline.err


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_by_content_an_output_without_hashes_gets_them(cutline: Cutline, tmp_path: Path, suffix: str) -> None:
    output, by_content = f"c.{suffix}", ("--skip-by", "content")
    photo(tmp_path / "a.jpg")
    cutline("a.jpg", "-o", output, "-n", 2)
    photo(tmp_path / "new.jpg", "blue")
    cutline("a.jpg", "new.jpg", "-o", output, "-n", 2, *by_content)
    assert "1 captioned, 1 skipped" in cutline.err
    assert [len(line.captions) for _, line in read_caption_lines(tmp_path / output)] == [2, 2]
    for name in ("a.jpg", "new.jpg"):
        (tmp_path / name).rename(tmp_path / f"renamed {name}")
    cutline(".", "-o", output, "-n", 2, *by_content)
    assert "0 captioned, 2 skipped" in cutline.err


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_by_content_copies_and_moved_photos_are_skipped(
    cutline: Cutline, tmp_path: Path, suffix: str
) -> None:
    output = f"c.{suffix}"
    photo(tmp_path / "a.jpg")
    cutline("a.jpg", "-o", output)  # without hashes
    (tmp_path / "copy.jpg").write_bytes((tmp_path / "a.jpg").read_bytes())
    photo(tmp_path / "new.png", "blue")
    (tmp_path / "new copy.png").write_bytes((tmp_path / "new.png").read_bytes())
    cutline(".", "-o", output, "--skip-by", "content")
    assert "1 captioned, 3 skipped" in cutline.err
    cutline("copy.jpg", "-o", output)
    assert "1 captioned ->" in cutline.err


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_by_content_a_renamed_photo_is_known_again(cutline: Cutline, tmp_path: Path, suffix: str) -> None:
    arguments = (".", "-o", f"c.{suffix}", "--skip-by", "content")
    photo(tmp_path / "a.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"not a photo")
    cutline(*arguments, code=1)
    (tmp_path / "a.jpg").rename(tmp_path / "b.jpg")
    (tmp_path / "bad.jpg").rename(tmp_path / "worse.jpg")
    cutline(*arguments, code=1)
    assert "0 captioned, 2 skipped (done before)" in cutline.err
    assert "1 of the skipped had failed" in cutline.err
    cutline(*arguments, "--retry-failed", code=1)
    assert "0 captioned, 1 skipped (done before), 1 failed" in cutline.err
    cutline("b.jpg", "-o", f"c.{suffix}")  # without hashes again, in the same file
    assert "1 captioned ->" in cutline.err


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_list_may_come_from_windows(cutline: Cutline, tmp_path: Path, encoding: str, line_end: str) -> None:
    for name in ("läuft.jpg", "sub/b.jpg"):
        photo(tmp_path / name)
    names = ["läuft.jpg", "sub\\b.jpg", ".\\Sub\\B.JPG", "D:\\no.jpg"]
    (tmp_path / "list.txt").write_bytes(line_end.join([*names, "", ""]).encode(encoding))
    lines = cutline("--from-file", "list.txt", "-o", "c.jsonl", code=1)
    assert lines == []
    assert recorded(tmp_path / "c.jsonl")[:2] == ["läuft.jpg", "sub/b.jpg"]
    cutline("--from-file", "list.txt", "-o", "c.jsonl", code=1)
    assert "0 captioned, 3 skipped (done before)" in cutline.err


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_list_may_have_its_accents_composed_otherwise(
    cutline: Cutline, tmp_path: Path, form: Literal["NFC", "NFD"]
) -> None:
    here = unicodedata.normalize("NFD" if form == "NFC" else "NFC", "Zürich/é.jpg")
    photo(tmp_path / here)
    (tmp_path / "list.txt").write_text(unicodedata.normalize(form, "Zürich/é.jpg"), encoding="utf-8")
    cutline("--from-file", "list.txt", "-o", "c.jsonl")
    assert recorded(tmp_path / "c.jsonl") == [here]


def test_csv_has_a_row_a_photo(cutline: Cutline, tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    (tmp_path / "b,.jpg").write_bytes(b"")
    cutline("a.jpg", "b,.jpg", "-n", 2, "--output", "out.csv", code=1)
    with (tmp_path / "out.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first == {
        "file": "a.jpg", "model": "fixed@1.0",
        "caption": SAYS["red"], "log_prob": "-1.25",
        "caption_2": "Something red in a frame.", "log_prob_2": "-2.25",
        "error_code": "", "error_message": "",
    }  # fmt: skip
    assert second["file"] == "b,.jpg"
    assert second["error_code"] == "image_unreadable"


def test_a_photo_of_whose_caption_the_model_is_not_sure_is_skipped_and_says_why(
    cutline: Cutline, tmp_path: Path
) -> None:
    cutline.captioner = FixedCaptioner(sure={"red": 0.9, "blue": 0.31})
    photos = [photo(tmp_path / "red.jpg"), photo(tmp_path / "blue.jpg", "blue")]
    for output in ("out.jsonl", "out.csv"):
        cutline(*photos, "-n", 2, "--min-confidence", 0.4, "--sidecar", "--output", output)
        assert "1 captioned, 1 skipped (not sure)" in cutline.err
        assert (
            "blue.jpg: The model is not sure of its caption: its confidence is 0.31, below 0.4."
            in cutline.err
        )
        cutline(*photos, "-n", 2, "--min-confidence", 0.4, "--output", output, "--retry-failed")
        assert "0 captioned, 2 skipped (done before)" in cutline.err
        shutil.copy(output, f"all-{output}")
        cutline(*photos, "-n", 2, "--output", f"all-{output}", code=1)
        assert "1 of the skipped had failed (--retry-failed)" in cutline.err
        cutline(*photos, "-n", 2, "--output", f"all-{output}", "--retry-failed")
        assert "1 captioned, 1 skipped (done before)" in cutline.err
    assert [each.name for each in tmp_path.glob("*.txt")] == ["red.txt"]
    red, blue = json_lines(tmp_path / "out.jsonl")
    assert red["captions"] == [
        {"text": SAYS["red"], "log_prob": -1.25, "confidence": 0.9},
        {"text": "Something red in a frame.", "log_prob": -2.25, "confidence": 0.45},
    ]
    assert blue["error"]["code"] == "caption_unsure"
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["confidence"], row["confidence_2"]) for row in rows] == [("0.9", "0.45"), ("", "")]
    written = [each.captions for _, each in read_caption_lines(tmp_path / "out.csv")]
    assert [each.confidence for each in written[0]] == [0.9, 0.45]


def test_no_confidence_can_be_asked_of_a_model_that_gives_none(cutline: Cutline, tmp_path: Path) -> None:
    cutline(photo(tmp_path / "a.jpg"), "--min-confidence", 0.5, code=2)
    assert "fixed@1.0 does not say how sure it is of a caption." in cutline.err


def test_a_table_without_confidences_goes_on_without_them(cutline: Cutline, tmp_path: Path) -> None:
    cutline(photo(tmp_path / "a.jpg"), "--output", "out.csv")
    cutline.captioner = FixedCaptioner(sure={"red": 0.9})
    cutline(photo(tmp_path / "b.jpg"), "--output", "out.csv")
    assert [line.count(",") for line in (tmp_path / "out.csv").read_text().splitlines()] == [5, 5, 5]


def test_no_name_becomes_a_formula_of_a_spreadsheet_and_each_is_known_again(
    cutline: Cutline, tmp_path: Path
) -> None:
    names = ["=cmd().jpg", "+1.jpg", "@sum.jpg", "'=quoted.jpg", "'plain.jpg", "\tA1.jpg"]
    for name in names:
        photo(tmp_path / name)
    cutline(*names, "--output", "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    written = ["'=cmd().jpg", "'+1.jpg", "'@sum.jpg", "''=quoted.jpg", "'plain.jpg", "\\tA1.jpg"]
    assert [row["file"] for row in rows] == written
    assert float(rows[0]["log_prob"]) < 0  # a number stays one
    cutline(*names, "--output", "out.csv")
    assert "0 captioned, 6 skipped" in cutline.err


def test_failures_are_remembered_and_tried_again_only_when_asked(cutline: Cutline, tmp_path: Path) -> None:
    good, bad = photo(tmp_path / "a.jpg"), tmp_path / "b.jpg"
    bad.write_bytes(b"")
    for output in (tmp_path / "out.jsonl", tmp_path / "out.csv"):
        bad.write_bytes(b"")
        cutline(good, bad, "--output", output, code=1)
        photo(bad, "blue")
        cutline(good, bad, "--output", output, code=1)
        assert "2 skipped" in cutline.err
        assert "1 of the skipped had failed (--retry-failed)" in cutline.err
        cutline(good, bad, "--output", output, "--retry-failed")
        assert "1 captioned, 1 skipped" in cutline.err
        content = output.read_text()
        assert "error" not in content.partition("\n")[2]
        assert content.count("b.jpg") == 1
        assert SAYS["blue"] in content
        assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".cutline")) == []


def test_lines_by_another_model_are_pointed_out(cutline: Cutline, tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    cutline("a.jpg", "--output", "out.jsonl")
    cutline.captioner = FixedCaptioner(version="2.0")
    cutline("a.jpg", "--output", "out.jsonl")
    assert "earlier lines are by fixed@1.0" in cutline.err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.jsonl", "Dear diary\n"),
        ("other.jsonl", '{"name": "x"}\n'),
        ("tail.jsonl", '{"file": "x", "captions": []}\nDear diary'),
        ("broken.jsonl", '{"file": "x", "capt\n{"file": "y", "captions": []}\n'),
        ("table.csv", "when,what\n1,2\n"),
        ("short.csv", "when"),
        ("wide.csv", "file,model,caption,log_prob,error_code,error_message\na,b\n"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_untouched(
    cutline: Cutline, tmp_path: Path, name: str, content: str
) -> None:
    photo(tmp_path / "a.jpg")
    (tmp_path / name).write_text(content)
    cutline("a.jpg", "--output", name, code=1)
    assert f"{name} cannot be continued" in cutline.err
    assert "Nothing in it was changed" in cutline.err
    assert (tmp_path / name).read_text() == content


def test_csv_with_other_columns_is_refused(cutline: Cutline, tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    cutline("a.jpg", "--output", "out.csv", "-n", 2)
    cutline("a.jpg", "--output", "out.csv", code=1)
    assert "-n must be what it was" in cutline.err


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_file_torn_at_any_byte_is_mended(cutline: Cutline, tmp_path: Path, suffix: str) -> None:
    for n in range(3):
        photo(tmp_path / "in" / f"{n}.jpg")
    (tmp_path / "in" / "3.jpg").write_bytes(b"")
    whole = tmp_path / f"whole.{suffix}"
    cutline("in", "--output", whole, code=1)
    content = whole.read_bytes()
    torn = tmp_path / f"torn.{suffix}"
    for cut in range(0, len(content) + 1, 7):
        torn.write_bytes(content[:cut])
        cutline("in", "--output", torn, code=1)
        assert torn.read_bytes() == content, cut
    torn.write_bytes(content[:40] + b"\0" * 50 if suffix == "csv" else content + b"\0" * 50)
    cutline("in", "--output", torn, code=1)
    assert b"\0" not in torn.read_bytes()


def test_a_file_that_cannot_be_written_is_one_clear_error(cutline: Cutline, tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    cutline("a.jpg", "--output", "no/folder/out.jsonl", code=1)
    assert cutline.err.startswith("cutline: no/folder/out.jsonl cannot be written")


def test_two_runs_cannot_write_to_one_file(tmp_path: Path) -> None:
    photos = [photo(tmp_path / "in" / f"{n}.jpg") for n in range(4)]
    output, names = tmp_path / "out.jsonl", tmp_path / "names"
    os.mkfifo(names)
    with started("--output", output, "--from-file", names, slow_s=0) as first:
        with names.open("w") as listed:  # opens when the first run comes to read it, and keeps that waiting
            second = process("--output", output, tmp_path / "in")
            assert second.returncode == 1
            assert b"Another run is writing" in second.stderr
            listed.writelines(f"{each}\n" for each in photos)
        assert first.wait(ANSWERS_S) == 0
    assert len(json_lines(output)) == 4


@contextmanager
def started(*arguments: str | Path, slow_s: float) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, FIXED, "caption", *map(str, arguments)]
    environment = os.environ | {"FIXED_SLOW_S": str(slow_s)}
    # Where the tests run in the background of a script, they inherit that SIGINT is ignored.
    heeded = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    signal.signal(signal.SIGINT, heeded)
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_killed_at_any_moment_it_resumes_with_nothing_lost_or_doubled(tmp_path: Path, suffix: str) -> None:
    photos = [photo(tmp_path / "in" / f"{n:03}.jpg", ("red", "blue")[n % 2]) for n in range(60)]
    output = tmp_path / f"out.{suffix}"
    chance = random.Random(suffix)
    arguments = ("--output", output, "--sidecar", "--batch-size", "3", tmp_path / "in")
    kept = b""
    for _ in range(6):
        with started(*arguments, slow_s=0.005) as running:
            wait_until(
                lambda: output.exists() and output.stat().st_size > len(kept),  # noqa: B023
                what="the next rows",
            )
            time.sleep(chance.uniform(0, 0.1))
            running.send_signal(signal.SIGKILL)
            running.wait(ANSWERS_S)
        content = output.read_bytes()
        assert content.startswith(kept)
        kept = content[: content.rfind(b"\n") + 1]
        if kept.count(b"\n") > 50:
            break
    done = process(*arguments)
    assert done.returncode == 0, done.stderr
    assert b"skipped (done before)" in done.stderr
    if suffix == "jsonl":
        seen = {line["file"]: line["captions"][0]["text"] for line in json_lines(output)}
        assert len(json_lines(output)) == 60
    else:
        with output.open(newline="") as file:
            rows = list(csv.DictReader(file))
        seen = {row["file"]: row["caption"] for row in rows}
        assert len(rows) == 60
    seen = {str(tmp_path / file): text for file, text in seen.items()}
    assert seen == {path: SAYS[("red", "blue")[n % 2]] for n, path in enumerate(photos)}
    assert all(Path(path).with_suffix(".txt").read_text() == seen[path] + "\n" for path in photos)


def test_an_interrupted_run_keeps_what_it_wrote(tmp_path: Path) -> None:
    photos = [photo(tmp_path / "in" / f"{n:02}.jpg") for n in range(40)]
    output, names = tmp_path / "out.jsonl", tmp_path / "names"
    os.mkfifo(names)
    arguments = ("--output", output, "--batch-size", "1", "--from-file", names)
    with started(*arguments, slow_s=0) as running, names.open("w") as listed:
        listed.writelines(f"{each}\n" for each in photos)
        listed.flush()  # more than it reads ahead: it writes some, and waits for further names
        wait_until(lambda: output.exists() and output.stat().st_size > 0, what="the first rows")
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=ANSWERS_S)
    assert running.returncode == 130
    assert b"Traceback" not in err
    assert 0 < len(json_lines(output)) < len(photos)


# Beside and inside photos


def test_a_sidecar_stands_beside_its_photo(cutline: Cutline, tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    assert cutline(path, "--sidecar", "-n", 2)
    assert (tmp_path / "a.txt").read_text() == f"{SAYS['red']}\nSomething red in a frame.\n"


def test_our_own_sidecar_is_replaced_a_persons_is_not(cutline: Cutline, tmp_path: Path) -> None:
    path, text = photo(tmp_path / "a.jpg"), tmp_path / "a.txt"
    cutline(path, "--sidecar")
    photo(tmp_path / "a.jpg", "blue")
    cutline(path, "--sidecar")
    assert text.read_text() == SAYS["blue"] + "\n"
    text.write_text("My aunt in Kyoto\n")
    for _ in range(2):
        assert len(cutline(path, "--sidecar")) == 1
        assert text.read_text() == "My aunt in Kyoto\n"
        assert "kept, written by a person: 1 text (--overwrite)" in cutline.err
    cutline(path, "--sidecar", "--overwrite")
    assert text.read_text() == SAYS["blue"] + "\n"
    photo(tmp_path / "a.jpg", "green")
    cutline(path, "--sidecar")
    assert text.read_text() == SAYS["green"] + "\n"


def test_a_sidecar_that_a_person_copied_from_elsewhere_is_theirs(cutline: Cutline, tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text("My aunt\n")
    (tmp_path / ".cutline-sidecars.jsonl").write_text('{"sidecar": "a.txt", "pho\nnonsense\n[]\n')
    cutline(path, "--sidecar")
    assert (tmp_path / "a.txt").read_text() == "My aunt\n"


def test_photos_that_share_a_stem_do_not_share_a_sidecar(cutline: Cutline, tmp_path: Path) -> None:
    photo(tmp_path / "in" / "a.jpg", "red")
    photo(tmp_path / "in" / "a.png", "blue")
    for _ in range(2):
        cutline("in", "--sidecar")
        assert (tmp_path / "in" / "a.txt").read_text() == SAYS["red"] + "\n"
        assert (tmp_path / "in" / "a.png.txt").read_text() == SAYS["blue"] + "\n"


def test_an_empty_text_beside_a_photo_is_no_persons(cutline: Cutline, tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text(" \n")
    cutline(tmp_path / "a.jpg", "--sidecar")
    assert (tmp_path / "a.txt").read_text() == SAYS["red"] + "\n"


def test_a_photo_called_txt_is_not_overwritten_by_its_sidecar(cutline: Cutline, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    photo(path, format="PNG")
    before = path.read_bytes()
    cutline(path, "--sidecar", "--overwrite")
    assert path.read_bytes() == before
    assert (tmp_path / "a.txt.txt").read_text() == SAYS["red"] + "\n"


def test_a_sidecar_that_cannot_be_written_costs_neither_the_caption_nor_the_rest(
    cutline: Cutline, tmp_path: Path
) -> None:
    photo(tmp_path / "in" / "a.jpg")
    photo(tmp_path / "in" / "locked" / "b.jpg", "blue")
    (tmp_path / "in" / "locked").chmod(0o555)
    with unprivileged(tmp_path):
        assert len(cutline("in", "--sidecar", code=1)) == 2
    assert "b.txt cannot be written" in cutline.err
    assert "1 captioned, but not all outputs could be written" in cutline.err
    assert (tmp_path / "in" / "a.txt").exists()


exiv2 = pytest.importorskip("pyexiv2", reason="the extra `metadata` is not installed")


def description(path: Path) -> tuple[str, str]:
    with exiv2.ImageData(path.read_bytes()) as image:
        xmp, iptc = image.read_xmp(), image.read_iptc("latin-1")  # other fields may hold any bytes
    caption = str(iptc.get("Iptc.Application2.Caption", "")).encode("latin-1").decode()
    return xmp.get("Xmp.dc.description", {}).get('lang="x-default"', ""), caption


def looked_at(path: Path) -> tuple[Any, str | None]:
    with Image.open(path) as image:
        return np.asarray(image), image.getexif().get(0x010F)


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
def test_metadata_holds_the_caption_and_the_picture_stays(
    cutline: Cutline, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"a.{kind}"
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    photo(path, "blue", exif=exif.tobytes())
    path.chmod(0o640)
    os.utime(path, (1e9, 1e9))
    pixels, _ = looked_at(path)
    cutline(path, "--write-metadata", "--suffix", " “ü”")
    text = SAYS["blue"] + " “ü”"
    assert description(path) == (text, "" if kind == "webp" else text)
    assert (looked_at(path)[0] == pixels).all()
    assert looked_at(path)[1] == "A camera"
    assert (path.stat().st_mode & 0o777, path.stat().st_mtime) == (0o640, 1e9)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_our_own_description_is_replaced_a_persons_is_not(cutline: Cutline, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    photo(path)
    cutline(path, "--write-metadata")
    cutline(path, "--write-metadata", "--prefix", "Again: ")
    assert description(path)[0] == "Again: " + SAYS["red"]
    with exiv2.Image(str(path)) as image:
        image.modify_xmp({"Xmp.dc.description": {'lang="x-default"': "My aunt"}})
    cutline(path, "--write-metadata")
    assert description(path)[0] == "My aunt"
    assert "kept, written by a person: 1 description (--overwrite)" in cutline.err
    cutline(path, "--write-metadata", "--overwrite")
    assert description(path)[0] == SAYS["red"]


EXIF_IDS = {"ImageDescription": 0x010E, "XPTitle": 0x9C9B, "XPComment": 0x9C9C, "XPSubject": 0x9C9F}


@pytest.mark.parametrize("name", [*EXIF_IDS, "UserComment", "Headline", "Latin-1"])
def test_what_a_person_wrote_anywhere_in_a_photo_stays(cutline: Cutline, tmp_path: Path, name: str) -> None:
    path, text = tmp_path / "a.jpg", "Frühstück mit Oma, 1998"
    exif = Image.Exif()
    if name == "Latin-1":
        exif[0x010E] = text.encode("latin-1")
    elif name.startswith("XP"):
        exif[EXIF_IDS[name]] = text.encode("utf-16-le") + b"\0\0"
    elif name in EXIF_IDS:
        exif[EXIF_IDS[name]] = text.encode()
    photo(path, exif=exif.tobytes())
    with exiv2.Image(str(path)) as image:
        if name == "UserComment":
            image.modify_exif({"Exif.Photo.UserComment": f"charset=Unicode {text}"})
        elif name == "Headline":
            image.modify_iptc({"Iptc.Application2.Headline": text})
    before = path.read_bytes()
    cutline(path, "--write-metadata")
    assert path.read_bytes() == before
    assert "kept, written by a person: 1 description" in cutline.err
    cutline(path, "--write-metadata", "--overwrite")
    assert description(path)[0] == SAYS["red"]


@pytest.mark.parametrize(
    "text",
    ["OLYMPUS DIGITAL CAMERA         ", "SONY DSC", "hdrpl", "KODAK Digital Still Camera", '{"shape": [2]}'],
)
def test_what_a_camera_writes_is_no_persons(cutline: Cutline, tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x010E] = text
    photo(path, exif=exif.tobytes())
    cutline(path, "--write-metadata")
    assert description(path)[0] == SAYS["red"]


XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt>'
    '<rdf:li xml:lang="x-default">%s</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF>'
    "</x:xmpmeta>"
)


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg.xmp",
        "a.xmp",
        "a.XMP",
        "a.Xmp",
        "A.xmp",
        "a.JPG.xmp",
        "A.Jpg.XMP",
        "a_01.jpg.xmp",
        "A_12.JPG.xmp",
    ],
)
def test_a_description_in_an_xmp_file_beside_the_photo_stays(
    cutline: Cutline, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "a.jpg"
    photo(path)
    (tmp_path / name).write_text(XMP % "My aunt at the sea")
    before = path.read_bytes()
    cutline(path, "--write-metadata")
    assert path.read_bytes() == before
    for nothing in (XMP % "", "not XMP"):
        (tmp_path / name).write_text(nothing)
        cutline(path, "--write-metadata")
        assert description(path)[0] == SAYS["red"]


@pytest.mark.parametrize("other", ["A.jpg", "a_01.jpg", "b.jpg", "a.jpg_02.jpg"])
@pytest.mark.parametrize("is_short", [False, True])
def test_an_xmp_file_of_another_photo_is_not_asked(
    cutline: Cutline, tmp_path: Path, other: str, is_short: bool
) -> None:
    path = photo(tmp_path / "a.jpg")
    photo(tmp_path / other)
    (tmp_path / other).with_suffix(".xmp" if is_short else ".jpg.xmp").write_text(XMP % "My aunt at the sea")
    cutline(path, "--write-metadata")
    assert description(Path(path))[0] == SAYS["red"]


@pytest.mark.parametrize("before", ['\n<?xml version="1.0"?>', "<!DOCTYPE x:xmpmeta>", "utf-32", "latin-1"])
def test_an_xmp_file_with_a_small_fault_is_read(cutline: Cutline, tmp_path: Path, before: str) -> None:
    path, text = Path(photo(tmp_path / "a.jpg")), XMP % "Meine Großtante"
    data = text.encode(before) if "<" not in before else (before + text).encode()
    (tmp_path / "a.jpg.xmp").write_bytes(data)
    cutline(path, "--write-metadata")
    assert description(path)[0] == ""
    assert "kept, written by a person: 1 description" in cutline.err


@pytest.mark.parametrize("kind", ["gif", "bmp", "avif"])
def test_a_format_without_metadata_gets_one_clear_error_and_its_caption(
    cutline: Cutline, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"a.{kind}"
    photo(path)
    before = path.read_bytes()
    assert cutline(path, "--write-metadata", code=1) == [f"{path}\t{SAYS['red']}"]
    assert cutline.err.count("no description could be written") == 1
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


DARKTABLE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:darktable="http://darktable.sf.net/" darktable:xmp_version="5"><darktable:history><rdf:Seq>'
    "<rdf:li darktable:params='gz09eJ'/></rdf:Seq></darktable:history></rdf:Description>"
    "</rdf:RDF></x:xmpmeta>\n"
)


@pytest.mark.parametrize(
    ("program", "name"), [("darktable", "a.jpg.xmp"), ("digikam", "a.jpg.xmp"), ("lightroom", "a.xmp")]
)
def test_a_description_goes_into_the_xmp_file_of_a_program(
    cutline: Cutline, tmp_path: Path, program: str, name: str
) -> None:
    path, beside = tmp_path / "a.jpg", tmp_path / name
    photo(path)
    before = path.read_bytes()
    cutline(path, "--xmp", program)
    assert path.read_bytes() == before
    assert xmp_description(beside) == SAYS["red"]
    cutline(path, "--xmp", program, "--prefix", "Again: ")
    assert xmp_description(beside) == "Again: " + SAYS["red"], "our own is replaced"
    cutline(path, "--write-metadata")
    assert description(path)[0] == SAYS["red"], "our own XMP file is no person's"


def test_what_a_program_keeps_in_its_xmp_file_stays(cutline: Cutline, tmp_path: Path) -> None:
    path, beside = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    photo(path)
    beside.write_text(DARKTABLE)
    beside.chmod(0o640)
    cutline(path, "--xmp", "darktable")
    after = beside.read_text()
    assert xmp_description(beside) == SAYS["red"]
    start = next(at for at, letter in enumerate(DARKTABLE) if letter != after[at])
    assert after.endswith(DARKTABLE[start:]), "all else is byte for byte what it was"
    assert beside.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("where", ["in the file", "in the other file", "in the photo"])
def test_a_persons_description_keeps_an_xmp_file_as_it_is(
    cutline: Cutline, tmp_path: Path, where: str
) -> None:
    path, beside = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    exif = Image.Exif()
    if where == "in the photo":
        exif[0x010E] = "My aunt at the sea"
    else:
        name = "a.jpg.xmp" if where == "in the file" else "a.xmp"
        (tmp_path / name).write_text(XMP % "My aunt at the sea")
    photo(path, exif=exif.tobytes())
    cutline(path, "--xmp", "darktable")
    assert not beside.exists() or xmp_description(beside) == "My aunt at the sea"
    assert "no XMP file written, for a person described: 1 photo (--overwrite)" in cutline.err
    cutline(path, "--xmp", "darktable", "--overwrite")
    assert xmp_description(beside) == SAYS["red"]


def test_a_raw_photo_and_its_jpeg_do_not_share_an_xmp_file(cutline: Cutline, tmp_path: Path) -> None:
    (tmp_path / "a.nef").write_bytes(raw_photos.nef(raw_photos.jpeg()))
    cutline(tmp_path / "a.nef", "--xmp", "lightroom")
    before = (tmp_path / "a.xmp").read_bytes()
    path = photo(tmp_path / "a.jpg")
    cutline(path, "--xmp", "lightroom", code=1)
    assert "it is about another file of that name" in cutline.err
    assert (tmp_path / "a.xmp").read_bytes() == before


@pytest.mark.parametrize("content", ["not XMP", "<x/>", "<!DOCTYPE a><a/>"])
def test_an_xmp_file_that_is_none_is_kept(cutline: Cutline, tmp_path: Path, content: str) -> None:
    path, beside = photo(tmp_path / "a.jpg"), tmp_path / "a.jpg.xmp"
    beside.write_text(content)
    assert cutline(path, "--xmp", "darktable", "--overwrite", code=1) == [f"{path}\t{SAYS['red']}"]
    assert "a.jpg.xmp: no description could be written into it" in cutline.err
    assert beside.read_text() == content


def xmp_description(path: Path) -> str:
    with exiv2.ImageData(path.read_bytes()) as image:
        found: str = image.read_xmp()["Xmp.dc.description"]['lang="x-default"']
    return found


def test_metadata_goes_through_a_link_and_the_link_stays(cutline: Cutline, tmp_path: Path) -> None:
    photo(tmp_path / "real" / "a.jpg")
    link = tmp_path / "link.jpg"
    link.symlink_to("real/a.jpg")
    cutline(link, "--write-metadata")
    assert link.is_symlink()
    assert description(tmp_path / "real" / "a.jpg")[0] == SAYS["red"]


@pytest.mark.parametrize(
    ("options", "name"),
    [(["--xmp", "darktable"], "a.jpg.xmp"), (["--xmp", "lightroom"], "a.xmp"), (["--sidecar"], "a.txt")],
)
def test_what_is_written_beside_a_photo_goes_through_a_link(
    cutline: Cutline, tmp_path: Path, options: list[str], name: str
) -> None:
    path, link, target = photo(tmp_path / "a.jpg"), tmp_path / name, tmp_path / "elsewhere" / "file"
    target.parent.mkdir()
    target.touch()
    link.symlink_to("elsewhere/file")
    cutline(path, *options)
    assert link.is_symlink()
    assert SAYS["red"] in target.read_text()
    cutline(path, *options, "--prefix", "Again: ")
    assert link.is_symlink()
    assert "Again: " in target.read_text()
    assert not list(target.parent.glob(".cutline*"))


def test_an_xmp_file_in_capitals_is_written_into(cutline: Cutline, tmp_path: Path) -> None:
    path, beside = photo(tmp_path / "a.jpg"), tmp_path / "a.JPG.Xmp"
    beside.write_text(DARKTABLE)
    cutline(path, "--xmp", "darktable")
    assert xmp_description(beside) == SAYS["red"]
    assert not (tmp_path / "a.jpg.xmp").exists()


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_a_photo_with_iptc_in_latin_1_is_described_and_its_text_becomes_utf_8(
    cutline: Cutline, tmp_path: Path, options: list[str]
) -> None:
    path = tmp_path / "a.jpg"
    photo(path)
    block = b"\x1c\1\x05\0\1\xfc\x1c\2\x5a\0\7M\xfcnchen\x1c\xf0\1\0\1\xfc"  # the last is of no standard
    resources = b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0" + bytes((len(block),)) + block
    data = path.read_bytes()
    segment = b"\xff\xed" + (2 + len(resources)).to_bytes(2, "big") + resources
    path.write_bytes(data[:2] + segment + data[2:])
    cutline(path, "--write-metadata", *options)
    assert description(path) == (SAYS["red"], SAYS["red"])
    with exiv2.Image(str(path)) as image:
        assert image.read_iptc("latin-1")["Iptc.Application2.City"].encode("latin-1").decode() == "München"


def test_what_else_a_file_has_stays_or_is_told(
    cutline: Cutline, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, other = tmp_path / "a.jpg", tmp_path / "backup.jpg"
    photo(path)
    before = path.read_bytes()
    path.chmod(0o604)
    with contextlib.suppress(OSError):  # not every file system has them
        os.setxattr(path, "user.rating", b"5")
    attributes = os.listxattr(path)
    cutline(path, "--write-metadata")
    assert not caplog.records
    assert (path.stat().st_mode & 0o777, os.listxattr(path)) == (0o604, attributes)
    path.write_bytes(before)
    os.link(path, other)
    cutline(path, "--write-metadata")
    assert other.read_bytes() == before
    assert "its 1 other name(s) (hard links) keep the old content" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of somebody else's")
def test_an_owner_that_cannot_be_kept_is_told(
    cutline: Cutline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jpg"
    photo(path)
    os.chown(path, 65534, 65534)
    cutline(path, "--write-metadata")
    assert (path.stat().st_uid, path.stat().st_gid, caplog.text) == (65534, 65534, "")

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "chown", refused)
    cutline(path, "--write-metadata", "--prefix", "Again: ")
    assert description(path)[0] == "Again: " + SAYS["red"]
    assert "could not keep its owner" in caplog.text


def test_an_original_survives_a_folder_that_takes_no_copy(cutline: Cutline, tmp_path: Path) -> None:
    path = tmp_path / "locked" / "a.jpg"
    photo(path)
    before = path.read_bytes()
    path.parent.chmod(0o555)
    with unprivileged(tmp_path):
        assert len(cutline(path, "--write-metadata", code=1)) == 1
    assert path.read_bytes() == before


@pytest.mark.slow
def test_killed_at_any_moment_every_original_is_whole(tmp_path: Path) -> None:
    photos = [Path(photo(tmp_path / "in" / f"{n:03}.jpg", "blue")) for n in range(80)]
    chance = random.Random(8)
    for _ in range(5):
        with started("--write-metadata", "--batch-size", "1", tmp_path / "in", slow_s=0.0) as running:
            assert running.stdout is not None
            running.stdout.readline()
            time.sleep(chance.uniform(0, 0.15))
            running.send_signal(signal.SIGKILL)
            running.wait(ANSWERS_S)
        assert sorted(tmp_path.glob("in/[!.]*")) == photos
        assert {description(path)[0] for path in photos} <= {"", SAYS["blue"]}
        for path in photos:
            with Image.open(path) as image:
                image.load()


@pytest.mark.parametrize("options", [["--write-metadata"], ["--sidecar"], ["--output", "in/out.jsonl"]])
def test_what_a_killed_run_left_is_swept_away_and_what_another_run_writes_is_not(
    cutline: Cutline, tmp_path: Path, options: list[str]
) -> None:
    photo(tmp_path / "in" / "a.jpg")
    left, written = (tmp_path / "in" / f".cutline-tmp-{name}.jpg" for name in ("left", "written"))
    for path in (left, written):
        path.write_bytes(b"half")
        os.utime(path, (0, 0))
    with written.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        cutline(tmp_path / "in" / "a.jpg", *options)
    assert not left.exists()
    assert written.exists()


def test_without_the_extra_metadata_the_error_says_what_to_install(
    cutline: Cutline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyexiv2", None)
    cutline(photo(tmp_path / "a.jpg"), "--write-metadata", code=1)
    assert "pip install 'cutline[metadata]'" in cutline.err


# Alternative text


def test_prefix_and_suffix_frame_the_caption_everywhere(cutline: Cutline, tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    cutline(path, "--prefix", "<< ", "--suffix", " >>", "--sidecar", "--output", "out.jsonl")
    text = f"<< {SAYS['red']} >>"
    assert json_lines(tmp_path / "out.jsonl")[0]["captions"][0]["text"] == text
    assert (tmp_path / "a.txt").read_text() == text + "\n"


def test_max_chars_counts_prefix_and_suffix(cutline: Cutline, tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    (line,) = cutline(path, "--max-chars", 20, "--prefix", "Alt: ")
    assert line.split("\t")[1] == "Alt: A red photo."


LONG = [
    "A man in a red shirt is riding a wave on a surfboard in the ocean.",
    "A group of people are standing in front of a large building with a clock on it.",
    "Two dogs are running through the grass with a ball, and a child watches.",
    "A plate of food with broccoli and meat on a wooden table next to a glass of wine.",
    "A young boy wearing a blue shirt and a helmet is riding a bicycle down a dirt path.",
    "a cat sitting on top of a wooden table next to a laptop computer",
]


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        (LONG[0], 30, "A man in a red shirt."),
        (LONG[0], 40, "A man in a red shirt is riding a wave."),
        (LONG[1], 60, "A group of people are standing in front of a large building."),
        (LONG[2], 52, "Two dogs are running through the grass with a ball."),
        (LONG[3], 33, "A plate of food with broccoli."),
        (LONG[5], 44, "a cat sitting on top of a wooden table"),
        ("A large brown dog runs through the grass.", 10, "A dog."),
        ("A large brown dog runs through the grass.", 20, "A dog runs."),
        ("A white and black dog is running.", 10, "A dog."),
        ("Young children play in the sand.", 12, "Children."),
        (LONG[1], 16, "A group."),
        ("Short enough.", 13, "Short enough."),
        ("Donaudampfschifffahrtsgesellschaft", 12, "Donaudampfsc"),
    ],
)
def test_alternative_text_is_cut_where_a_phrase_ends(text: str, most: int, short: str) -> None:
    assert shorten(text, most) == short


@pytest.mark.parametrize("text", LONG)
def test_alternative_text_fits_and_never_dangles(text: str) -> None:
    for most in range(25, len(text) + 2):
        short = shorten(text, most)
        words = short.rstrip(".").split()
        assert len(short) <= most
        assert text.rstrip(".").split()[: len(words)] == [word.rstrip(",") for word in words] or "," in text
        assert words[-1] not in {
            "a",
            "the",
            "with",
            "of",
            "in",
            "on",
            "and",
            "is",
            "are",
            "red",
            "next",
            "to",
        }
        assert short.endswith(".") == text.endswith(".")
        assert shorten(short, most) == short


def test_a_length_that_fits_nothing_is_refused() -> None:
    with pytest.raises(OptionError):
        shorten(LONG[0], 9)


# Attention


def test_attention_draws_the_photo_once_a_word(cutline: Cutline, tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg", "blue")
    cutline(path, "--attention", "out.png")
    with Image.open(tmp_path / "out.png", formats=["PNG"]) as picture:
        picture.load()
    # Five words or more stand in rows of three; the fixed heat grows towards the lower right of each tile.
    assert picture.width == 3 * (240 + 12) + 12
    tile = np.asarray(picture.convert("L"), float)[-202:-42, 12:252]
    assert tile[130:, 200:].mean() > tile[:30, :40].mean() + 30


def test_attention_for_several_photos_goes_to_a_folder(cutline: Cutline, tmp_path: Path) -> None:
    for name in ("x/a.jpg", "y/a.jpg", "y/b.jpg"):
        photo(tmp_path / "in" / name)
    cutline("in", "--attention", "looks")
    assert sorted(p.name for p in (tmp_path / "looks").iterdir()) == ["a-2.png", "a.png", "b.png"]


def test_pictures_of_attention_are_not_taken_for_photos(cutline: Cutline, tmp_path: Path) -> None:
    for n in range(5):
        photo(tmp_path / f"{n}.jpg")
    for _ in range(2):
        assert len(cutline(".", "--attention", "looks", "--batch-size", 1)) == 5
    (tmp_path / "one").mkdir()
    photo(tmp_path / "one" / "a.jpg")
    for _ in range(2):
        assert len(cutline("one", "--attention", "one/out.png")) == 1


def test_attention_that_a_captioner_does_not_give_is_a_clear_error(cutline: Cutline, tmp_path: Path) -> None:
    cutline.captioner = FixedCaptioner(attentive=False)
    cutline(photo(tmp_path / "a.jpg"), "--attention", "out.png", code=2)
    assert "has no attention maps" in cutline.err


# As a process


@pytest.mark.slow
@pytest.mark.parametrize("size", [(24, 100), (0, 0)])
def test_a_progress_bar_shows_on_a_terminal_only(tmp_path: Path, size: tuple[int, int]) -> None:
    """Also on one that does not know its size, as recorders and containers open them."""
    for n in range(30):
        photo(tmp_path / "in" / f"{n:02}.jpg")
    environment = os.environ | {"FIXED_SLOW_S": "0.08"}
    command = [sys.executable, FIXED, "caption", str(tmp_path / "in"), "--batch-size", "2"]
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, size)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=terminal) as running:
        os.close(terminal)
        shown = b""
        try:
            while block := os.read(controller, 4096):
                shown += block
        except OSError:  # the terminal's other end is closed
            pass
        assert running.stdout is not None
        assert len(running.stdout.read().splitlines()) == 30
    os.close(controller)
    assert b"/30 [" in shown
    assert b"photo/s" in shown or b"s/photo" in shown
    quiet = subprocess.run(command, capture_output=True, check=True)
    assert quiet.stderr.decode().splitlines() == ["cutline: 30 captioned"]


HOSTILE: dict[str, bytes | str] = {
    "empty.jpg": b"",
    "letter.jpg": b"Dear aunt,\n",
    "page.png": b"<!doctype html><title>404</title>",
    "cut.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "paper.jpg": b"%PDF-1.7",
    "bomb.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\10\2\0\0\0\xd7\xbd\x1b\x9e",
    "loop.jpg": "loop.jpg",
    "dangling.jpg": "nowhere.jpg",
    "folder.jpg": "..",
}


def test_hostile_photos_get_one_error_each_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    good = [photo(folder / name) for name in ("a.jpg", "z.jpg")]
    for name, content in HOSTILE.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            (folder / name).symlink_to(content)
    os.mkfifo(folder / "pipe.jpg")
    done = process(folder, "--json")
    lines = {line["file"]: line for line in map(json.loads, done.stdout.splitlines())}
    bad = {str(folder / name) for name in [*HOSTILE, "pipe.jpg"]} - {str(folder / "folder.jpg")}
    assert {file for file, line in lines.items() if "error" in line} == bad
    assert {file for file, line in lines.items() if "captions" in line} >= set(good)
    assert done.returncode == 1
    *messages, summary = done.stderr.decode().splitlines()
    assert summary.endswith(f"{len(bad)} failed")
    assert len(messages) == len(bad)


def test_a_full_disk_behind_standard_output_is_one_clear_error(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, FIXED, "caption", photo(tmp_path / "a.jpg")]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"cutline: Standard output cannot be written (No space left on device)")


def test_a_reader_that_leaves_early_is_no_drama(tmp_path: Path) -> None:
    for n in range(50):
        photo(tmp_path / "in" / f"{n:02}.jpg")
    command = f"{sys.executable} {FIXED} caption {tmp_path}/in --batch-size 1 | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True)
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""


def test_help_has_examples_and_costs_next_to_nothing() -> None:
    code = (
        "import sys; from cutline.cli.main import main; main(['--help']); "
        "heavy = {'numpy', 'PIL', 'onnxruntime', 'torch', 'tqdm', 'cutline.cli.caption'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
    assert "cutline caption photo.jpg" in done.stdout
    assert "evaluate" in done.stdout
    help_text = process("--help").stdout.decode()
    assert "cutline caption holiday/" in help_text
    assert "--max-chars" in help_text


def test_a_command_whose_extra_is_missing_says_what_to_install() -> None:
    assert "pip install 'cutline[train]'" in str(missing_extra(ModuleNotFoundError(name="torch.nn")))
    bug = ModuleNotFoundError(name="no_such_thing")
    with pytest.raises(ModuleNotFoundError):
        missing_extra(bug)


def test_an_unknown_command_is_a_usage_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["captoin"]) == 2
    assert "No such command" in capfd.readouterr().err


def test_a_photo_that_lacks_its_end_is_captioned_unless_strict(cutline: Cutline, tmp_path: Path) -> None:
    path = Path(photo(tmp_path / "cut.jpg"))
    path.write_bytes(path.read_bytes()[:-2])
    assert len(cutline(path)) == 1
    assert cutline("--strict", path, code=1) == []
    assert "cut short: its end mark is missing" in cutline.err


def test_a_photo_that_lacks_its_end_is_said_so_once(
    cutline: Cutline, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(photo(tmp_path / "cut.jpg"))
    path.write_bytes(path.read_bytes()[:-2])
    cutline(path, "--write-metadata")
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} lacks its end mark; all of its rows are there."
    ]
    assert SAYS["red"].encode() in path.read_bytes()


def test_a_logged_warning_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    name_the_command_in_warnings()
    assert logging.lastResort is not None
    logging.lastResort.handle(logging.makeLogRecord({"msg": "cut.jpg is cut short."}))
    assert capsys.readouterr().err == "cutline: cut.jpg is cut short.\n"
