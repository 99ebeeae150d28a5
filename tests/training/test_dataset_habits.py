"""Data sets as other programs and other machines write them: their quotes, encodings, names and JSON."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from tiny_data import coco_captions, flickr8k, photo_bytes, write_json, write_photos

from cutline.errors import DataError
from cutline.training.data_check import CheckOptions, CheckReport, check
from cutline.training.datasets import DataConfig, Example, load_examples
from cutline.training.examples import Problem

NAMES = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def load(path: Path, **options: Any) -> list[Example]:
    return load_examples(DataConfig(path=str(path), **{"split": "train", **options}))


def captions(path: Path, **options: Any) -> dict[str, tuple[str, ...]]:
    found = load(path, **options)
    assert all(
        each.image is None or (isinstance(each.image, Path) and each.image.is_file()) for each in found
    )
    return {each.key: each.captions for each in found}


def checked(path: Path) -> CheckReport:
    return check(
        DataConfig(path=str(path), split="train"),
        options=CheckOptions(fewest_train_captions=1, open_images=False),
    )


def codes(report: CheckReport) -> set[str]:
    return {finding.code for finding in report.findings} - {"no_dev_split"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_photos(tmp_path, NAMES)
    return tmp_path


# Quotation marks


def test_a_quote_that_is_never_closed_swallows_no_rows(photos: Path) -> None:
    (photos / "captions.csv").write_text(
        'image,caption\na.jpg,A dog\nb.jpg,"a dog runs\nc.jpg,A cow\nd.jpg,"Two, three"\n'
    )
    report = checked(photos)
    assert report.splits["train"] == {"photos": 4, "captions": 4}
    (malformed,) = (finding for finding in report.findings if finding.code == "malformed")
    assert "captions.csv, line 3: a quotation mark is opened and never closed" in malformed.places[0]
    with pytest.raises(DataError, match="line 3"):
        load(photos)


def test_two_quotes_that_are_never_closed_are_no_pair(photos: Path) -> None:
    (photos / "captions.csv").write_text(
        'image,caption\na.jpg,"A dog\nb.jpg,A cow\nc.jpg,"A cat\nd.jpg,A "big" hen"\n'
    )
    report = checked(photos)
    assert report.splits["train"] == {"photos": 4, "captions": 4}
    assert report.errors == 2


@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_quotes_within_a_text_are_part_of_it(photos: Path, suffix: str, delimiter: str) -> None:
    rows = ["image,caption", 'a.jpg,"Stop" says a sign', 'b.jpg,A 12" pipe', 'c.jpg,""', "d.jpg,A cow"]
    text = "\n".join(row.replace(",", delimiter, 1) for row in rows)
    (photos / f"captions.{suffix}").write_text(text + "\n")
    assert captions(photos) == {
        "a.jpg": ('"Stop" says a sign',),
        "b.jpg": ('A 12" pipe',),
        "d.jpg": ("A cow",),
    }
    assert "stray_quote" in codes(checked(photos))


def test_an_open_quote_in_a_tsv_is_a_warning_and_part_of_the_text(photos: Path) -> None:
    (photos / "captions.tsv").write_text(
        'image\tcaption\na.jpg\t"A dog\nb.jpg\tA cow\nc.jpg\tA "cat"\nd.jpg\tX\n'
    )
    assert captions(photos)["a.jpg"] == ('"A dog',)
    assert len(captions(photos)) == 4
    assert codes(checked(photos)) == {"stray_quote"}


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("column", ["image", "image_id"])
def test_what_csv_writers_write_is_read_as_it_was(
    tmp_path: Path, delimiter: str, line_end: str, column: str
) -> None:
    texts = ["A dog,\na cat;\n\nand|more", 'She says: "Stop"', '"', "A\ttab, b.jpg\n2, no 3"]
    names = NAMES if column == "image" else ["1", "2", "3", "4"]
    write_photos(tmp_path, [name if "." in name else f"{name}.jpg" for name in names])
    with (tmp_path / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=line_end)
        writer.writerows([[column, "caption"], *zip(names, texts, strict=True)])
    assert captions(tmp_path) == {name: (text,) for name, text in zip(names, texts, strict=True)}
    assert codes(checked(tmp_path)) <= {"caption_empty"}


@pytest.mark.parametrize("delimiter", [",", "|", "\t"])
@pytest.mark.parametrize("names", [["1", "2", "3"], ["p1", "p2", "p3"]])
def test_stray_quotes_swallow_no_rows_where_names_have_no_ending(
    tmp_path: Path, delimiter: str, names: list[str]
) -> None:
    texts = ['"A dog', "A cat", 'Two men"']
    rows = [("image_id", "caption"), *zip(names, texts, strict=True)]
    (tmp_path / "captions.csv").write_text("".join(f"{delimiter.join(row)}\n" for row in rows))
    found = load_examples(_config(tmp_path), report=lambda _: None)
    assert [each.captions for each in found] == [(text,) for text in texts]
    code = "malformed" if delimiter == "," else "stray_quote"  # a tab or | needs no quotes around it
    assert code in codes(checked(tmp_path))


def test_a_second_line_that_begins_with_a_word_and_a_comma_is_no_row(tmp_path: Path) -> None:
    rows = 'image,caption\na,"A cat\nThere, it sits"\nb,"A cow\nNow, it lies"\n'
    (tmp_path / "captions.csv").write_text(rows)
    write_photos(tmp_path, ["a.jpg", "b.jpg"])
    found = load_examples(_config(tmp_path), report=lambda _: None)
    assert [each.captions for each in found] == [("A cat\nThere, it sits",), ("A cow\nNow, it lies",)]


def test_quotes_behind_backslashes_are_part_of_a_quoted_text(photos: Path) -> None:
    (photos / "captions.csv").write_text(
        'image,caption\na.jpg,"A sign says \\"stop\\", in red"\nb.jpg,"\\"Go\\""\n'
        'c.jpg,"C:\\photos\\"\nd.jpg,A \\"big\\" hen\n'
    )
    assert captions(photos) == {
        "a.jpg": ('A sign says "stop", in red',),
        "b.jpg": ('"Go"',),
        "c.jpg": ("C:\\photos\\",),
        "d.jpg": ('A \\"big\\" hen',),
    }
    assert codes(checked(photos)) == set()


def test_kaggles_captions_txt_survives_quotes_and_line_breaks(photos: Path) -> None:
    (photos / "captions.txt").write_text(
        'image,caption\na.jpg,"A dog\nb.jpg,Dogs , cats\nc.jpg,"A\ncow"\nd.jpg,"""Hi"" says he"\n'
    )
    found = {each.key: each.captions for each in load_examples(_config(photos), report=lambda _: None)}
    assert found == {
        "a.jpg": ('"A dog',),
        "b.jpg": ("Dogs , cats",),
        "c.jpg": ("A\ncow",),
        "d.jpg": ('"Hi" says he',),
    }


