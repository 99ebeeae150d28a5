"""`cutline data check` finds what is wrong, and nothing in a sound data set."""

from __future__ import annotations

import io
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageEnhance
from tiny_data import coco_captions, flickr8k, photo, photo_bytes, write_json, write_photos

from cutline.cli import data as data_command
from cutline.cli.main import main
from cutline.training import data_check
from cutline.training.data_check import CheckOptions, CheckReport, check
from cutline.training.duplicates import difference_hash, fingerprint, near_groups
from cutline.training.examples import KINDS, DataConfig
from cutline.training.text import LANGUAGES, TextConfig

RELAXED = CheckOptions(fewest_train_captions=1)


def checked(path: Path, *, options: CheckOptions = RELAXED, **config: Any) -> CheckReport:
    return check(DataConfig(path=str(path), **config), options=options)


def codes(report: CheckReport) -> dict[str, str]:
    return {finding.code: finding.severity for finding in report.findings}


def places(report: CheckReport, code: str) -> tuple[str, ...]:
    (finding,) = (finding for finding in report.findings if finding.code == code)
    return finding.places


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return flickr8k(tmp_path, {"train": ["a.jpg", "b.jpg"], "dev": ["c.jpg"], "test": ["d.jpg"]})


def photos(root: Path) -> Path:
    return root / "Flicker8k_Dataset"


def edit_captions(root: Path, *lines: str, encoding: str = "utf-8") -> None:
    path = root / "Flickr8k_text" / "Flickr8k.token.txt"
    path.write_bytes(path.read_bytes() + "".join(f"{line}\n" for line in lines).encode(encoding))


def test_a_sound_data_set_passes(sound: Path) -> None:
    report = checked(sound)
    assert report.findings == ()
    assert report.errors == 0
    assert report.splits == {
        "train": {"photos": 2, "captions": 4},
        "dev": {"photos": 1, "captions": 2},
        "test": {"photos": 1, "captions": 2},
    }
    assert report.as_text().endswith("No problems were found.")


def test_missing_and_unreadable_photos_are_errors(sound: Path) -> None:
    (photos(sound) / "a.jpg").unlink()
    (photos(sound) / "b.jpg").write_bytes(b"not a photo")
    (photos(sound) / "c.jpg").write_bytes(photo_bytes(3)[:400])
    report = checked(sound)
    assert codes(report) == {"image_missing": "error", "image_unreadable": "error"}
    assert places(report, "image_missing")[0].startswith("a.jpg: expected at ")
    assert [place.split(":")[0] for place in places(report, "image_unreadable")] == ["b.jpg", "c.jpg"]
    assert report.errors == 3


def test_a_quick_check_opens_no_photo(sound: Path) -> None:
    (photos(sound) / "b.jpg").write_bytes(b"not a photo")
    assert checked(sound, options=CheckOptions(fewest_train_captions=1, open_images=False)).findings == ()


def test_captions_that_are_empty_long_garbled_or_marked_up(sound: Path) -> None:
    edit_captions(
        sound,
        "a.jpg#2\t . ",
        "a.jpg#3\t" + "very " * 50 + "long",
        "b.jpg#2\tA caf\u00c3\u00a9 table",
        "b.jpg#3\tA <b>dog</b> &amp; a cat",
        "c.jpg#2\tA dog number 0 runs in C.jpg!",
    )
    report = checked(sound)
    assert places(report, "caption_empty") == ("a.jpg#2",)
    assert places(report, "caption_too_long") == ("a.jpg#3: 51 words",)
    assert places(report, "caption_mojibake") == ("b.jpg#2: 'A caf\u00c3\u00a9 table'",)
    assert len(places(report, "caption_markup")) == 1
    assert places(report, "caption_repeated")[0].startswith("c.jpg")
    assert report.errors == 0


def test_honest_accents_are_not_garbled(sound: Path) -> None:
    edit_captions(
        sound,
        "a.jpg#2\tUn caf\u00e9 \u00e0 c\u00f4t\u00e9, na\u00efve \u00c2ge \u00c3o \u2014 \u201cdog\u201d",
    )
    assert "caption_mojibake" not in codes(checked(sound))


def test_text_that_is_not_utf8_is_an_error_with_its_line(sound: Path) -> None:
    edit_captions(sound, "a.jpg#2\tUn caf\u00e9", encoding="latin-1")
    report = checked(sound)
    assert codes(report)["wrong_encoding"] == "error"
    assert "line 9" in places(report, "wrong_encoding")[0]


def test_every_malformed_line_is_listed(sound: Path) -> None:
    edit_captions(sound, "no tab here", "nor here")
    assert len(places(checked(sound), "malformed")) == 2


