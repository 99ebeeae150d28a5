"""Data sets from feedback: what is learned from, how much, and what is left out and why."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.learning import bad
from cutline.cli.main import main
from cutline.errors import DataError
from cutline.learning.config import DataSettings
from cutline.learning.dataset import (
    DataSet,
    build,
    forget,
    forgotten_of,
    latest,
    lines_of,
    named_in,
    photo_of,
    read,
    rows_of,
)
from cutline.learning.feedback import read_export, read_photos
from cutline.learning.texts import Fault, fault_of
from cutline.training.examples import DataConfig
from tests.learning.exports import WORDS, Edit, edits, sentence, write_export, write_photo

SETTINGS = DataSettings(fewest_captions=20)


def known(word: str) -> bool:
    return word in WORDS


def made(tmp_path: Path, said: list[Edit], name: str = "export", before: DataSet | None = None) -> DataSet:
    export = write_export(tmp_path / name, said)
    return build(read_export(export), tmp_path, SETTINGS, known=known, before=before)


def report_of(data: DataSet) -> dict[str, dict[str, dict[str, int]]]:
    found: dict[str, dict[str, dict[str, int]]] = json.loads((data.folder / "report.json").read_text())
    return found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", Fault.EMPTY),
        ("  ... ", Fault.EMPTY),
        ("a dog", Fault.TOO_SHORT),
        ("a dog runs " * 20, Fault.REPETITIVE),
        (" ".join(f"the {word} runs" for word in sorted(WORDS)[:20]), Fault.TOO_LONG),
        ("A DOG RUNS ON THE GRASS", Fault.CAPITALS),
        ("ein Hund läuft auf der Wiese", Fault.LANGUAGE),
        ("собака бежит по траве", Fault.LANGUAGE),
        ("asdf qwer zxcv uiop hjkl", Fault.LANGUAGE),
        ("dog, cat, boat, tree, ball", Fault.NO_SENTENCE),
        ("5 7 a 9 3 8", Fault.NO_SENTENCE),
        ("a dog dog dog runs on the grass", Fault.REPETITIVE),
        ("a dog runs, buy now at www.dogs.example", Fault.SPAM),
        ("a dog runs, call +49 30 1234567", Fault.SPAM),
        ("an ugly stupid man sits on the grass", Fault.OFFENSIVE),
        ("The image shows a dog on the grass", Fault.MACHINE),
        ("As an AI, I see a dog on the grass", Fault.MACHINE),
        ("a dog and Xavierus sits on the grass", Fault.NAME),
        ("A small dog runs on the grass.", None),
        ("Two horses, one red and one big, stay by the water", None),
    ],
)
def test_a_text_that_is_no_caption_is_told_from_one_that_is(text: str, fault: Fault | None) -> None:
    assert fault_of(text, lambda word: known(word) or word in ("horses", "one", "and")) == fault


def test_the_same_feedback_gives_the_same_data_set_and_other_feedback_another(tmp_path: Path) -> None:
    first = made(tmp_path, edits(), "one")
    assert made(tmp_path, edits(), "two") == first == read(first.folder)
    assert first.problems == ()
    assert first.counts["captions"] == 150
    other = made(tmp_path, [*edits(), Edit(owner="v31", text=sentence(200), look=200)], "three", first)
    assert other.hash != first.hash
    assert json.loads((other.folder / "data.json").read_text())["before"] == first.hash


def test_each_photo_stays_in_its_split_and_copies_of_it_are_there_too(tmp_path: Path) -> None:
    said = edits()
    copies = [replace(edit, owner="v40", text=sentence(300 + place)) for place, edit in enumerate(said[:7])]
    first, second = made(tmp_path, said), made(tmp_path, [*said, *copies], "more")
    splits = {row.image: row.split for row in rows_of(first)}
    assert set(splits.values()) == {"train", "judged", "held"}
    groups = {(row.group, row.split) for row in rows_of(second)}
    assert len(groups) == len({group for group, _ in groups}) == 150
    assert all(splits[row.image] == row.split for row in rows_of(second) if row.image in splits)


def test_a_photo_that_is_held_back_stays_so_whatever_looks_like_it_later(tmp_path: Path) -> None:
    """A group is named for the smallest hash of its photos, which a new one may have."""
    first = made(tmp_path, edits())
    was = {row.group: row.split for row in rows_of(first)}
    later = [
        replace(edit, owner="v40", text=sentence(300 + place)) for place, edit in enumerate(edits()[:12])
    ]
    export = write_export(tmp_path / "more", [*edits(), *later])
    for number in range(150, 162):  # the same to look at, other bytes
        path = export / "images" / f"{number:04}.png"
        path.write_bytes(path.read_bytes() + bytes([number]))
    second = build(read_export(export), tmp_path, SETTINGS, known=known, before=first)
    splits = {row.image: row.split for row in rows_of(first)}
    assert {row.group for row in rows_of(second)} - was.keys(), "some groups have another name"
    assert all(splits[row.image] == row.split for row in rows_of(second) if row.image in splits)
    groups = {(row.group, row.split) for row in rows_of(second)}
    assert len(groups) == len({group for group, _ in groups})


def test_nobody_gives_more_than_a_twentieth_in_number_or_weight(tmp_path: Path) -> None:
    eager = [Edit(owner="v1", text=sentence(200 + number), look=200 + number) for number in range(40)]
    elsewhere = [
        Edit(owner=f"v{number % 30 + 1}", author="v99", text=sentence(300 + number), look=300 + number)
        for number in range(40)
    ]
    data = made(tmp_path, [*edits(), *eager, *elsewhere])
    rows = rows_of(data)
    owners, weights = Counter(row.owner for row in rows), Counter[str]()
    for row in rows:
        weights[row.owner] += row.weight  # type: ignore[assignment]
    assert max(owners.values()) <= 0.05 * len(rows)
    assert max(weights.values()) <= 0.0501 * sum(weights.values())
    theirs = {sentence(300 + number) for number in range(40)}
    assert 0 < len([row for row in rows if row.text in theirs]) <= 0.05 * len(rows)
    assert report_of(data)["left_out"]["more than one owner's or author's share"]["count"] > 60


def test_who_agrees_with_others_counts_more_than_who_does_not(tmp_path: Path) -> None:
    said = edits(30, 4)
    agreeing = [
        replace(said[place], owner="v50", text=said[place].text + " by a house") for place in range(4)
    ]
    apart = [replace(said[place], owner="v51", text="two big trees under a boat") for place in range(4)]
    rows = rows_of(made(tmp_path, [*said, *agreeing, *apart[:1]]))
    weights = {row.owner: row.weight for row in rows}
    assert weights["v50"] > 1.5 * weights["v51"]


def test_poison_is_left_out_and_much_of_it_makes_the_whole_unusable(tmp_path: Path) -> None:
    said = edits()
    said[3] = replace(said[3], text="a stupid dog runs on the grass")
    said[4] = replace(said[4], text=said[4].machine)
    said[5] = replace(said[5], text=said[6].text, look=said[6].look, owner=said[6].owner)
    data = made(tmp_path, said)
    assert data.problems == ()
    left_out = {reason: found["count"] for reason, found in report_of(data)["left_out"].items()}
    assert left_out == {
        "offensive": 1,
        "copied from what a model wrote": 1,
        "the same caption of the same photo twice": 1,
    }
    shouted = [replace(edit, text=edit.text.upper()) if edit.look % 10 == 0 else edit for edit in edits()]
    assert any("poison" in problem for problem in made(tmp_path, shouted, "shouted").problems)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda edit: replace(edit, text="a dog runs on the grass"), "the same caption"),
        (lambda edit: replace(edit, text=""), "poison"),
        (lambda edit: replace(edit, author="v1"), "one author"),
        (lambda edit: replace(edit, owner=f"v{edit.look % 10}"), "can be learned from"),
        (
            lambda edit: replace(
                edit, ratings=((edit.text, -1, "v3"), ("two big boats", 1, "v4"), (edit.machine, 1, "v5"))
            ),
            "rated",
        ),
    ],
)
def test_what_is_wrong_with_the_whole_is_said(tmp_path: Path, change: object, problem: str) -> None:
    data = made(tmp_path, [change(edit) for edit in edits()])  # type: ignore[operator]
    assert any(problem in each for each in data.problems)


@pytest.mark.parametrize("kind", [kind for kind in bad.KINDS if kind != "shuffled captions"])
def test_bad_feedback_is_refused_without_a_training(tmp_path: Path, kind: str) -> None:
    """But for captions of other photos, which the model must look at."""
    made = bad.read(write_export(tmp_path / "good", edits(20, 3)))
    bad.KINDS[kind](made, random.Random(1))
    feedback = read_export(bad.write(made, tmp_path / "bad"))
    assert build(feedback, tmp_path, SETTINGS, known=known).problems


def test_ratings_as_people_give_them_are_no_problem_and_flipped_ones_are(tmp_path: Path) -> None:
    """Only what models wrote is rated: down before it is replaced, up where it stays."""

    def rated(value: int) -> list[Edit]:
        said = [replace(edit, ratings=((edit.machine, value, "v7"),)) for edit in edits()]
        return [replace(edit, ratings=()) if edit.look % 3 == 0 else edit for edit in said]

    assert made(tmp_path, rated(-1), "good").problems == ()
    [problem] = made(tmp_path, rated(1), "flipped").problems
    assert "that people replaced were rated up" in problem


def test_ratings_are_averaged_and_preferences_name_nobody(tmp_path: Path) -> None:
    ratings = (
        ("a man stands in a room", -1, "v7"),
        ("a man stands in a room", 1, "v8"),
        ("a tree", -1, "v9"),
    )
    said = [replace(edit, ratings=ratings) if edit.look == 0 else edit for edit in edits()]
    data = made(tmp_path, said)
    rated = {row["text"]: row["reward"] for row in lines_of(data, "ratings.jsonl")}
    assert rated == {"a man stands in a room": 0.0, "a tree": -1.0}
    pairs = lines_of(data, "preferences.jsonl")
    assert len(pairs) == 150
    assert {pair["by"] for pair in pairs} == {""}


def test_a_photo_that_is_withdrawn_is_named_and_can_be_forgotten(tmp_path: Path) -> None:
    before = made(tmp_path, edits())
    write_export(tmp_path / "all", edits())
    image = rows_of(before)[0].image
    export = tmp_path / "export"
    kept = [row for row in (export / "captions.jsonl").read_text().splitlines() if image not in row]
    (export / "captions.jsonl").write_text("\n".join(kept) + "\n")
    after = build(read_export(export), tmp_path, SETTINGS, known=known, before=before)
    assert after.withdrawn == (image,)
    assert not photo_of(after, image).exists()
    forget(before, after.withdrawn)
    assert not list(before.folder.rglob(Path(image).name))
    assert image not in (before.folder / "captions.jsonl").read_text()
    again = build(read_export(tmp_path / "all"), tmp_path, SETTINGS, known=known, before=after)
    assert again.hash == before.hash, "the owner consents again"
    assert photo_of(again, image).exists()
    assert again.counts["captions"] == len(rows_of(again)) == 150


def test_words_that_were_left_out_are_forgotten_with_their_photo(tmp_path: Path) -> None:
    said = edits()
    said[3] = replace(said[3], text="a dog and Xavierus sits on the grass")
    data = made(tmp_path, said)
    assert "Xavierus" in (data.folder / "report.json").read_text()
    assert (data.folder.stat().st_mode & 0o077) == 0
    assert named_in(data) == {f"images/{number:04}.png" for number in range(150)}
    forget(data, ["images/0003.png"])
    forget(data, ["images/0004.png"])
    assert not any("Xavierus" in path.read_text() for path in data.folder.rglob("*.json*"))
    assert forgotten_of(data.folder) == {"images/0003.png", "images/0004.png"}


def test_other_tools_find_photos_and_captions(tmp_path: Path) -> None:
    data = made(tmp_path, edits())
    found = {}
    for path in (data.folder / "huggingface").glob("*/metadata.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            assert (path.parent / row["file_name"]).exists()
            found[row["file_name"]] = row["captions"]
    assert found == {Path(row.image).name: [row.text] for row in rows_of(data)}


def test_ones_own_photos_are_a_data_set_without_shares(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(30):
        write_photo(folder / f"{number}.png", number)
        (folder / f"{number}.txt").write_text(sentence(number))
    data = build(read_photos(DataConfig(path=str(folder))), tmp_path, SETTINGS, known=known)
    assert data.problems == ()
    assert {row.text for row in rows_of(data)} == {sentence(number) for number in range(30)}


def test_what_is_no_data_set_or_export_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        read(tmp_path)
    with pytest.raises(DataError):
        read_export(tmp_path)


def test_the_command_makes_a_data_set_and_what_dvc_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export, folder, config = (str(tmp_path / name) for name in ("export", "learning", "learn.yaml"))
    write_export(Path(export), edits(20, 1))
    Path(config).write_text("data: {fewest_captions: 20}")
    assert main(["learn", "data", export, folder, "--config", config, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"]["captions"] == 20
    assert latest(Path(folder)) == read(Path(found["folder"]))
    stage = json.loads((Path(folder) / "dvc.yaml").read_text())["stages"]["data"]
    assert stage["deps"] == ["../export", "../learn.yaml"]
    assert (Path(folder) / next(iter(stage["outs"][0]))).exists()
    assert main(["learn", "data", export, folder]) == 1
    assert "fewer than 100" in capsys.readouterr().out


def test_the_command_knows_the_words_of_a_model_in_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUTLINE_REGISTRY_CACHE", str(tmp_path / "cache"))
    model = f"registry:{tmp_path / 'models'}#0"
    export, folder = (str(tmp_path / name) for name in ("export", "learning"))
    write_export(Path(export), edits(20, 1))
    assert main(["learn", "data", export, folder, "--model", model]) == 1
    assert "20 captions of 20 photos" in capsys.readouterr().out
    assert model in (Path(folder) / "dvc.yaml").read_text()