def _config(path: Path) -> DataConfig:
    return DataConfig(path=str(path), split="train")


def test_kaggles_flickr30k_as_captions_txt(photos: Path) -> None:
    (photos / "captions.txt").write_text(
        "image_name,comment_number,comment\na.jpg, 0, A dog , a cat .\na.jpg, 1, Dogs\nb.jpg,0,A cow\n"
    )
    assert captions(photos) == {"a.jpg": ("A dog , a cat .", "Dogs"), "b.jpg": ("A cow",)}


def test_many_quotes_on_a_line_take_little_time(photos: Path) -> None:
    (photos / "captions.csv").write_text("image,caption\n" + ',"a' * 100_000 + "\n")
    with pytest.raises(DataError, match="never closed"):
        load(photos)


# Encodings and layouts of tables


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "name", ["captions.csv", "captions.tsv", "captions.jsonl", "captions.json", "x.token.txt"]
)
def test_text_may_be_in_any_unicode_encoding(photos: Path, encoding: str, name: str) -> None:
    texts = {name: f"Ein Hund läuft, 狗 {name}" for name in NAMES}
    lines = {
        "captions.csv": ["image\tcaption", *map("\t".join, texts.items())],  # Excel's "Unicode text"
        "captions.tsv": ["image\tcaption", *map("\t".join, texts.items())],
        "captions.jsonl": [
            json.dumps({"image": n, "caption": t}, ensure_ascii=False) for n, t in texts.items()
        ],
        "captions.json": [json.dumps(texts, ensure_ascii=False)],
        "x.token.txt": [f"{n}#0\t{t}" for n, t in texts.items()],
    }[name]
    (photos / name).write_bytes("\r\n".join([*lines, ""]).encode(encoding))
    assert captions(photos) == {name: (text,) for name, text in texts.items()}


def test_windows_1252_is_refused_with_its_line(photos: Path) -> None:
    (photos / "captions.csv").write_bytes("image,caption\na.jpg,A dog\nb.jpg,Caf\u00e9\n".encode("cp1252"))
    with pytest.raises(DataError, match="line 3: not UTF-8"):
        load(photos)


def test_lines_may_end_as_on_old_macs(photos: Path) -> None:
    (photos / "captions.csv").write_bytes(b"image,caption\ra.jpg,A dog\rb.jpg,A cow\r")
    assert captions(photos) == {"a.jpg": ("A dog",), "b.jpg": ("A cow",)}


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_a_table_without_a_header_is_read(photos: Path, delimiter: str) -> None:
    rows = [("a.jpg", "A dog"), ("b.jpg", "A cow")]
    (photos / "captions.csv").write_text("".join(f"{delimiter.join(row)}\n" for row in rows))
    assert captions(photos) == {"a.jpg": ("A dog",), "b.jpg": ("A cow",)}
    (photos / "captions.csv").write_text("a.jpg|0|A dog, a cat, a hen\na.jpg|1|Two dogs\n")
    assert captions(photos) == {"a.jpg": ("A dog, a cat, a hen", "Two dogs")}


def test_a_table_whose_columns_cannot_be_told_is_refused_once(photos: Path) -> None:
    (photos / "captions.csv").write_text("picture_of,words\na.jpg,A dog\nb.jpg,A cow\n")
    problems: list[Problem] = []
    load_examples(_config(photos), report=problems.append)
    assert [problem.code for problem in problems] == ["malformed"]
    assert "no column is named image or file_name" in problems[0].message


def test_empty_rows_cells_and_excels_first_line_are_skipped(photos: Path) -> None:
    (photos / "captions.csv").write_text("sep=;\n\nimage;caption\n\na.jpg;A dog;;\n;;\n\nb.jpg;A cow\n;\n")
    assert captions(photos) == {"a.jpg": ("A dog",), "b.jpg": ("A cow",)}


def test_spaces_behind_delimiters_belong_to_no_name_or_caption(tmp_path: Path) -> None:
    """Kaggle's copy of Flickr30k: results.csv, which lacks one delimiter, beside flickr30k_images/."""
    write_photos(tmp_path / "flickr30k_images" / "flickr30k_images", NAMES[:2])
    (tmp_path / "results.csv").write_text(
        "image_name| comment_number| comment\na.jpg| 0| A dog .\na.jpg| 1|  Two dogs .\nb.jpg| 4   A cow .\n"
    )
    assert captions(tmp_path) == {"a.jpg": ("A dog .", "Two dogs ."), "b.jpg": ("A cow .",)}