def test_photos_nobody_described_and_photos_nobody_listed(sound: Path) -> None:
    write_photos(photos(sound), ["new.jpg", "extra.jpg"], first_seed=50)
    dev = sound / "Flickr8k_text" / "Flickr_8k.devImages.txt"
    dev.write_text(dev.read_text() + "new.jpg\n")
    report = checked(sound)
    assert places(report, "image_without_caption") == ("new.jpg",)
    assert places(report, "image_unlisted") == (str(photos(sound) / "extra.jpg"),)


def test_a_photo_with_fewer_captions_than_most(sound: Path) -> None:
    edit_captions(sound, "a.jpg#2\tDogs", "b.jpg#2\tDogs", "c.jpg#2\tDogs")
    assert places(checked(sound), "few_captions") == ("d.jpg: 2, most have 3",)


def test_overlapping_splits_are_an_error(sound: Path) -> None:
    dev = sound / "Flickr8k_text" / "Flickr_8k.devImages.txt"
    dev.write_text(dev.read_text() + "a.jpg\n")
    report = checked(sound)
    assert codes(report) == {"split_overlap": "error"}
    assert places(report, "split_overlap") == ("a.jpg: listed in train and in dev",)


def test_photos_outside_every_split_are_noted(sound: Path) -> None:
    edit_captions(sound, "odd.jpg.1#0\tA dog")
    report = checked(sound)
    assert codes(report) == {"split_unused": "note", "image_missing": "note"}
    assert report.errors == 0


def test_nothing_to_train_on_is_an_error_and_nothing_to_tune_on_a_warning(tmp_path: Path) -> None:
    write_photos(tmp_path / "images", ["a.jpg"])
    write_json(tmp_path / "captions.json", {"a.jpg": ["A dog"]})
    assert codes(checked(tmp_path, split="test")) == {"no_train_split": "error", "no_dev_split": "warning"}
    assert codes(checked(tmp_path, split="train", options=CheckOptions())) == {
        "few_train_captions": "warning",
        "no_dev_split": "warning",
    }


def test_coco_captions_without_a_photo_are_collected(tmp_path: Path) -> None:
    write_photos(tmp_path / "train2017", ["1.jpg"])
    path = coco_captions(tmp_path / "annotations" / "captions_train2017.json", {"1.jpg": ["A dog."]})
    content = json.loads(path.read_text())
    content["annotations"] += [{"id": n, "image_id": 99, "caption": "A cat."} for n in (5, 6)]
    write_json(path, content)
    assert len(places(checked(tmp_path), "caption_without_image")) == 2


def test_very_small_photos_are_a_warning(sound: Path) -> None:
    photo(1, width_px=40, height_px=90).save(photos(sound) / "a.jpg")
    assert places(checked(sound), "image_small") == ("a.jpg: 40 x 90 px",)


# Duplicates


def test_a_copy_in_another_split_is_an_error(sound: Path) -> None:
    (photos(sound) / "c.jpg").write_bytes((photos(sound) / "a.jpg").read_bytes())
    report = checked(sound)
    assert codes(report) == {"duplicate_across_splits": "error"}
    assert places(report, "duplicate_across_splits") == ("a.jpg (train), c.jpg (dev)",)


def test_a_copy_in_the_same_split_is_a_warning(sound: Path) -> None:
    (photos(sound) / "b.jpg").write_bytes((photos(sound) / "a.jpg").read_bytes())
    assert codes(checked(sound)) == {"duplicate_within_split": "warning"}


def resaved(image: Image.Image) -> bytes:
    smaller = image.resize((80, 67), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    ImageEnhance.Brightness(smaller).enhance(1.02).save(buffer, "JPEG", quality=60)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("c.jpg", {"near_duplicate_across_splits": "warning"}),
        ("b.jpg", {"near_duplicate_within_split": "note"}),
    ],
)
def test_a_resized_recompressed_copy_is_found(sound: Path, name: str, expected: dict[str, str]) -> None:
    (photos(sound) / name).write_bytes(
        resaved(Image.open(io.BytesIO((photos(sound) / "a.jpg").read_bytes())))
    )
    assert codes(checked(sound)) == expected


def test_poor_small_copies_of_pale_photos_are_found() -> None:
    """Where neighbouring cells are nearly as bright, a poor copy swaps many."""
    prints = []
    for seed in range(60):
        pale = ImageEnhance.Contrast(photo(seed, width_px=240, height_px=180)).enhance(0.3)
        buffer = io.BytesIO()
        pale.resize((100, 100)).save(buffer, "JPEG", quality=50)
        prints += [(2 * seed, fingerprint(b"whole%d" % seed, pale))]
        prints += [(2 * seed + 1, fingerprint(b"small%d" % seed, Image.open(buffer).convert("RGB")))]
    assert any(
        (a.look ^ b.look).bit_count() > 4 for (_, a), (_, b) in zip(prints[::2], prints[1::2], strict=True)
    )
    assert near_groups(prints) == [[2 * seed, 2 * seed + 1] for seed in range(60)]


