"""Every layout becomes the same examples, and what is malformed is refused with its place."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset  # type: ignore[import-untyped]
from tiny_data import coco_captions, flickr8k, photo, photo_bytes, write_json, write_photos
from webdataset.tariterators import (  # type: ignore[import-untyped]
    group_by_keys,
    tar_file_iterator,
)

from cutline.caption_files import FORMATS, CaptionLine, ScoredCaption
from cutline.errors import ConfigError, DataError, ImageMissing, UnreadableImage
from cutline.training.datasets import (
    KINDS,
    DataConfig,
    Example,
    TarMember,
    canonical_split,
    content_hash,
    data_hash,
    describe,
    load_examples,
    open_example,
    split_examples,
)


def load(path: Path, **options: Any) -> list[Example]:
    return load_examples(DataConfig(path=str(path), **options))


def splits(examples: list[Example]) -> dict[str, str]:
    return {example.key: example.split for example in examples}


# Flickr8k


def test_flickr8k_gives_photos_captions_and_its_own_splits(tmp_path: Path) -> None:
    flickr8k(tmp_path, {"train": ["a.jpg", "b.jpg"], "dev": ["c.jpg"], "test": ["d.jpg"]})
    examples = load(tmp_path)
    assert splits(examples) == {"a.jpg": "train", "b.jpg": "train", "c.jpg": "dev", "d.jpg": "test"}
    first = examples[0]
    assert first.captions == ("A dog number 0 runs in a.jpg .", "A dog number 1 runs in a.jpg .")
    assert first.image == tmp_path / "Flicker8k_Dataset" / "a.jpg"
    assert first.source == tmp_path.name
    assert open_example(first).size == (96, 80)
    assert describe(examples) == (
        "train: 2 photos, 4 captions; dev: 1 photos, 2 captions; test: 1 photos, 2 captions"
    )


def test_photos_that_flickr8k_puts_in_no_split_are_unused(tmp_path: Path) -> None:
    flickr8k(tmp_path, {"train": ["a.jpg"], "dev": ["b.jpg"]})
    tokens = tmp_path / "Flickr8k_text" / "Flickr8k.token.txt"
    tokens.write_text(tokens.read_text() + "gone.jpg.1#0\tA dog .\n")  # as in the published file
    assert splits(load(tmp_path)) == {"a.jpg": "train", "b.jpg": "dev"}


def test_kaggles_copy_of_flickr8k_is_read(tmp_path: Path) -> None:
    write_photos(tmp_path / "Images", ["a.jpg", "b.jpg"])
    (tmp_path / "captions.txt").write_text(
        'image,caption\na.jpg,"A dog , a cat ."\na.jpg,Dogs , cats , mice\nb.jpg,A cow\n'
    )
    examples = load(tmp_path, split="train")
    assert [example.captions for example in examples] == [
        ("A dog , a cat .", "Dogs , cats , mice"),
        ("A cow",),
    ]
    (tmp_path / "captions.txt").write_text("image,caption\na.jpg,Dogs\nb.jpg\n")
    with pytest.raises(DataError, match="line 3: expected image,caption"):
        load(tmp_path, split="train")


def test_a_photo_in_two_of_flickr8ks_splits_is_refused(tmp_path: Path) -> None:
    flickr8k(tmp_path, {"train": ["a.jpg", "b.jpg"], "dev": ["b.jpg"]})
    with pytest.raises(DataError, match=r"b\.jpg: listed in train and in dev"):
        load(tmp_path)


def test_a_malformed_line_is_refused_with_its_number(tmp_path: Path) -> None:
    flickr8k(tmp_path, {"train": ["a.jpg"]})
    tokens = tmp_path / "Flickr8k_text" / "Flickr8k.token.txt"
    tokens.write_text(tokens.read_text() + "\na.jpg A dog\n")
    with pytest.raises(DataError, match="line 4"):
        load(tmp_path)


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    flickr8k(tmp_path, {"train": ["a.jpg"]})
    tokens = tmp_path / "Flickr8k_text" / "Flickr8k.token.txt"
    tokens.write_bytes(tokens.read_bytes() + "a.jpg#9\tA caf\u00e9\n".encode("latin-1"))
    with pytest.raises(DataError, match="line 3: not UTF-8"):
        load(tmp_path)


# COCO


def test_coco_splits_come_from_the_file_names(tmp_path: Path) -> None:
    for split, names in (("train2017", ["1.jpg", "2.jpg"]), ("val2017", ["3.jpg"])):
        write_photos(tmp_path / split, names)
        captions = {name: [f"A dog in {name}.", "A dog."] for name in names}
        coco_captions(tmp_path / "annotations" / f"captions_{split}.json", captions)
    examples = load(tmp_path)
    assert splits(examples) == {"1.jpg": "train", "2.jpg": "train", "3.jpg": "dev"}
    assert examples[2].image == tmp_path / "val2017" / "3.jpg"
    assert examples[2].captions == ("A dog in 3.jpg.", "A dog.")


def test_one_coco_file_and_a_folder_of_photos_elsewhere(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", ["1.jpg"])
    path = coco_captions(tmp_path / "captions_val2014.json", {"1.jpg": ["A dog."]})
    (example,) = load(path, images=str(tmp_path / "photos"))
    assert (example.split, example.image) == ("dev", tmp_path / "photos" / "1.jpg")


def test_coco_of_both_years_at_once_is_refused(tmp_path: Path) -> None:
    for year in (2014, 2017):
        coco_captions(tmp_path / f"captions_train{year}.json", {"1.jpg": ["A dog."]})
    with pytest.raises(DataError, match="2014 and 2017"):
        load(tmp_path)


def test_reading_coco_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(coco_captions(tmp_path / "captions_train2014.json", {"1.jpg": ["A dog."]}), images="none")
    assert capsys.readouterr().out == ""


def test_a_coco_caption_for_no_image_is_refused(tmp_path: Path) -> None:
    path = coco_captions(tmp_path / "captions_train2014.json", {"1.jpg": ["A dog."]})
    content = json.loads(path.read_text())
    content["annotations"].append({"id": 7, "image_id": 99, "caption": "A cat."})
    write_json(path, content)
    with pytest.raises(DataError, match=r"annotation 7: no image has the id 99"):
        load(path, images="none")


@pytest.mark.parametrize(
    "content",
    [
        {"images": [{"id": 1}], "annotations": []},
        {"images": [], "annotations": [{"id": 1, "image_id": 1}]},
        {"annotations": [], "images": 3},
        {"images": [{"id": 1, "file_name": 5}], "annotations": []},
        {
            "images": [{"id": 1, "file_name": "a.jpg"}],
            "annotations": [{"id": 1, "image_id": 1, "caption": None}],
        },
        [1, 2],
    ],
)
def test_json_that_is_not_coco_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DataError):
        load(write_json(tmp_path / "captions_train2014.json", content), kind="coco", images="none")


# Karpathy


def karpathy(path: Path) -> Path:
    rows = [("val2014", "1.jpg", "restval"), ("val2014", "2.jpg", "val"), ("train2014", "3.jpg", "train")]
    images = [
        {
            "filepath": folder,
            "filename": name,
            "split": split,
            "sentences": [{"raw": "A dog."}, {"raw": "Dogs."}],
        }
        for folder, name, split in rows
    ]
    return write_json(path, {"dataset": "coco", "images": images})


def test_karpathys_restval_is_training_data(tmp_path: Path) -> None:
    write_photos(tmp_path, ["val2014/1.jpg", "val2014/2.jpg", "train2014/3.jpg"])
    karpathy(tmp_path / "dataset_coco.json")
    examples = load(tmp_path)
    assert splits(examples) == {"val2014/1.jpg": "train", "val2014/2.jpg": "dev", "train2014/3.jpg": "train"}
    assert examples[0].captions == ("A dog.", "Dogs.")
    assert examples[0].image == tmp_path / "val2014" / "1.jpg"


def test_karpathys_file_without_folders_finds_photos_where_it_is_told(tmp_path: Path) -> None:
    write_photos(tmp_path / "Flicker8k_Dataset", ["1.jpg"])
    image = {"filename": "1.jpg", "split": "test", "sentences": [{"raw": "A dog"}]}
    path = write_json(tmp_path / "dataset_flickr8k.json", {"images": [image]})
    (example,) = load(path)
    assert (example.split, example.image) == ("test", tmp_path / "Flicker8k_Dataset" / "1.jpg")


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    image = {"filename": "1.jpg", "split": "holdout", "sentences": [{"raw": "A dog"}]}
    path = write_json(tmp_path / "dataset_x.json", {"images": [image]})
    with pytest.raises(DataError, match="'holdout' is not train"):
        load(path, kind="karpathy", images="none")


# A folder with a table


def test_jsonl_with_one_caption_a_row_or_many(tmp_path: Path) -> None:
    write_photos(tmp_path, ["a.jpg", "sub/b.jpg"])
    rows = [
        {"image": "a.jpg", "caption": "A dog", "split": "train"},
        {"image": "sub/b.jpg", "captions": ["A cow", "Cows"], "split": "val"},
        {"image": "a.jpg", "caption": "Dogs", "split": "train"},
    ]
    (tmp_path / "captions.jsonl").write_text("\ufeff" + "\n\n".join(map(json.dumps, rows)), encoding="utf-8")
    examples = load(tmp_path)
    assert [(e.key, e.captions, e.split) for e in examples] == [
        ("a.jpg", ("A dog", "Dogs"), "train"),
        ("sub/b.jpg", ("A cow", "Cows"), "dev"),
    ]
    assert examples[1].image == tmp_path / "sub" / "b.jpg"


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".csv", ";"), (".tsv", "\t")])
def test_csv_with_quotes_line_breaks_and_several_caption_columns(
    tmp_path: Path, suffix: str, delimiter: str
) -> None:
    write_photos(tmp_path / "images", ["a.jpg"])
    path = tmp_path / f"mine{suffix}"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([["File_Name", "caption_1", "caption_2"], ["a.jpg", "A dog, a cat;\nwet", "Dogs"]])
    (example,) = load(path, split="train")
    assert example.captions == ("A dog, a cat;\nwet", "Dogs")
    assert example.image == tmp_path / "images" / "a.jpg"


def test_a_table_in_each_splits_folder(tmp_path: Path) -> None:
    for folder in ("train", "val"):
        write_photos(tmp_path / folder, ["1.jpg"])
        (tmp_path / folder / "metadata.jsonl").write_text('{"file_name": "1.jpg", "text": "A dog"}\n')
    examples = load(tmp_path)
    assert splits(examples) == {"train/1.jpg": "train", "val/1.jpg": "dev"}
    assert [example.image for example in examples] == [
        tmp_path / "train" / "1.jpg",
        tmp_path / "val" / "1.jpg",
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("captions.csv", "image,caption\na.jpg,A dog, a cat\n", "line 2: 3 columns where the header has 2"),
        ("captions.jsonl", '{"image": "a.jpg", "caption": "A dog"}\n{"image"\n', "line 2: not JSON"),
        ("captions.jsonl", '{"caption": "A dog"}\n', "line 1: no photo is named"),
        ("captions.jsonl", "[1]\n", "line 1: expected an object"),
        (
            "captions.jsonl",
            '{"image": "a.jpg", "split": "train"}\n{"image": "a.jpg", "split": "dev"}\n',
            r"a\.jpg: listed in train and in dev",
        ),
    ],
)
def test_a_bad_row_is_refused_with_its_place(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        load(tmp_path, images="none")


# Webdataset shards


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_what_the_command_wrote_can_be_trained_on(tmp_path: Path, suffix: str) -> None:
    write_photos(tmp_path, ["a.jpg"])
    lines = FORMATS[suffix](2)
    captions = tuple(ScoredCaption(text=text, log_prob=-1.0) for text in ("=A dog", "A cat"))
    line = CaptionLine(file="a.jpg", model="base@1", captions=captions)
    (tmp_path / f"captions{suffix}").write_bytes(lines.header() + lines.encode(line))
    (found,) = load(tmp_path)
    assert found.captions == ("=A dog", "A cat")


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_table_for_each_split_beside_a_folder_of_photos(tmp_path: Path, suffix: str) -> None:
    write_photos(tmp_path / "images", ["a.jpg", "b.jpg", "c.jpg"])
    for split, name in (("train", "a.jpg"), ("val", "b.jpg"), ("test", "c.jpg")):
        row = {"image": name, "caption": "A dog"}
        text = json.dumps(row) if suffix == "jsonl" else "\n".join(map(",".join, (row.keys(), row.values())))
        (tmp_path / f"{split}.{suffix}").write_text(text + "\n")
    examples = load(tmp_path)
    assert splits(examples) == {"train/a.jpg": "train", "val/b.jpg": "dev", "test/c.jpg": "test"}
    assert all(isinstance(each.image, Path) and each.image.is_file() for each in examples)


def test_a_folders_only_table_may_have_any_name(tmp_path: Path) -> None:
    write_photos(tmp_path, ["a.jpg"])
    (tmp_path / "labels.csv").write_text("filename,caption\na.jpg,A dog\n")
    assert [example.captions for example in load(tmp_path, split="train")] == [("A dog",)]
    (tmp_path / "prices.csv").write_text("filename,price\na.jpg,3\n")
    with pytest.raises(DataError, match="not a data set of a kind"):
        load(tmp_path, split="train")


def test_captions_as_the_caption_command_writes_them_are_texts(tmp_path: Path) -> None:
    """Not the JSON around them: a decoder would learn to write {'text': ...}."""
    write_photos(tmp_path, ["a.jpg"])
    row: dict[str, Any] = {"file": "a.jpg", "captions": [{"text": "A dog", "log_prob": -1.5}]}
    (tmp_path / "captions.jsonl").write_text(json.dumps(row) + "\n")
    assert [example.captions for example in load(tmp_path, split="train")] == [("A dog",)]
    row["captions"].append({"score": 3})
    (tmp_path / "captions.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match="line 1: a caption is not a text"):
        load(tmp_path, split="train")


def write_shards(folder: Path, *, count: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(count):
        with webdataset.TarWriter(str(folder / f"train-{shard:04d}.tar")) as writer:
            for number in range(3):
                seed = shard * 3 + number
                sample = {"__key__": f"{number:05d}", "jpg": photo_bytes(seed)}
                captions: dict[str, Any] = (
                    {"txt": f"A dog {seed}\nDogs\n"} if number else {"json": {"captions": ["A cow"]}}
                )
                writer.write({**sample, **captions})


def test_webdataset_shards_give_photos_as_bytes(tmp_path: Path) -> None:
    write_shards(tmp_path)
    examples = load(tmp_path)
    assert [example.key for example in examples[2:5]] == [
        "train-0000/00002",
        "train-0001/00000",
        "train-0001/00001",
    ]
    assert examples[0].captions == ("A cow",)
    assert examples[4].captions == ("A dog 4", "Dogs")
    assert {example.split for example in examples} == {"train"}
    image = examples[4].image
    assert isinstance(image, TarMember)
    assert image.read_bytes() == photo_bytes(4)
    difference = np.asarray(open_example(examples[4])).astype(int) - np.asarray(photo(4)).astype(int)
    assert np.abs(difference).mean() < 5


def test_shards_of_one_name_in_two_folders_keep_their_photos_apart(tmp_path: Path) -> None:
    for folder in ("cc3m", "sbu"):
        write_shards(tmp_path / folder, count=1)
    write_shards(tmp_path, count=2)
    (tmp_path / "train-0000.tar").unlink()
    keys = [example.key for example in load(tmp_path)]
    assert len(set(keys)) == 9
    assert {key.rpartition("/")[0] for key in keys} == {"cc3m/train-0000", "sbu/train-0000", "train-0001"}


@pytest.mark.parametrize("pattern", ["train-*[01].tar", "train-{0000..0001}.tar", "train-000?.tar"])
def test_shards_by_pattern(tmp_path: Path, pattern: str) -> None:
    write_shards(tmp_path, count=2)
    write_shards(tmp_path / "more", count=1)
    assert len(load(tmp_path / pattern, kind="webdataset")) == 6


def test_samples_are_those_that_webdataset_itself_sees(tmp_path: Path) -> None:
    path = tmp_path / "0001.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("x/a.b.txt", "x/a.jpg", "y/a.txt", "y/a.jpg", "y/c.seg.jpg", "y/c.txt"):
            data = photo_bytes(1) if name.endswith("jpg") else b"A dog"
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    with path.open("rb") as stream:  # WebDataset itself would leave the file open
        files = ({**file, "__url__": "x"} for file in tar_file_iterator(stream))
        theirs = [sample["__key__"] for sample in group_by_keys(files)]
    problems: list[Any] = []
    ours = load_examples(DataConfig(path=str(path), split="train"), report=problems.append)
    assert [example.key for example in ours] == [f"0001/{key}" for key in theirs]
    assert problems == []
    assert len(theirs) == 3


def test_a_shard_cut_short_is_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, count=1)
    path = tmp_path / "train-0000.tar"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"train-0000\.tar: not a complete, uncompressed tar"):
        load(tmp_path)


def test_a_shard_that_shrinks_after_it_was_listed_is_one_clear_error(tmp_path: Path) -> None:
    write_shards(tmp_path, count=1)
    examples = load(tmp_path)
    path = tmp_path / "train-0000.tar"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ImageMissing, match="cut short"):
        open_example(examples[2])


def test_a_compressed_shard_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "train.tar", "w:gz"):
        pass
    with pytest.raises(DataError, match="uncompressed"):
        load(tmp_path)


def test_an_unreadable_photo_in_a_shard_is_named(tmp_path: Path) -> None:
    with webdataset.TarWriter(str(tmp_path / "train.tar")) as writer:
        writer.write({"__key__": "bad", "jpg": b"\xff\xd8\xff nothing", "txt": "A dog"})
    (example,) = load(tmp_path)
    with pytest.raises(UnreadableImage, match=r"train\.tar!bad\.jpg"):
        open_example(example)


def test_captions_without_a_photo_in_a_shard_are_refused(tmp_path: Path) -> None:
    with webdataset.TarWriter(str(tmp_path / "train.tar")) as writer:
        writer.write({"__key__": "lonely", "txt": "A dog"})
    with pytest.raises(DataError, match=r"train\.tar!lonely: these captions have no photo"):
        load(tmp_path)


# A map of captions


def test_a_caption_map_with_a_folder_of_photos(tmp_path: Path) -> None:
    write_photos(tmp_path / "images", ["a.jpg", "b.jpg"])
    write_json(tmp_path / "captions.json", {"a.jpg": ["A dog", " "], "b.jpg": "A cow"})
    examples = load(tmp_path, split="train", source="mine")
    assert [example.captions for example in examples] == [("A dog",), ("A cow",)]
    assert {example.source for example in examples} == {"mine"}


def test_captions_alone_are_training_text(tmp_path: Path) -> None:
    path = write_json(tmp_path / "text.json", {"9": ["A dog", "Dogs"]})
    (example,) = load(path, images="none")
    assert example == Example(key="9", image=None, captions=("A dog", "Dogs"), split="train", source="text")
    with pytest.raises(ImageMissing, match="captions only"):
        open_example(example)


def test_a_caption_map_of_something_else_is_refused(tmp_path: Path) -> None:
    path = write_json(tmp_path / "captions.json", {"a.jpg": [1]})
    with pytest.raises(DataError, match=r"a\.jpg: its captions are not a list of texts"):
        load(path, images="none")


# Splits by content


def dealt(root: Path, **options: Any) -> dict[str, str]:
    return splits(load(root, dev_share=0.3, test_share=0.2, **options))


def test_without_splits_photos_are_dealt_by_content_and_seed(tmp_path: Path) -> None:
    names = [f"{n}.jpg" for n in range(120)]
    write_photos(tmp_path / "images", names)
    write_json(tmp_path / "captions.json", {name: ["A dog"] for name in names})
    first = dealt(tmp_path)
    shares = {split: list(first.values()).count(split) / 120 for split in ("train", "dev", "test")}
    assert shares == pytest.approx({"train": 0.5, "dev": 0.3, "test": 0.2}, abs=0.12)
    assert dealt(tmp_path) == first
    assert dealt(tmp_path, split_seed=1) != first


def test_a_new_photo_moves_no_other_and_a_copy_follows_its_original(tmp_path: Path) -> None:
    names = [f"{n}.jpg" for n in range(30)]
    write_photos(tmp_path / "images", names)
    path = write_json(tmp_path / "captions.json", {name: ["A dog"] for name in names})
    before = dealt(tmp_path)
    for name in names:
        (tmp_path / "images" / f"copy_{name}").write_bytes((tmp_path / "images" / name).read_bytes())
    write_json(path, {name: ["A cat"] for name in (*(f"copy_{name}" for name in names), *reversed(names))})
    after = dealt(tmp_path)
    assert {name: after[name] for name in names} == before
    assert {name: after[f"copy_{name}"] for name in names} == before


def test_of_a_few_photos_one_is_left_to_tune_on(tmp_path: Path) -> None:
    """At 5 in a hundred, chance leaves none of six: and without any, no training begins."""
    names = [f"{n}.jpg" for n in range(6)]
    write_photos(tmp_path / "images", names)
    write_json(tmp_path / "captions.json", {name: ["A dog"] for name in names})
    for seed in range(20):
        found = list(splits(load(tmp_path, split_seed=seed)).values())
        assert found.count("dev") >= 1
        assert found.count("train") >= 1
    assert set(splits(load(tmp_path, dev_share=0.0, test_share=0.0)).values()) == {"train"}


# What holds for all of them


def test_missing_photos_are_refused_or_skipped(tmp_path: Path) -> None:
    flickr8k(tmp_path, {"train": ["a.jpg", "b.jpg"], "dev": ["c.jpg"]})
    (tmp_path / "Flicker8k_Dataset" / "b.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 3 photos are missing \(b\.jpg\).*missing_images"):
        load(tmp_path)
    assert list(splits(load(tmp_path, missing_images="skip"))) == ["a.jpg", "c.jpg"]


def test_the_kind_can_be_told_from_the_files(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"")
    with pytest.raises(DataError, match="not a data set of a kind"):
        load(tmp_path)
    with pytest.raises(DataError, match="no data set at"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "imagenet"},
        {"split": "holdout"},
        {"missing_images": "invent"},
        {"dev_share": 0.6, "test_share": 0.5},
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        DataConfig(path="x", **options)


@pytest.mark.parametrize(
    ("name", "content", "kind", "message"),
    [
        ("captions.json", b"{", "caption-map", "is not JSON"),
        ("captions.json", b'{"a": "caf\xe9"}', "caption-map", "is not UTF-8"),
        ("captions.json", b"[]", "caption-map", "not a map from names to captions"),
        ("captions.json", b"{}", "karpathy", "no list of images"),
        ("dataset_x.json", b'{"images": [{"filename": "1.jpg"}]}', "karpathy", "image 1: KeyError"),
        ("x.txt", b"a.jpg#0\tA dog", "flickr8k", "no captions file"),
        ("x.txt", b"", "webdataset", "not a complete, uncompressed tar"),
    ],
)
def test_a_file_of_another_kind_is_refused(
    tmp_path: Path, name: str, content: bytes, kind: Any, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(path, kind=kind, images="none")


@pytest.mark.parametrize("kind", ["coco", "karpathy", "folder", "webdataset", "flickr8k"])
def test_a_folder_without_the_layouts_files_is_refused(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(DataError, match=re.escape(str(tmp_path))):
        load(tmp_path, kind=kind)


def test_photos_that_lie_nowhere_are_asked_for(tmp_path: Path) -> None:
    path = write_json(tmp_path / "captions.json", {"a.jpg": ["A dog"]})
    with pytest.raises(DataError, match=r"has no photos.*images: none"):
        load(path)
    with pytest.raises(DataError, match="no folder of photos at"):
        load(path, images=str(tmp_path / "nowhere"))


def test_an_empty_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no captions"):
        load(write_json(tmp_path / "captions.json", {"a.jpg": [" "]}), images="none")


def test_the_hash_knows_splits_and_captions_but_not_order_or_place(tmp_path: Path) -> None:
    one = Example(key="a", image=None, captions=("A dog",), split="train", source="s")
    two = Example(key="b", image=tmp_path / "b.jpg", captions=("A cow",), split="dev", source="s")
    moved = Example(key="b", image=tmp_path / "c" / "b.jpg", captions=("A cow",), split="dev", source="s")
    other = Example(key="b", image=None, captions=("A cow",), split="train", source="s")
    assert data_hash([one, two]) == data_hash([moved, one])
    assert data_hash([one, two]) != data_hash([one, other])


def test_splits_go_by_their_customary_names() -> None:
    names = ("train", "restval", "val", "Validation", "dev", "test", "holdout")
    assert [canonical_split(name) for name in names] == ["train", "train", "dev", "dev", "dev", "test", None]
    examples = [Example(key=k, image=None, captions=("x",), split=k, source="s") for k in ("train", "dev")]
    assert split_examples(examples, "dev") == examples[1:]


def test_content_is_hashed_alike_in_a_file_and_in_a_shard(tmp_path: Path) -> None:
    write_shards(tmp_path, count=1)
    image = load(tmp_path)[0].image
    assert isinstance(image, TarMember)
    (tmp_path / "same.jpg").write_bytes(image.read_bytes())
    assert content_hash(image) == content_hash(tmp_path / "same.jpg")


def test_reading_data_needs_no_torch() -> None:
    modules = ("datasets", "text", "vocabulary", "transforms", "data_check")
    code = "import sys\n" + "".join(f"import cutline.training.{name}\n" for name in modules)
    subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], check=True)


def test_every_kind_has_a_reader() -> None:
    from cutline.training.dataset_formats import READERS

    assert set(READERS) == set(KINDS) - {"auto"}