@pytest.mark.parametrize(
    ("cell", "texts"),
    [
        ("""['A dog', "A hound's"]""", ("A dog", "A hound's")),  # pandas
        (r"""['A dog' 'A "big"\n hound']""", ("A dog", 'A "big"\n hound')),
        ("['A dog'\n 'A \\'big\\' hound']", ("A dog", "A 'big' hound")),  # NumPy
        ('["A dog", "Dogs"]', ("A dog", "Dogs")),
        ("[a dog] 'and' a cat", ("[a dog] 'and' a cat",)),
        ("['unfinished", ("['unfinished",)),
        pytest.param("[" + "'' " * 1000, ("[" + "'' " * 1000,), id="long"),
    ],
)
def test_lists_in_cells_are_read(photos: Path, cell: str, texts: tuple[str, ...]) -> None:
    with (photos / "captions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "caption"], ["a.jpg", cell]])
    assert captions(photos) == {"a.jpg": texts}


@pytest.mark.parametrize("names", ["results.csv flickr30k_images", "results.token flickr30k-images"])
def test_archives_unpacked_within_a_folder_are_found_from_above(tmp_path: Path, names: str) -> None:
    table, folder = names.split()
    write_photos(tmp_path / "flickr30k" / folder, NAMES[:2])
    texts = {"csv": "image_name| comment_number| comment\na.jpg| 0| A dog .\n", "token": "a.jpg#0\tA dog .\n"}
    (tmp_path / "flickr30k" / table).write_text(texts[table.rpartition(".")[2]])
    assert captions(tmp_path) == {"a.jpg": ("A dog .",)}


@pytest.mark.parametrize(
    "other", ["scores.csv:name,score\na.jpg,0.5\n", "list.json:[1, 2]", "log.jsonl:{}\n"]
)
def test_texts_beside_photos_may_have_other_files_beside_them(photos: Path, other: str) -> None:
    name, content = other.split(":", 1)
    (photos / name).write_text(content)
    (photos / "a.txt").write_text("A dog")
    assert captions(photos) == {"a.jpg": ("A dog",)}
    (photos / name).unlink()
    (photos / "results.csv").write_text("image,caption\nb.jpg,A cow\n")
    assert captions(photos) == {"b.jpg": ("A cow",)}


@pytest.mark.parametrize("folder", ["flickr30k-images", "flickr30k_images", "."])
def test_flickr30k_as_it_is_published(tmp_path: Path, folder: str) -> None:
    write_photos(tmp_path / folder, NAMES[:2])
    (tmp_path / "results_20130124.token").write_text("a.jpg#0\tA dog .\na.jpg#1\tDogs .\nb.jpg#0\tA cow .\n")
    assert captions(tmp_path) == {"a.jpg": ("A dog .", "Dogs ."), "b.jpg": ("A cow .",)}
    assert captions(tmp_path / "results_20130124.token") == captions(tmp_path)


@pytest.mark.parametrize(
    "row",
    [
        {"image": "a.jpg", "caption": 7},
        {"image": "a.jpg", "caption": True},
        {"image": "a.jpg", "captions": ["A dog", 3.5]},
        {"image": "a.jpg", "captions": [["A dog"], {"text": None, "n": 1}, {"words": "x"}, False]},
        {"image": 12, "caption": "A dog"},
        {"image": {"path": 3}, "caption": "A dog"},
        {"image": ["a.jpg"], "caption": {"text": 4}},
    ],
)
def test_json_values_that_are_no_texts_are_refused(photos: Path, row: dict[str, Any]) -> None:
    (photos / "captions.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match="line 1"):
        load(photos)
    report = checked(photos)
    assert "malformed" in codes(report)


def test_half_an_emoji_is_dropped_from_a_caption(photos: Path) -> None:
    """Programs that cut texts at a length leave it; no tokenizer takes it."""
    (photos / "captions.jsonl").write_text('{"image": "a.jpg", "caption": "A dog \\ud83d"}\n')
    assert captions(photos) == {"a.jpg": ("A dog ",)}


def test_null_captions_are_no_captions(photos: Path) -> None:
    rows = [{"image": "a.jpg", "caption": None}, {"image": "b.jpg", "captions": ["A cow", None]}]
    (photos / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert captions(photos) == {"b.jpg": ("A cow",)}


# Names of photos


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
@pytest.mark.parametrize("layout", ["jsonl", "map", "token", "coco"])
def test_accents_may_be_composed_in_another_way(tmp_path: Path, forms: Any, layout: str) -> None:
    there, said = (unicodedata.normalize(form, "Zürich.jpg") for form in forms)
    write_photos(tmp_path / "images", [there])
    if layout == "jsonl":
        (tmp_path / "captions.jsonl").write_text(json.dumps({"image": said, "caption": "A dog"}))
    elif layout == "map":
        write_json(tmp_path / "captions.json", {said: ["A dog"]})
    elif layout == "token":
        (tmp_path / "x.token.txt").write_text(f"{said}#0\tA dog\n", encoding="utf-8")
    else:
        coco_captions(tmp_path / "captions_train2017.json", {said: ["A dog"]})
    (example,) = load(tmp_path)
    assert example.image == tmp_path / "images" / there
    assert codes(checked(tmp_path)) == set()


def test_names_may_be_quoted_as_in_addresses(tmp_path: Path) -> None:
    write_photos(tmp_path, ["my d\u00f6g.jpg", "50%20.jpg"])
    (tmp_path / "captions.csv").write_text("image,caption\nmy%20d%C3%B6g.jpg,A dog\n50%20.jpg,A cow\n")
    assert [each.image for each in load(tmp_path)] == [tmp_path / "my d\u00f6g.jpg", tmp_path / "50%20.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        r"sub\a.jpg",
        r".\sub\a.jpg",
        r"C:\Users\me\set\sub\a.jpg",
        r"D:sub\a.jpg",
        "C:/set/sub/A.JPG",
        r"\\server\share\set\sub\a.jpg",
        "/data/me/set/sub/a.jpg",
        "file:///C:/set/sub/a.jpg",
        "https://example.org/set/sub/a.jpg?size=2",
    ],
)
def test_names_from_another_machine_find_their_photo(tmp_path: Path, name: str) -> None:
    write_photos(tmp_path / "images", ["sub/a.jpg"])
    (tmp_path / "captions.jsonl").write_text(json.dumps({"image": name, "caption": "A dog"}))
    (example,) = load(tmp_path)
    assert example.image == tmp_path / "images" / "sub" / "a.jpg"


@pytest.mark.parametrize("name", ["Zürich/é.jpg", "zürich/É.JPG", r".\ZÜRICH\é.jpg", "C:/x/Zürich/é.jpg"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_the_folders_of_a_photo_may_be_spelt_otherwise_too(tmp_path: Path, name: str, form: Any) -> None:
    other = "NFD" if form == "NFC" else "NFC"
    write_photos(tmp_path / "images", [unicodedata.normalize(other, "Zürich/é.jpg")])
    said = unicodedata.normalize(form, name)
    (tmp_path / "captions.jsonl").write_text(json.dumps({"image": said, "caption": "A dog"}))
    (example,) = load(tmp_path)
    assert example.image == tmp_path / "images" / unicodedata.normalize(other, "Zürich/é.jpg")


def test_of_two_photos_that_differ_in_capitals_each_has_its_own_captions(tmp_path: Path) -> None:
    write_photos(tmp_path, ["É.jpg", "é.jpg"])
    said = [unicodedata.normalize("NFD", name) for name in ("É.jpg", "é.jpg")]
    rows = [{"image": name, "caption": text} for name, text in zip(said, ["One", "Two"], strict=True)]
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = {example.image: example.captions for example in load(tmp_path)}
    assert found == {tmp_path / "É.jpg": ("One",), tmp_path / "é.jpg": ("Two",)}


def test_accents_in_flickr8ks_lists_of_splits_may_differ(tmp_path: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "Z\u00fcrich.jpg") for form in ("NFC", "NFD"))
    flickr8k(tmp_path, {"train": [nfd], "dev": ["a.jpg"]})
    (tmp_path / "Flickr8k_text" / "Flickr_8k.trainImages.txt").write_text(f"{nfc}\n", encoding="utf-8")
    found = {each.split: len(each.captions) for each in load(tmp_path, split=None)}
    assert found == {"train": 2, "dev": 2}


@pytest.mark.parametrize("other", ["sub\\é.jpg", "./sub/é.jpg", "SUB/é.JPG", "sub/e\u0301.jpg"])
def test_one_photo_in_two_spellings_is_one_photo(photos: Path, other: str) -> None:
    write_photos(photos, ["sub/é.jpg"])
    text = f"image,caption\nsub/é.jpg,A dog\n{other},Dogs\n"
    (photos / "captions.csv").write_text(text, encoding="utf-8")
    assert captions(photos) == {"sub/é.jpg": ("A dog", "Dogs")}


@pytest.mark.parametrize("layout", ["map", "token"])
def test_two_spellings_of_a_name_are_one_photo_in_every_layout(tmp_path: Path, layout: str) -> None:
    write_photos(tmp_path / "images", ["é.jpg"])
    if layout == "map":
        write_json(tmp_path / "captions.json", {"é.jpg": ["A dog"], "e\u0301.jpg": ["Dogs"]})
    else:
        (tmp_path / "x.token.txt").write_text("é.jpg#0\tA dog\ne\u0301.jpg#1\tDogs\n", encoding="utf-8")
    assert captions(tmp_path) == {"é.jpg": ("A dog", "Dogs")}


def test_a_missing_photo_is_not_replaced_by_another_of_its_name(tmp_path: Path) -> None:
    write_photos(tmp_path / "images", ["val/a.jpg"])
    (tmp_path / "captions.jsonl").write_text(json.dumps({"image": "train/a.jpg", "caption": "A dog"}))
    with pytest.raises(DataError, match="1 of 1 photos are missing"):
        load(tmp_path)


# COCO, its results, BLIP, LLaVA, Label Studio


def test_coco_without_categories_and_with_numbers_as_texts(tmp_path: Path) -> None:
    write_photos(tmp_path / "val2017", ["1.jpg"])
    path = coco_captions(tmp_path / "annotations" / "captions_val2017.json", {"1.jpg": ["A dog."]})
    content = json.loads(path.read_text())
    write_json(path, {**content, "categories": []})
    assert captions(tmp_path) == {"1.jpg": ("A dog.",)}
    write_json(path, {**content, "categories": [{"id": 1, "name": "x"}]})
    assert captions(tmp_path) == {"1.jpg": ("A dog.",)}
    content["annotations"][0]["image_id"] = "1"
    write_json(path, content)
    assert captions(tmp_path) == {"1.jpg": ("A dog.",)}


def coco(images: list[dict[str, Any]], *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"info": {}, "images": images, "annotations": list(annotations)}


@pytest.mark.parametrize(
    ("file", "photo", "split"),
    [
        ("captions.json", "a.jpg", "train"),
        ("train.json", "a.jpg", "train"),
        ("annotations/val.json", "val/a.jpg", "dev"),  # VizWiz
        ("nocaps_val_4500_captions.json", "val/a.jpg", "dev"),
        ("test/_annotations.coco.json", "test/a.jpg", "test"),  # Roboflow
    ],
)
def test_cocos_form_is_known_by_other_names(tmp_path: Path, file: str, photo: str, split: str) -> None:
    write_photos(tmp_path, [photo])
    content = coco([{"id": 1, "file_name": "a.jpg"}], {"id": 1, "image_id": 1, "caption": "A dog"})
    write_json(tmp_path / file, content)
    write_json(tmp_path / "annotations" / "instances_val2017.json", coco([]))
    for path in (tmp_path, tmp_path / file):
        (example,) = load(path, split=None)
        assert (example.image, example.captions) == (tmp_path / photo, ("A dog",))
        assert (example.split == split) or file == "captions.json"


@pytest.mark.parametrize("ids", [(0, 0.0), (42, "000000000042"), ("42", 42), ("007", 7), (1.0, 1)])
def test_ids_in_cocos_form_may_be_written_otherwise(tmp_path: Path, ids: tuple[object, object]) -> None:
    write_photos(tmp_path, ["a.jpg", "b.jpg"])
    images = [{"id": ids[0], "file_name": "a.jpg"}, {"id": 99, "coco_url": "http://example.org/x/b.jpg"}]
    annotations = [
        {"image_id": image_id, "caption": [f"{n}", None]} for n, image_id in enumerate([ids[1], 99])
    ]
    write_json(tmp_path / "captions_train2017.json", coco(images, *annotations))
    assert [each.captions for each in load(tmp_path)] == [("0",), ("1",)]
    assert codes(checked(tmp_path)) == set()


@pytest.mark.parametrize(
    ("annotation", "code"),
    [
        ({"id": 7, "image_id": 1, "caption": 5}, "malformed"),
        ({"id": 7, "caption": "A cow"}, "malformed"),
        ({"id": 7, "image_id": 1, "bbox": [0, 0, 1, 1]}, "malformed"),
        ({"id": 7, "image_id": 8, "caption": "A cow"}, "caption_without_image"),
        ({"id": 7, "image_id": "1_", "caption": "A cow"}, "caption_without_image"),
    ],
)
def test_what_is_wrong_in_cocos_form_is_named(photos: Path, annotation: dict[str, Any], code: str) -> None:
    images = [{"id": 1, "file_name": "a.jpg"}]
    content = coco(images, {"image_id": 1, "caption": "A dog"}, annotation, {"image_id": 1, "caption": None})
    write_json(photos / "captions_train2017.json", content)
    report = checked(photos)
    (finding,) = (each for each in report.findings if each.code == code)
    assert "annotation 7: " in finding.places[0]
    assert report.splits["train"] == {"photos": 1, "captions": 1}
    write_json(photos / "captions_train2017.json", coco([*images, {"id": 2}]))
    assert "image 2: its id or its file_name is missing" in checked(photos).as_text()


def test_results_may_number_photos_as_42_0(tmp_path: Path) -> None:
    write_photos(tmp_path, ["000042.jpg"])
    write_json(tmp_path / "results.json", [{"image_id": 42.0, "caption": "A dog"}])
    assert captions(tmp_path) == {"42": ("A dog",)}


def test_boxes_are_no_captions(photos: Path) -> None:
    boxes = coco([{"id": 1, "file_name": "a.jpg"}], {"id": 7, "image_id": 1, "bbox": [0, 0, 1, 1]})
    write_json(photos / "instances_val2017.json", boxes)
    with pytest.raises(DataError, match="no annotation has a caption"):
        load(photos / "instances_val2017.json")


def test_a_zip_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "coco.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError) as caught:
        load(tmp_path / "coco.zip")
    assert "Unpack it first" in str(caught.value.hint)
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert "Unpack coco.zip first" in str(caught.value.hint)


@pytest.mark.parametrize("number", [42, "42", "coco_42", "COCO_val2014_000000000042.jpg"])
def test_coco_results_find_photos_by_their_number(tmp_path: Path, number: object) -> None:
    write_photos(tmp_path / "val2014", ["COCO_val2014_000000000042.jpg", "COCO_val2014_000000000142.jpg"])
    write_json(tmp_path / "results.json", [{"image_id": number, "caption": "A dog"}])
    (example,) = load(tmp_path, images=str(tmp_path / "val2014"))
    assert (example.image, example.captions) == (
        tmp_path / "val2014" / "COCO_val2014_000000000042.jpg",
        ("A dog",),
    )


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (["train_1", "val_1"], ["img_1.jpg", "train_1.jpg", "val_1.jpg"]),
        (["1002_aa70", "1001_577c3a7d70"], ["1001_577c3a7d70.jpg", "1002_aa70.jpg"]),
        (["b", "A"], ["a.jpg", "b.jpg"]),
        ([2, "1"], ["img_2.jpg", "2.jpg", "img_0001.png"]),
        ([7], ["set_7.jpg", "007.jpg"]),
    ],
)
def test_an_id_is_a_photos_name_before_it_is_a_number(
    tmp_path: Path, ids: list[Any], names: list[str]
) -> None:
    write_photos(tmp_path, names)
    write_json(tmp_path / "results.json", [{"image_id": each, "caption": f"Of {each}"} for each in ids])
    found = {example.image.name: example.captions for example in load(tmp_path)}  # type: ignore[union-attr]
    wanted = {"2": "2.jpg", "1": "img_0001.png", "7": "007.jpg"}
    assert found == {wanted.get(str(each), f"{each}.jpg".lower()): (f"Of {each}",) for each in ids}


@pytest.mark.parametrize("image_id", ["photo_7", "train_7", "8", 9])
def test_an_id_that_may_mean_another_photo_finds_none(tmp_path: Path, image_id: object) -> None:
    write_photos(tmp_path, ["img_7.jpg", "x_8.jpg", "y_8.jpg"])
    write_json(tmp_path / "results.json", [{"image_id": image_id, "caption": "A dog"}])
    with pytest.raises(DataError, match="1 of 1 photos are missing"):
        load(tmp_path)


def test_captions_elsewhere_say_what_kind_they_are(tmp_path: Path) -> None:
    write_photos(tmp_path / "val2014", ["COCO_val2014_000000000042.jpg"])
    write_json(tmp_path / "made" / "results.json", [{"image_id": 42, "caption": "A dog"}])
    (example,) = load(tmp_path / "val2014", captions=str(tmp_path / "made" / "results.json"))
    assert example.image == tmp_path / "val2014" / "COCO_val2014_000000000042.jpg"


def test_blips_annotations_by_split(tmp_path: Path) -> None:
    write_photos(tmp_path, ["val2014/1.jpg", "val2014/2.jpg"])
    train = [{"image": "val2014/1.jpg", "caption": "A dog", "image_id": "coco_1"}] * 2
    write_json(tmp_path / "coco_karpathy_train.json", train)
    write_json(
        tmp_path / "coco_karpathy_val.json", [{"image": "val2014/2.jpg", "caption": ["A cow", "Cows"]}]
    )
    found = load(tmp_path, split=None)
    assert [(each.split, each.captions) for each in found] == [
        ("train", ("A dog", "A dog")),
        ("dev", ("A cow", "Cows")),
    ]


def turns(*values: str) -> list[dict[str, str]]:
    return [{"from": ("human", "gpt")[n % 2], "value": value} for n, value in enumerate(values)]


def test_llavas_first_answer_is_the_caption(photos: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "1", "image": "a.jpg", "conversations": turns("<image>\nDescribe it.", "A dog.\nIt runs.")},
        {
            "id": "2",
            "image": "b.jpg",
            "conversations": turns("What?\n<image>", "<image>\nA cow.", "Big?", "Yes."),
        },
        {
            "id": "3",
            "images": ["c.jpg"],
            "messages": [
                {"role": "user", "content": "<image>What?"},
                {"role": "assistant", "content": "A hen."},
            ],
        },
        {
            "id": "4",
            "image": "d.jpg",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
            ],
        },
    ]
    expected = {
        "a.jpg": ("A dog.\nIt runs.",),
        "b.jpg": ("A cow.",),
        "c.jpg": ("A hen.",),
        "d.jpg": ("A cat.",),
    }
    write_json(photos / "llava.json", rows)
    assert captions(photos) == expected
    assert codes(checked(photos)) == {"answers_left_out"}
    (photos / "llava.json").unlink()
    (photos / "llava.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert captions(photos) == expected


@pytest.mark.parametrize(
    "said",
    [
        "Picture 1: <img>a.jpg</img>\nWhat?",
        [{"type": "image", "image": "a.jpg"}, {"type": "text", "text": "What?"}],
        [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": "file:///x/a.jpg"}}],
    ],
)
def test_photos_within_the_talk_are_found(photos: Path, said: object) -> None:
    shown = {"messages": [{"role": "user", "content": said}, {"role": "assistant", "content": "A dog."}]}
    data = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]
    inside = {"messages": [{"role": "user", "content": data}, {"role": "assistant", "content": "A cow."}]}
    answers = [{"from": "human", "value": "<image>"}, {"from": "chatgpt", "value": "A hen."}]
    write_json(photos / "talk.json", [shown, inside, {"image": "c.jpg", "conversations": answers}])
    assert [(each.image, each.captions) for each in load(photos)] == [
        (photos / "a.jpg", ("A dog.",)),
        (photos / "c.jpg", ("A hen.",)),
    ]


def test_a_list_of_rows_may_be_called_data(photos: Path) -> None:
    """TextCaps: each row has its own caption, and those of all others of its photo."""
    rows = [
        {"image_path": "a.jpg", "caption_str": text, "reference_strs": ["A dog", "Dogs"]} for text in "AB"
    ]
    write_json(photos / "TextCaps_0.1_train.json", {"dataset_type": "train", "data": rows})
    assert captions(photos) == {"a.jpg": ("A", "B")}


def test_talk_without_a_photo_is_left_out_and_noted(photos: Path) -> None:
    rows = [
        {"id": "1", "image": "a.jpg", "conversations": turns("<image>\nWhat?", "A dog.")},
        {"id": "2", "conversations": turns("Who wrote Faust?", "Goethe.")},
    ]
    write_json(photos / "mix.json", rows)
    assert captions(photos) == {"a.jpg": ("A dog.",)}
    assert "caption_without_image" in codes(checked(photos))
    assert checked(photos).errors == 0


def task(image: str, *texts: str, field: str = "captioning", **more: Any) -> dict[str, Any]:
    result = [
        {"type": "textarea", "from_name": "caption", "to_name": "image", "value": {"text": list(texts)}}
    ]
    annotation = {"id": 1, "was_cancelled": False, "result": result, **more}
    return {"id": 1, "data": {field: image}, "annotations": [annotation], "predictions": []}


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/3/8f3b2c1d-a.jpg",
        "/data/local-files/?d=set/a.jpg",
        "s3://bucket/set/a.jpg",
        "http://localhost:8080/data/upload/8f3b2c1d-a.jpg",
        "a.jpg",
    ],
)
def test_label_studios_json_finds_its_photos(photos: Path, address: str) -> None:
    rows = [task(address, "A dog", "Dogs"), task("/data/upload/3/0f3b2c1e-b.jpg", "Skip", was_cancelled=True)]
    rows[1]["annotations"] += task("", "A cow")["annotations"]
    write_json(photos / "project.json", rows)
    assert [(each.image, each.captions) for each in load(photos)] == [
        (photos / "a.jpg", ("A dog", "Dogs")),
        (photos / "b.jpg", ("A cow",)),
    ]