def test_different_photos_do_not_look_alike() -> None:
    prints = [(seed, fingerprint(bytes([seed]), photo(seed))) for seed in range(200)]
    assert near_groups(prints) == []


def test_flat_pictures_of_different_colours_do_not_look_alike() -> None:
    red, blue = (Image.new("RGB", (80, 80), colour) for colour in ("red", "blue"))
    assert difference_hash(red) == difference_hash(blue)
    assert near_groups([(0, fingerprint(b"0", red)), (1, fingerprint(b"1", blue))]) == []


def test_different_things_before_one_plain_wall_do_not_look_alike() -> None:
    prints = []
    for place in range(24):
        picture = Image.new("RGB", (640, 640), "white")
        draw = ImageDraw.Draw(picture)
        shape = (draw.rectangle, draw.ellipse)[place % 2]
        half = (60, 100, 140)[place // 2 % 3]
        shape((320 - half, 320 - half, 320 + half, 320 + half), ("red", "green", "blue", "black")[place // 6])
        buffer = io.BytesIO()
        picture.resize((320, 320)).save(buffer, "JPEG", quality=70)
        copy = Image.open(buffer)
        prints += [fingerprint(bytes([place, 0]), picture), fingerprint(bytes([place, 1]), copy)]
    assert near_groups(list(enumerate(prints))) == [[2 * place, 2 * place + 1] for place in range(24)]


def test_many_copies_are_one_group() -> None:
    prints = [(n, fingerprint(bytes([n]), photo(n // 5))) for n in range(20)]
    assert near_groups(prints) == [list(range(start, start + 5)) for start in range(0, 20, 5)]


def test_progress_counts_photos_as_they_are_opened(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_check, "_BATCH", 2)
    done: list[tuple[int, int]] = []
    check(DataConfig(path=str(sound)), options=RELAXED, progress=lambda at, total: done.append((at, total)))
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


# The command


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["data", *arguments])
    return code, capsys.readouterr().out


def test_the_command_says_what_is_wrong_and_exits_with_1(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos(sound) / "a.jpg").unlink()
    code, text = run(capsys, "check", str(sound))
    assert code == 1
    assert "error: photos that are missing (1)  [image_missing]\n  a.jpg: expected at" in text
    assert "train: 2 photos, 4 captions" in text
    assert text.endswith("Fix the errors before you train.\n")


def test_warnings_alone_pass_unless_strict(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run(capsys, "check", str(sound))
    assert (code, "[few_train_captions]" in text) == (0, True)
    assert run(capsys, "check", str(sound), "--strict")[0] == 1


def test_json_lists_every_place(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_captions(sound, *(f"a.jpg#{n}\t." for n in range(2, 12)))
    code, text = run(capsys, "check", str(sound), "--json", "--kind", "flickr8k")
    report = json.loads(text)
    assert (code, report["kind"], report["errors"]) == (0, "flickr8k", 0)
    empty = next(finding for finding in report["findings"] if finding["code"] == "caption_empty")
    assert (empty["count"], len(empty["places"]), empty["severity"]) == (10, 10, "warning")


def test_the_text_shows_five_places_and_counts_the_rest(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_captions(sound, *(f"a.jpg#{n}\t." for n in range(2, 12)))
    _, text = run(capsys, "check", str(sound))
    assert "a.jpg#6\n  ... and 5 more" in text


def test_no_data_set_is_one_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(tmp_path / "nowhere")]) == 1
    assert "There is no data set at" in capsys.readouterr().err


def test_the_limits_on_photos_are_settings(
    sound: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUTLINE_MAX_SIDE_PX", "90")
    code, text = run(capsys, "check", str(sound))
    assert (code, "CUTLINE_MAX_SIDE_PX" in text or "limit is 90" in text) == (1, True)


def test_vocab_shows_what_a_minimum_count_costs(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = sound / "tokenizer.json"
    code, text = run(capsys, "vocab", str(sound), "--minimum-count", "2", "--output", str(output))
    assert code == 0
    assert "training split: 4 captions, 32 words" in text
    assert "unknown in the dev split: " in text
    assert json.loads(output.read_text())["model"]["vocab"]["<unk>"] == 3


def test_a_tokenizer_that_cannot_be_written_is_one_clear_error(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "vocab", str(sound), "--output", str(sound / "no" / "t.json")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_the_command_offers_every_kind() -> None:
    assert data_command.KINDS == KINDS


def test_every_code_setting_and_option_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text("utf-8")
    names = [field.name for kind in (DataConfig, TextConfig) for field in fields(kind)]
    for name in (*data_check.SUMMARIES, *names, *KINDS[1:], *LANGUAGES):
        assert f"`{name}`" in page, name
