"""`cutline restyle`: descriptions in, captions in a voice out, by a language model behind a real server."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cutline.caption_files import read_caption_lines
from cutline.cli import _voice
from cutline.cli.main import main
from cutline.styles import Audience, Length, built_in, presets
from tests.chat_server import Answer, ChatServer, chat_server, in_words
from tests.styles.injections import ATTEMPTS, is_harmless, obeys

DOG = "A dog runs along the beach."
CAT = "A cat sits on a chair."


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    with chat_server() as running:
        running.answer = writes
        monkeypatch.setenv("CUTLINE_RESTYLER", f"openai:{running.url}#writer")
        yield running


def writes(_count: int, request: dict[str, Any]) -> Answer:
    """Say the description again with something before it, and a number of the seed that makes it another."""
    given = json.loads(request["messages"][1]["content"])
    leads = ("Look at this, would you?", "Well, well, look at that.", "Here is something to see.")
    tags = " #GoodDay" if "exactly" in request["messages"][0]["content"] else ""
    return in_words(f"{leads[request['seed'] // 1000 % 3]} {given['description']}{tags}")


@pytest.fixture
def descriptions(tmp_path: Path) -> Path:
    path = tmp_path / "descriptions.txt"
    path.write_text(f"{DOG}\n\n{CAT}\n")
    return path


def test_lines_come_out_as_lines(
    server: ChatServer, descriptions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["restyle", str(descriptions), "--tone", "wry"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"Look at this, would you? {DOG}",
        "",
        f"Look at this, would you? {CAT}",
    ]
    assert "3 restyled" in printed.err
    assert json.loads(server.requests[0]["messages"][1]["content"])["tone"] == "wry"


def test_json_keeps_the_description_and_says_who_wrote(
    server: ChatServer, descriptions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--preset", "instagram", "--no-emoji", "--hashtags", "1", "-n", "2", "--json"]
    assert main(["restyle", str(descriptions), *arguments]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["description"] == DOG
    assert first["voice"] == {"tone": "quirky and upbeat", "hashtags": 1}
    assert len({styled["text"] for styled in first["styled"]}) == 2
    assert first["styled"][0]["hashtags"] == ["#GoodDay"]
    assert first["styled"][0]["model"] == "writer@remote"


def test_captions_as_the_caption_command_writes_them(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"file": "a.jpg", "model": "base@1", "captions": [{"text": DOG}, {"text": "A dog with a ball."}]},
        {"file": "b.jpg", "error": {"code": "image_unreadable", "message": "damaged"}},
    ]
    source = tmp_path / "captions.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["restyle", str(source), "--tone", "wry"]) == 1
    good, bad = map(json.loads, capsys.readouterr().out.splitlines())
    assert {"file", "model", "captions", "voice", "styled"} == good.keys()
    assert json.loads(server.requests[0]["messages"][1]["content"])["also"] == ["A dog with a ball."]
    assert bad["error"]["code"] == "data_invalid"


def test_an_output_is_continued_where_it_was_torn(
    server: ChatServer, descriptions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["restyle", str(descriptions), "--tone", "wry", "--json", "-o", str(tmp_path / "out.jsonl")]
    assert main(arguments) == 0
    whole = (tmp_path / "out.jsonl").read_bytes()
    (tmp_path / "out.jsonl").write_bytes(whole[: whole.index(b"\n") + 9])
    asked = len(server.requests)
    assert main(arguments) == 0
    assert (tmp_path / "out.jsonl").read_bytes() == whole
    assert len(server.requests) == asked + 1
    assert "2 skipped (done before)" in capsys.readouterr().err
    assert main(arguments) == 0
    assert (tmp_path / "out.jsonl").read_bytes() == whole


def test_a_model_that_dies_leaves_what_was_done(
    server: ChatServer, descriptions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"

    def dies(count: int, request: dict[str, Any]) -> Answer:
        return writes(count, request) if count == 1 else (404, {}, b"{}")

    server.answer = dies
    assert main(["restyle", str(descriptions), "--tone", "wry", "--json", "-o", str(out)]) == 1
    first, blank = out.read_text().splitlines()
    assert (json.loads(first)["description"], blank) == (DOG, "")
    assert f"2 lines are in {out}" in capsys.readouterr().err


def test_what_is_refused_is_said(
    server: ChatServer, descriptions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda _count, _request: in_words("An elephant eats the piano, note by note.")
    assert main(["restyle", str(descriptions), "--tone", "wry"]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [DOG, "", CAT]
    assert "line 1: refused" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "In which voice?"),
        (["--preset", "none"], "no preset"),
        (["--tone", "x" * 201], "201 characters"),
        (["--tone", "dry", "--hashtags", "11"], "0 to 10"),
    ],
)
def test_a_voice_that_makes_no_sense_is_wrong_usage(
    server: ChatServer, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["restyle", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not server.requests


def test_a_file_that_is_not_there_or_not_utf_8_is_told(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["restyle", str(tmp_path / "none.txt"), "--tone", "dry"]) == 1
    (tmp_path / "latin.txt").write_bytes(b"A caf\xe9.\n")
    assert main(["restyle", str(tmp_path / "latin.txt"), "--tone", "dry"]) == 1
    told = capsys.readouterr().err
    assert "none.txt cannot be read" in told
    assert "Line 1 of" in told


def test_without_a_language_model_the_command_says_how_to_name_one(
    descriptions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CUTLINE_RESTYLER", raising=False)
    monkeypatch.setattr(built_in, "folder", lambda: tmp_path)
    assert main(["restyle", str(descriptions), "--tone", "dry"]) == 1
    assert "openai:BASE_URL#MODEL" in capsys.readouterr().err


def test_the_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restyle", "--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in presets())


def test_the_choices_of_the_help_are_those_of_a_voice() -> None:
    assert tuple(Audience) == _voice.AUDIENCES
    assert tuple(Length) == _voice.LENGTHS


def test_an_instruction_in_what_is_typed_changes_nothing_but_words(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = obeys()
    source = tmp_path / "in.jsonl"
    for attempt in ATTEMPTS[::4]:
        source.write_text(json.dumps({"description": attempt.description}) + "\n")
        main(["restyle", str(source), "--quiet", "--tone", attempt.tone, "--hashtags", "1"])
        [styled] = json.loads(capsys.readouterr().out)["styled"]
        assert "refused" in styled or is_harmless(styled["text"], attempt), attempt


# -- cutline caption, in a voice -----------------------------------------------------------------------------

PHOTO = str(Path(__file__).parents[2] / "examples" / "cat.jpg")


def test_photos_are_captioned_in_a_voice(server: ChatServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["caption", PHOTO, "--tone", "wry", "--prefix", "New:", "-n", "2"]) == 0
    [first, second] = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{PHOTO}\tNew: Look at this, would you?")
    assert first != second
    given = json.loads(server.requests[0]["messages"][1]["content"])
    assert (given["tone"], first.endswith(given["description"])) == ("wry", True)


def test_the_description_is_kept_beside_the_caption_in_a_voice(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["caption", PHOTO, "--tone", "wry", "--hashtags", "1", "-o", str(tmp_path / "out.jsonl")]
    assert main(arguments) == 0
    [line] = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert line["voice"] == {"tone": "wry", "hashtags": 1}
    [styled], [caption] = line["styled"], line["captions"]
    assert styled["text"] == f"Look at this, would you? {caption['text']} #GoodDay"
    assert main(arguments) == 0
    assert "1 skipped" in capsys.readouterr().err


def test_captions_in_a_voice_have_columns_of_their_own(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    arguments = ["caption", PHOTO, "--tone", "wry", "-n", "2", "-o", str(out), "--skip-by", "content"]
    server.answer = lambda count, request: in_words("A lie.") if count > 1 else writes(count, request)
    assert main(arguments) == 1
    with out.open(newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["styled"], row["styled_2"]) == (f"Look at this, would you? {row['caption']}", "")
    assert (row["styled_model"], row["styled_error"]) == ("writer@remote", "caption_refused")
    assert "caption_2" not in row

    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(PHOTO, photos / "copy.jpg")
    shutil.copy(PHOTO.replace("cat", "coffee"), photos)
    server.answer = writes
    capsys.readouterr()
    assert main([*arguments, str(photos)]) == 0
    assert "1 captioned, 2 skipped" in capsys.readouterr().err
    with out.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first == row
    assert second["styled"].endswith(second["caption"])
    assert second["styled_2"] not in ("", second["styled"])
    assert [line.captions[0].text for _, line in read_caption_lines(out)] == [
        first["caption"],
        second["caption"],
    ]


def test_a_table_goes_on_in_its_own_columns(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("file,model,caption,log_prob,error_code,error_message\n")
    assert main(["caption", PHOTO, "--tone", "wry", "-o", str(out)]) == 1
    assert "so must a voice or none" in capsys.readouterr().err
    assert not server.requests