@pytest.mark.parametrize("field", ["captioning", "image"])
def test_label_studios_short_exports(photos: Path, field: str) -> None:
    base = {
        "id": 1,
        "annotator": 1,
        "annotation_id": 4,
        "created_at": "2026-01-01T00:00:00Z",
        "lead_time": 2.5,
    }
    rows = [
        {field: "/data/upload/3/8f3b2c1d-a.jpg", "caption": "A dog", **base},
        {field: "/data/upload/3/8f3b2c1d-b.jpg", "caption": {"text": ["A cow", "Cows"]}, **base},
    ]
    write_json(photos / "min.json", rows)
    expected = [(photos / "a.jpg", ("A dog",)), (photos / "b.jpg", ("A cow", "Cows"))]
    assert [(each.image, each.captions) for each in load(photos)] == expected
    (photos / "min.json").unlink()
    with (photos / "export.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows([rows[0], {**rows[1], "caption": json.dumps(rows[1]["caption"])}])
    assert [(each.image, each.captions) for each in load(photos)] == expected


@pytest.mark.parametrize("field", ["image", "img_src"])
@pytest.mark.parametrize("answer", ["caption", "desc", "answer", "reply"])
def test_label_studios_other_fields_are_no_captions(photos: Path, field: str, answer: str) -> None:
    base = {"id": 1, "annotation_id": 4, "agreement": 0.9, "title": "Task title"}
    rows = [{field: "/data/upload/3/8f3b2c1d-a.jpg", answer: "A dog", "rating": [{"rating": 3}], **base}]
    if answer != "reply":  # whose name says nothing
        rows[0] |= {"quality": "good"}
    write_json(photos / "min.json", rows)
    assert [each.captions for each in load(photos)] == [("A dog",)]
    del rows[0]["rating"]
    (photos / "min.json").unlink()
    with (photos / "export.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    assert [each.captions for each in load(photos)] == [("A dog",)]


def test_label_studios_comments_and_marked_words_are_no_captions(photos: Path) -> None:
    rows = [task("a.jpg", "A dog"), task("b.jpg", "A cow", "Cows")]
    for row in rows:
        row["annotations"][0]["result"] += [
            {"type": "textarea", "from_name": "comment", "value": {"text": ["blurry, delete?"]}},
            {"type": "labels", "value": {"start": 0, "end": 1, "text": "dog", "labels": ["x"]}},
            {"type": "choices", "from_name": "quality", "value": {"choices": ["good"]}},
        ]
    write_json(photos / "project.json", rows)
    assert captions(photos) == {"a.jpg": ("A dog",), "b.jpg": ("A cow", "Cows")}


# Webdataset


def tar(path: Path, members: dict[str, str | bytes]) -> Path:
    with tarfile.open(path, "w") as file:
        for name, content in members.items():
            data = content if isinstance(content, bytes) else content.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return path


def test_names_with_dots_are_told_apart(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {}
    for number, stem in enumerate(["IMG0", "IMG.4", "IMG.5", "IMG", "x/a.b.c"]):
        members |= {f"{stem}.jpg": photo_bytes(number), f"{stem}.txt": f"Caption of {stem}"}
    members |= {"y/c.jpg": photo_bytes(9), "y/c.mask.png": photo_bytes(10), "y/c.txt": "A cow"}
    found = load(tar(tmp_path / "0.tar", members))
    assert {each.key: each.captions for each in found} == {
        "0/IMG0": ("Caption of IMG0",),
        "0/IMG.4": ("Caption of IMG.4",),
        "0/IMG.5": ("Caption of IMG.5",),
        "0/IMG": ("Caption of IMG",),
        "0/x/a.b.c": ("Caption of x/a.b.c",),
        "0/y/c": ("A cow",),
    }
    assert str(found[-1].image).endswith("y/c.jpg")
    for each in found:
        assert str(each.image).endswith(f"{each.key.partition('/')[2]}.jpg")


def test_what_macos_adds_to_a_shard_is_no_sample_and_accents_are_one(tmp_path: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "\u00fc.1") for form in ("NFC", "NFD"))
    members: dict[str, str | bytes] = {
        "._a.jpg": b"x",
        "a.jpg": photo_bytes(1),
        "a.txt": "A dog",
        "._a.txt": b"x",
    }
    members |= {f"{nfd}.jpg": photo_bytes(2), f"{nfc}.txt": "A cow"}
    found = load(tar(tmp_path / "0.tar", members))
    assert {each.key: each.captions for each in found} == {"0/a": ("A dog",), f"0/{nfc}": ("A cow",)}


@pytest.mark.parametrize("order", [("txt", "json"), ("json", "txt")])
def test_img2datasets_text_and_json_are_one_caption(tmp_path: Path, order: tuple[str, str]) -> None:
    texts = {"txt": "A dog runs.\n", "json": json.dumps({"caption": "A dog runs.", "key": "0", "exif": "{}"})}
    members: dict[str, str | bytes] = {
        "0.jpg": photo_bytes(1),
        **{f"0.{kind}": texts[kind] for kind in order},
    }
    (example,) = load(tar(tmp_path / "00000.tar", members))
    assert example.captions == ("A dog runs.",)


NFD = unicodedata.normalize("NFD", "Un caf\u00e9.")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"txt": "A dog.\nIt runs.\n", "json": {"caption": "A dog.\nIt runs."}}, ("A dog.\nIt runs.",)),
        ({"txt": "A dog.\r\nIt runs.", "json": {"caption": "A dog. It runs."}}, ("A dog. It runs.",)),
        ({"txt": "A dog.\u2028It\x0bruns."}, ("A dog.\u2028It\x0bruns.",)),
        ({"txt": "A  dog", "json": {"caption": "A dog"}}, ("A  dog",)),
        ({"txt": NFD, "json": {"caption": "Un caf\u00e9."}}, (NFD,)),
        ({"txt": "A dog", "caption": "A dog\n"}, ("A dog",)),
        ({"txt": "A dog", "json": {"caption": "A dog", "text": "A  dog"}}, ("A dog",)),
        ({"txt": "A\nB\nC", "json": {"captions": ["A\nB", "C"]}}, ("A\nB", "C")),  # as `data build` writes
        ({"txt": "A dog\nA dog", "json": {"captions": ["A dog", "A dog"]}}, ("A dog", "A dog")),
        ({"txt": "A dog", "json": {"caption": "A cow"}}, ("A dog", "A cow")),
    ],
)
def test_a_caption_in_two_files_counts_once(tmp_path: Path, texts: dict[str, Any], expected: Any) -> None:
    members: dict[str, str | bytes] = {"0.jpg": photo_bytes(1)}
    members |= {
        f"0.{kind}": text if isinstance(text, str) else json.dumps(text) for kind, text in texts.items()
    }
    (example,) = load(tar(tmp_path / "0.tar", members))
    assert example.captions == expected


def test_a_row_with_one_caption_under_two_names_has_one(photos: Path) -> None:
    rows = [
        {"image": "a.jpg", "text": "A dog", "caption": "A dog"},
        {"image": "b.jpg", "caption_1": "A cow", "caption_2": "A cow"},
    ]
    (photos / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert captions(photos) == {"a.jpg": ("A dog",), "b.jpg": ("A cow", "A cow")}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["IMG.4.jpg", "IMG.4.txt", "IMG.5.jpg"], {"IMG.4": "IMG.4.txt", "IMG.5": None}),
        (["IMG.4.jpg", "IMG.4.txt", "IMG.4.mask.png"], {"IMG.4": "IMG.4.txt"}),
        (["IMG.4.jpg", "IMG.5.jpg"], {"IMG.4": None, "IMG.5": None}),
        (["IMG.4.jpg", "IMG.5.jpg", "IMG.5.jpg.txt"], {"IMG.4": None, "IMG.5": "IMG.5.jpg.txt"}),
        (["0.jpg", "0.caption.txt"], {"0": "0.caption.txt"}),
        (["0.image.jpg", "0.caption.txt"], {"0": "0.caption.txt"}),
        (["0.4.img.jpg", "0.4.img.txt", "0.4.photo.jpg"], {"0.4.img": "0.4.img.txt", "0.4": None}),
        (["0.4.image.jpg", "0.4.caption.txt"], {"0.4": "0.4.caption.txt"}),
        (["0.input.jpg", "0.mask.png", "0.txt"], {"0": "0.txt"}),
        (["0.jpg", "0.cap", "1.jpeg", "1.text"], {"0": "0.cap", "1": "1.text"}),
        (["0.jpg", "0.txt", "README.md", "dataset.json"], {"0": "0.txt"}),
    ],
)
def test_photos_in_shards_keep_the_texts_of_their_names(
    tmp_path: Path, names: list[str], expected: Any
) -> None:
    contents = {".jpg": photo_bytes(1), ".jpeg": photo_bytes(2), ".png": photo_bytes(3), ".json": "{}"}
    tar(tmp_path / "0.tar", {name: contents.get(Path(name).suffix, name) for name in names})
    report = checked(tmp_path)
    found = load_examples(_config(tmp_path), report=lambda _: None)
    assert {each.key: each.captions for each in found} == {
        f"0/{key}": (text,) if text else () for key, text in expected.items()
    }
    assert (report.errors == 0) is any(expected.values())
    assert str(found[0].image).endswith(names[0])


def test_a_text_in_a_shard_without_its_photo_is_an_error(tmp_path: Path) -> None:
    tar(tmp_path / "0.tar", {"IMG.4.jpg": photo_bytes(1), "IMG.4.txt": "A dog", "IMG.5.txt": "A cow"})
    assert "caption_without_image" in codes(checked(tmp_path))


# Text beside photos


def test_a_caption_of_two_lines_beside_its_json_is_one(tmp_path: Path) -> None:
    """img2dataset's output as files."""
    write_photos(tmp_path, ["a.jpg", "b.jpg"])
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("A dog.\nIt runs.")
    write_json(tmp_path / "a.json", {"caption": "A dog.\nIt runs."})
    write_json(tmp_path / "b.json", {"caption": "Dogs"})
    assert captions(tmp_path) == {"a.jpg": ("A dog.\nIt runs.",), "b.jpg": ("A dog.", "It runs.")}


def test_texts_beside_photos_are_their_captions(tmp_path: Path) -> None:
    write_photos(tmp_path / "10_thing", ["a.jpg", "a.png", "b.JPG", "d.jpg"])
    write_photos(tmp_path / "holiday 2024" / "day.1", ["c.v2.webp"])
    for name, text in {
        "10_thing/a.txt": "\ufeffA dog\nDogs\n\n",
        "10_thing/a.png.txt": "A cow",
        "10_thing/b.caption": "A hen",
        "10_thing/readme.txt": "Not a caption",
        "10_thing/.cutline-sidecars.jsonl": "{}\n",
        "holiday 2024/day.1/c.v2.txt": "A cat",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = load(tmp_path)
    assert {each.key: (each.captions, each.repeats) for each in found} == {
        "10_thing/a.jpg": (("A dog", "Dogs"), 10),
        "10_thing/a.png": (("A cow",), 10),
        "10_thing/b.JPG": (("A hen",), 10),
        "holiday 2024/day.1/c.v2.webp": (("A cat",), 1),
    }
    report = checked(tmp_path)
    assert codes(report) >= {"photos_repeated", "image_without_caption", "caption_without_image"}
    assert report.errors == 0
    assert {each.repeats for each in load(tmp_path / "10_thing")} == {10}


def test_what_programs_keep_beside_photos_is_no_part_of_a_data_set(tmp_path: Path) -> None:
    for folder in ("@anna", "@eaDir", "Photos.lrdata", "#recycle", ".thumbnails"):
        write_photos(tmp_path / folder, ["a.jpg"])
        (tmp_path / folder / "a.txt").write_text("A dog")
    assert [each.key for each in load(tmp_path)] == ["@anna/a.jpg"]


def test_a_folder_named_for_its_year_or_number_repeats_nothing(tmp_path: Path) -> None:
    for folder in ("2024_summer", "01_beach"):
        write_photos(tmp_path / folder, ["a.jpg"])
        (tmp_path / folder / "a.txt").write_text("A dog")
    assert {each.repeats for each in load(tmp_path)} == {1}


def test_folders_of_texts_may_be_splits(tmp_path: Path) -> None:
    for folder in ("train/3_cat", "val"):
        write_photos(tmp_path / folder, ["a.jpg"])
        (tmp_path / folder / "a.txt").write_text("A dog")
    found = load(tmp_path, split=None)
    assert [(each.key, each.split, each.repeats) for each in found] == [
        ("train/3_cat/a.jpg", "train", 3),
        ("val/a.jpg", "dev", 1),
    ]


def test_kohyas_metadata_is_a_map_of_captions(photos: Path) -> None:
    write_json(
        photos / "meta_cap.json", {"a.jpg": {"caption": "A dog", "tags": "x"}, "b.jpg": {"caption": "B"}}
    )
    assert captions(photos / "meta_cap.json") == {"a.jpg": ("A dog",), "b.jpg": ("B",)}


def test_photos_and_texts_may_have_any_ending_that_the_command_takes(tmp_path: Path) -> None:
    names = ["a.jfif", "b.jpe", "c.JPG", "d.jpg", "e.jpg", "f.jpg"]
    write_photos(tmp_path, ["x.jpg"] * len(names))
    for name in names:
        (tmp_path / name).write_bytes((tmp_path / "x.jpg").read_bytes())
    (tmp_path / "x.jpg").unlink()
    for name in ["a.txt", "b.TXT", "C.Caption", "d.cap", "e.text", "f.txt", "f.caption"]:
        (tmp_path / name).write_text(f"Caption of {name}")
    assert captions(tmp_path) == {
        "a.jfif": ("Caption of a.txt",),
        "b.jpe": ("Caption of b.TXT",),
        "c.JPG": ("Caption of C.Caption",),
        "d.jpg": ("Caption of d.cap",),
        "e.jpg": ("Caption of e.text",),
        "f.jpg": ("Caption of f.txt",),
    }
    assert codes(checked(tmp_path)) == set()
