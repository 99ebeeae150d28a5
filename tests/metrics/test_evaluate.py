"""`cutline evaluate` as its users meet it: what is printed, what is written, what is warned of."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captions_for_tests import GOOD, POOR, REFERENCES
from PIL import Image

from cutline.caption_files import FORMATS, CaptionLine, CsvLines, ScoredCaption
from cutline.captioning.options import DecodingOptions, Strategy
from cutline.captioning.protocol import Caption, ModelInfo
from cutline.cli.main import main
from cutline.errors import UnreadableImage
from cutline.evaluation.captions import read_captions
from cutline.images import open_image
from cutline.metrics import TOKENIZER, cider_d, tokenize
from cutline.training.examples import Example

Run = Callable[..., int]
NAMES = [f"photo{index}.png" for index in range(len(REFERENCES))]


class Listed:
    """A captioner that knows the test's photos by their brightness."""

    version = "1.0"

    def __init__(self, name: str, texts: Sequence[str]) -> None:
        self.name = name
        self.defaults = DecodingOptions(strategy=Strategy.BEAM, beam_size=3)
        self.asked: list[DecodingOptions | None] = []
        self._texts = texts

    def about(self) -> ModelInfo:
        """Its name."""
        return ModelInfo(name=self.name, version=self.version)

    def caption(self, images: Sequence[Any], *, n: int = 1, options: Any = None) -> list[list[Caption]]:
        """One caption an image."""
        self.asked.append(options)
        best = [self._caption(open_image(image)) for image in images]
        return [
            [each, *(replace(each, text=f"{each.text} {m}") for m in ("Indeed", "Really")[: n - 1])]
            for each in best
        ]

    def _caption(self, image: Image.Image) -> Caption:
        index = round(float(np.asarray(image).mean()) / 20)
        if index >= len(self._texts):
            raise UnreadableImage("The captioner chokes on this photo.")
        return Caption(text=self._texts[index], log_prob=-1.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten photos in the dev split, each with three captions, and one more in train."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    rows = []
    for index, (name, captions) in enumerate(zip(NAMES, REFERENCES, strict=True)):
        Image.new("RGB", (60, 40), (index * 20,) * 3).save(folder / name)
        rows.append({"file_name": name, "captions": captions, "split": "dev"})
    Image.new("RGB", (60, 40), (90, 90, 90)).save(folder / "learned.png")
    rows.append({"file_name": "learned.png", "captions": ["A learned photo.", "One more."], "split": "train"})
    (folder / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def systems() -> dict[str | None, Listed]:
    return {None: Listed("good", GOOD), "poor": Listed("poor", POOR), "partial": Listed("partial", GOOD[:9])}


@pytest.fixture
def evaluate(systems: dict[str | None, Listed]) -> Run:
    def run(*arguments: str | Path) -> int:
        return main(["evaluate", "--no-java", *map(str, arguments)], load=lambda uri: systems[uri])

    return run


def captions_file(path: Path, texts: Sequence[str], names: Sequence[str] = NAMES) -> Path:
    lines = [
        {"file": name, "model": "files@2", "captions": [{"text": text, "log_prob": -1.0}]}
        for name, text in zip(names, texts, strict=False)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def report(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "evaluation.json").read_text())
    return loaded


def value(scores: list[dict[str, Any]], name: str) -> float:
    [score] = [score for score in scores if score["name"] == name]
    return float(score["value"])


# What is found


def test_the_scores_are_those_of_the_library(evaluate: Run, data: Path, tmp_path: Path) -> None:
    assert evaluate("default", data, "--output", tmp_path / "out") == 0
    found = report(tmp_path / "out")
    words = [[tokenize(text) for text in texts] for texts in REFERENCES]
    corpus, items = cider_d(words, [tokenize(text) for text in GOOD])
    assert value(found["scores"], "CIDEr-D") == pytest.approx(100 * corpus, abs=1e-4)
    assert [item["scores"]["CIDEr-D"] for item in found["items"]] == pytest.approx(100 * items, abs=1e-4)


def test_every_score_states_who_computed_it_on_whose_words(evaluate: Run, data: Path, tmp_path: Path) -> None:
    evaluate("default", data, "--output", tmp_path / "out")
    scores = report(tmp_path / "out")["scores"]
    assert {score["name"] for score in scores} >= {
        "BLEU-1",
        "BLEU-4",
        "METEOR",
        "ROUGE-L",
        "SPICE",
        "distinct-2",
    }
    assert all(score["tokenizer"] == TOKENIZER and re.search(r"\d\.\d", score["by"]) for score in scores)


def test_what_is_not_computed_says_why(evaluate: Run, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate("default", data)
    assert re.search(
        r"^METEOR +not computed \(Java programs were switched off\.\)$", capsys.readouterr().out, re.M
    )


def test_provenance_tells_system_options_and_data(
    evaluate: Run, data: Path, systems: dict[str | None, Listed], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("default", data, "--beam-size", "5", "--strategy", "beam")
    out = capsys.readouterr().out
    assert "System: good@1.0 (strategy beam, beam_size 5)" in out
    assert "Data: scenes, split dev: 10 photos, 30 captions" in out
    assert re.search(r"Data hash: sha256:[0-9a-f]{64}", out)
    assert set(systems[None].asked) == {DecodingOptions(beam_size=5, strategy=Strategy.BEAM)}


def test_the_same_evaluation_gives_the_same_bytes(evaluate: Run, data: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        evaluate("default", data, "--against", "poor", "--output", tmp_path / name)
    for file in ("evaluation.json", "evaluation.md", "evaluation.html", "captions.jsonl"):
        one, two = ((tmp_path / name / file).read_bytes() for name in ("one", "two"))
        assert one == two
        assert str(tmp_path).encode() not in one


def test_a_part_of_a_split_is_scored_on_the_scale_of_the_whole(
    evaluate: Run, data: Path, tmp_path: Path
) -> None:
    evaluate("default", data, "--output", tmp_path / "whole")
    evaluate("default", data, "--limit", "3", "--output", tmp_path / "part")
    whole, part = report(tmp_path / "whole"), report(tmp_path / "part")
    assert part["items"] == whole["items"][:3]
    assert (part["data"]["photos"], part["data"]["whole_split"]) == (3, 10)
    assert part["data"]["hash"] != whole["data"]["hash"]


# Two systems


def test_a_better_system_is_ahead_and_the_order_does_not_matter(
    evaluate: Run, data: Path, tmp_path: Path
) -> None:
    evaluate("default", data, "--against", "poor", "--output", tmp_path / "forth")
    evaluate("poor", data, "--against", "default", "--output", tmp_path / "back")
    forth, back = (
        {each["name"]: each for each in report(tmp_path / name)["versus"]} for name in ("forth", "back")
    )
    for name in ("BLEU-4", "ROUGE-L", "CIDEr-D"):
        assert forth[name]["test"]["low"] > 0
        assert forth[name]["test"]["p_value"] < 0.05
        assert forth[name]["test"]["difference"] == pytest.approx(-back[name]["test"]["difference"])
    scores = report(tmp_path / "forth")
    assert forth["BLEU-4"]["first"] == pytest.approx(value(scores["scores"], "BLEU-4"))
    assert forth["BLEU-4"]["second"] == pytest.approx(value(scores["other_scores"], "BLEU-4"))
    assert "good@1.0 ahead" in (tmp_path / "forth" / "evaluation.md").read_text()


def test_a_system_does_not_differ_from_itself(
    evaluate: Run, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("default", data, "--against", "default")
    assert "CIDEr-D: +0.00 (+0.00 to +0.00, p 1.000): no difference shown" in capsys.readouterr().out


# Captions from a file


def test_captions_of_a_file_score_as_those_of_the_model(evaluate: Run, data: Path, tmp_path: Path) -> None:
    evaluate("default", data, "--output", tmp_path / "model")
    assert (
        evaluate(data, "--captions", tmp_path / "model" / "captions.jsonl", "--output", tmp_path / "file")
        == 0
    )
    model, file = report(tmp_path / "model"), report(tmp_path / "file")
    assert file["scores"] == model["scores"]
    assert file["system"]["name"] == "good@1.0"


def test_captions_of_a_csv_file_score_as_those_of_json_lines(
    evaluate: Run, data: Path, tmp_path: Path
) -> None:
    """A caption that looks like a formula is escaped in CSV, and read as it was."""
    table, format_ = tmp_path / "c.csv", CsvLines(1)
    texts = ["=1+1 is on the wall", *GOOD[1:]]
    lines = [
        CaptionLine(file=name, model="good@1.0", captions=(ScoredCaption(text=text, log_prob=-1.5),))
        for name, text in zip(NAMES, texts, strict=True)
    ]
    table.write_bytes(format_.header() + b"".join(map(format_.encode, lines)))
    assert "'=1+1" in table.read_text()
    assert evaluate(data, "--captions", table, "--output", tmp_path / "out") == 0
    assert [item["caption"] for item in report(tmp_path / "out")["items"]] == texts
    (tmp_path / "other.csv").write_text("photo,words\na.jpg,A dog\n")
    assert evaluate(data, "--captions", tmp_path / "other.csv") == 1


def lines_of(rows: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def turns(text: str) -> list[dict[str, str]]:
    return [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": text}]


FOREIGN: dict[str, Callable[[list[tuple[str, str]]], str]] = {
    "coco results.json": lambda pairs: json.dumps(
        [{"image_id": n, "caption": text} for n, (_, text) in enumerate(pairs)]
    ),
    "coco names.json": lambda pairs: json.dumps([{"image_id": n, "caption": t} for n, t in pairs]),
    "map.json": lambda pairs: json.dumps(dict(pairs)),
    "blip.json": lambda pairs: json.dumps([{"image": f"x/{n}", "caption": [t]} for n, t in pairs]),
    "blip.jsonl": lambda pairs: lines_of([{"image": n, "caption": t} for n, t in pairs]),
    "file and caption.jsonl": lambda pairs: lines_of([{"file": n, "caption": t} for n, t in pairs]),
    "llava.json": lambda pairs: json.dumps([{"image": n, "conversations": turns(t)} for n, t in pairs]),
    "label studio.json": lambda pairs: json.dumps(
        [
            {
                "data": {"image": f"/data/upload/1/8f3b2c1d-{n}"},
                "annotations": [{"result": [{"value": {"text": [t]}, "type": "textarea"}]}],
            }
            for n, t in pairs
        ]
    ),
    "windows.csv": lambda pairs: "image;caption\n" + "".join(f'C:\\set\\{n};"{t}"\n' for n, t in pairs),
    "plain.tsv": lambda pairs: "".join(f"{n}\t{t}\n" for n, t in pairs),
}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", FOREIGN)
def test_captions_of_other_programs_score_as_ours_do(
    evaluate: Run, data: Path, tmp_path: Path, name: str, encoding: str
) -> None:
    path = tmp_path / name
    path.write_bytes(FOREIGN[name](list(zip(NAMES, GOOD, strict=True))).encode(encoding))
    assert evaluate(data, "--captions", path, "--output", tmp_path / "out") == 0
    assert [item["caption"] for item in report(tmp_path / "out")["items"]] == list(GOOD)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_our_own_captions_are_read_in_any_unicode_encoding(
    evaluate: Run, data: Path, tmp_path: Path, suffix: str, encoding: str
) -> None:
    format_ = FORMATS[suffix](1)
    lines = [
        CaptionLine(file=name, model="good@1.0", captions=(ScoredCaption(text=text, log_prob=-1.5),))
        for name, text in zip(NAMES, GOOD, strict=True)
    ]
    text = (format_.header() + b"".join(map(format_.encode, lines))).decode().replace("\n", "\r\n")
    path = tmp_path / f"c{suffix}"
    path.write_bytes(text.encode(encoding))
    assert evaluate(data, "--captions", path, "--output", tmp_path / "out") == 0
    assert [item["caption"] for item in report(tmp_path / "out")["items"]] == list(GOOD)
    assert report(tmp_path / "out")["system"]["name"] == "good@1.0"


def test_coco_results_are_matched_by_the_ids_of_a_coco_data_set(evaluate: Run, tmp_path: Path) -> None:
    images = [{"id": 500 + n, "file_name": name} for n, name in enumerate(NAMES)]
    annotations = [
        {"id": 10 * n + m, "image_id": 500 + n, "caption": text}
        for n, texts in enumerate(REFERENCES)
        for m, text in enumerate(texts)
    ]
    (tmp_path / "set").mkdir()
    path = tmp_path / "set" / "captions_val2017.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": []}))
    results = [{"image_id": 500 + n, "caption": text} for n, text in enumerate(GOOD)]
    (tmp_path / "results.json").write_text(json.dumps(results))
    arguments = ("--images", "none", "--captions", tmp_path / "results.json", "--output", tmp_path / "out")
    assert evaluate(tmp_path / "set", *arguments) == 0
    assert [item["caption"] for item in report(tmp_path / "out")["items"]] == list(GOOD)


def test_names_match_whatever_their_accents_are_composed_of(
    evaluate: Run, data: Path, tmp_path: Path
) -> None:
    nfc, nfd = (unicodedata.normalize(form, "Z\u00fcrich.png") for form in ("NFC", "NFD"))
    table = data / "captions.jsonl"
    table.write_text(table.read_text().replace(NAMES[0], nfd))
    (data / NAMES[0]).rename(data / nfd)
    path = captions_file(tmp_path / "c.jsonl", GOOD, [f"elsewhere\\{nfc}", *NAMES[1:]])
    assert evaluate(data, "--captions", path, "--output", tmp_path / "out") == 0


def test_lines_are_matched_by_path_or_name_and_the_last_counts(
    evaluate: Run, data: Path, tmp_path: Path
) -> None:
    names = [str(data / NAMES[0]), f"elsewhere/{NAMES[1]}", *NAMES[2:]]
    path = captions_file(tmp_path / "c.jsonl", GOOD, names)
    path.write_text(captions_file(tmp_path / "old.jsonl", POOR, NAMES).read_text() + path.read_text())
    evaluate(data, "--captions", path, "--output", tmp_path / "out")
    assert [item["caption"] for item in report(tmp_path / "out")["items"]] == list(GOOD)


def read(path: Path, examples: Sequence[Example], known: Sequence[Example] = ()) -> dict[str, str]:
    return dict(read_captions(path, examples, known=known).captions)


def examples_of(root: Path, names: Sequence[str], ids: Sequence[str] = ()) -> list[Example]:
    return [
        Example(key=name, image=root / name, captions=(), split="dev", source="set", image_id=image_id)
        for name, image_id in zip(names, ids or [""] * len(names), strict=True)
    ]


@pytest.mark.parametrize(
    ("names", "ids", "said", "wanted"),
    [
        (["img_7.jpg", "b.jpg"], [], {"photo_7": "no", "b": "B"}, {"b.jpg": "B"}),
        (["img_7.jpg", "b.jpg"], [], {"7": "7", "b": "B"}, {"img_7.jpg": "7", "b.jpg": "B"}),
        (["1.jpg", "img_1.jpg"], [], {"1": "One"}, {"1.jpg": "One"}),
        (["x_1.jpg", "y_1.jpg", "b.jpg"], [], {"1": "no", "b": "B"}, {"b.jpg": "B"}),
        (["img_0.jpg", "img_1.jpg"], ["1", "3"], {"1": "One", "2": "no"}, {"img_0.jpg": "One"}),
        (
            ["img_0.jpg", "9.jpg"],
            ["1", "2"],
            {"9": "Nine", "01": "One"},
            {"img_0.jpg": "One", "9.jpg": "Nine"},
        ),
    ],
)
def test_results_are_matched_by_name_or_id_and_by_a_number_only_where_it_is_clear(
    tmp_path: Path, names: list[str], ids: list[str], said: dict[str, str], wanted: dict[str, str]
) -> None:
    results = [{"image_id": each, "caption": text} for each, text in said.items()]
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert read(tmp_path / "results.json", examples_of(tmp_path, names, ids)) == wanted


def test_captions_of_photos_that_are_not_asked_for_go_to_no_other(tmp_path: Path) -> None:
    known = examples_of(
        tmp_path, ["train/a.jpg", "dev/a.jpg", "img_0.jpg", "img_1.jpg"], ["1", "2", "3", "4"]
    )
    (tmp_path / "a.jsonl").write_text(
        lines_of([{"file": f"{folder}/a.jpg", "captions": [folder]} for folder in ("x/dev", "x/train")])
    )
    assert read(tmp_path / "a.jsonl", known[1:2], known) == {"dev/a.jpg": "x/dev"}
    (tmp_path / "b.json").write_text(json.dumps([{"image_id": n, "caption": f"{n}"} for n in (4, 3, 2, 1)]))
    assert read(tmp_path / "b.json", known[3:], known) == {"img_1.jpg": "4"}


@pytest.mark.parametrize(
    ("names", "said", "wanted"),
    [
        (["x/a.jpg", "y/a.jpg"], [r"C:\d\y\a.jpg", r"C:\d\x\A.JPG"], {"y/a.jpg": "0", "x/a.jpg": "1"}),
        (["x/a.jpg"], ["/d/x/a.jpg", "/d/y/a.jpg"], {"x/a.jpg": "0"}),  # y is in no data set
        (["x/a.jpg"], ["/d/y/a.jpg", "/d/x/a.jpg", "a.jpg"], {"x/a.jpg": "2"}),
        (["a.jpg", "b.jpg"], ["/d/x/a.jpg", "/d/y/a.jpg", "/d/x/a.jpg", "b.jpg"], {"b.jpg": "3"}),
        (["É.jpg", "é.jpg"], ["/d/é.jpg", "/d/É.jpg"], {"é.jpg": "0", "É.jpg": "1"}),
        (["a.jpg"], ["a.jpg", "here/a.jpg"], {"a.jpg": "0"}),  # another photo, that is here
        (["a.jpg"], ["here/a.jpg"], {"a.jpg": "0"}),  # or a copy
    ],
)
def test_of_photos_with_one_name_each_gets_its_own_captions(
    tmp_path: Path, names: list[str], said: list[str], wanted: dict[str, str]
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.jpg").touch()
    path = captions_file(tmp_path / "c.jsonl", [str(n) for n in range(len(said))], said)
    assert read(path, examples_of(tmp_path, names)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        'image,caption\na.jpg,"Stop" says a sign\nb.jpg,B\n',
        'image\tcaption\na.jpg\t"Stop" says a sign\nb.jpg\tB\n',
        '{"file": "a.jpg", "captions": ["\\"Stop\\" says a sign"]}\n{"file": "b.jpg", "captions": ["B"]}\n',
    ],
)
def test_tables_are_read_as_trainings_read_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / ("c.jsonl" if text.startswith("{") else "c.csv")
    path.write_text(text)
    found = read(path, examples_of(tmp_path, ["a.jpg", "b.jpg"]))
    assert found == {"a.jpg": '"Stop" says a sign', "b.jpg": "B"}


def test_photos_that_the_file_lacks_count_as_empty_and_are_told(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = captions_file(tmp_path / "c.jsonl", GOOD[:7])
    assert evaluate(data, "--captions", path, "--output", tmp_path / "out") == 1
    assert "no caption for 3 of 10 photos" in capsys.readouterr().err
    missing = report(tmp_path / "out")["items"][7:]
    assert [(item["caption"], item["scores"]["CIDEr-D"]) for item in missing] == [("", 0.0)] * 3
    assert missing[0]["failure"] == "c.jsonl has no caption for it."


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no caption for any"),
        ("not json\n", "line 1: not JSON"),
        ('{"photo": 1}\n', "line 1: not a caption"),
        ('{"file": "photo0.png", "captions": []}\n', "line 1: there is no captions.0.text"),
        ('{"file": "photo0.png", "captions": [{"text": 7}]}\n', "line 1: captions.0.text is not text"),
        ('{"file": "other.png", "captions": [{"text": "x"}]}\n', "no caption for any"),
    ],
)
def test_a_file_that_holds_no_captions_is_one_clear_error(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(text)
    assert evaluate(data, "--captions", path) == 1
    assert complaint in capsys.readouterr().err


def test_several_captions_are_compared_with_each_other_and_the_first_is_scored(
    evaluate: Run, data: Path, tmp_path: Path
) -> None:
    evaluate("default", data, "--output", tmp_path / "one")
    evaluate("default", data, "-n", "3", "--output", tmp_path / "three")
    one, three = report(tmp_path / "one"), report(tmp_path / "three")
    names = [score["name"] for score in three["scores"]]
    assert names[-2:] == ["candidates: words not shared", "candidates: distinct-2"]
    assert three["scores"][:-2] == one["scores"]
    assert 0.2 < value(three["scores"], "candidates: words not shared") < 0.5
    assert "candidates: distinct-2" in (tmp_path / "three" / "evaluation.md").read_text()
    again = tmp_path / "again"
    evaluate(data, "--captions", tmp_path / "three" / "captions.jsonl", "--output", again)
    assert [score["value"] for score in report(again)["scores"]] == [s["value"] for s in three["scores"]]


# What goes wrong


def test_a_photo_that_fails_does_not_stop_the_rest(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("partial", data, "--output", tmp_path / "out") == 1
    assert "no caption for 1 of 10 photos" in capsys.readouterr().err
    items = report(tmp_path / "out")["items"]
    assert [item["caption"] for item in items] == [*GOOD[:9], ""]
    assert "chokes" in items[9]["failure"]
    assert "chokes" in (tmp_path / "out" / "evaluation.html").read_text()


def test_a_photos_name_that_is_no_text_costs_no_report(evaluate: Run, data: Path, tmp_path: Path) -> None:
    """Such as one in Latin-1, which Python reads as half characters."""
    name, listing = os.fsdecode(b"caf\xe9.png"), data / "captions.jsonl"
    (data / NAMES[0]).rename(data / name)
    rows = [json.loads(line) for line in listing.read_text().splitlines()]
    rows[0]["file_name"] = name
    listing.write_text(lines_of(rows))
    out = tmp_path / "out"
    assert evaluate("default", data, "--output", out) == 0
    assert name in [item["key"] for item in report(out)["items"]]
    assert evaluate(data, "--captions", out / "captions.jsonl") == 0


def test_a_training_split_is_warned_of(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("default", data, "--split", "train", "--output", tmp_path / "out")
    assert "This is a training split" in capsys.readouterr().err
    for file in ("evaluation.md", "evaluation.html"):
        assert "This is a training split" in (tmp_path / "out" / file).read_text()
    evaluate("default", data)
    assert "training split" not in capsys.readouterr().err


def test_an_empty_split_says_what_there_is(
    evaluate: Run, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("default", data, "--split", "test") == 1
    err = capsys.readouterr().err
    assert "no photos in the split 'test'" in err
    assert "dev: 10 photos" in err


def test_wrong_usage_is_exit_code_2(evaluate: Run, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("default") == 2
    assert "Which data set?" in capsys.readouterr().err
    assert evaluate(data, "--captions", "captions.txt") == 2
    assert evaluate("default", data, "--beam-size", "0") == 2


def test_an_output_that_cannot_be_written_fails_before_captioning(
    evaluate: Run, data: Path, systems: dict[str | None, Listed], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert evaluate("default", data, "--output", tmp_path / "file") == 1
    assert systems[None].asked == []


# The page


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.headings: list[str] = []
        self.tags: list[str] = []
        self._heading = False
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note images and headings."""
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        if tag in ("h1", "h2"):
            self._heading = True
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        """End a heading."""
        if tag in ("h1", "h2"):
            self._heading = False

    def handle_data(self, data: str) -> None:
        """Collect a heading's text."""
        if self._heading:
            self.headings[-1] += data


def test_the_page_holds_best_median_and_worst_with_their_photos(
    evaluate: Run, data: Path, tmp_path: Path
) -> None:
    evaluate("default", data, "--output", tmp_path / "out", "--examples", "2")
    page = Page(tmp_path / "out" / "evaluation.html")
    assert page.headings == [
        "good@1.0",
        "Scores",
        "Spread",
        "Best",
        "Median",
        "Worst",
        "Where this comes from",
    ]
    assert len(page.images) == 6
    items = sorted(report(tmp_path / "out")["items"], key=lambda item: -item["scores"]["CIDEr-D"])
    alts = [image["alt"] for image in page.images]
    assert alts[:2] == [item["references"][0] for item in items[:2]]
    assert alts[-2:] == [item["references"][0] for item in items[-2:]]


def test_the_page_needs_nothing_from_elsewhere(evaluate: Run, data: Path, tmp_path: Path) -> None:
    evaluate("default", data, "--output", tmp_path / "out", "--against", "poor")
    page = Page(tmp_path / "out" / "evaluation.html")
    assert all(str(image["src"]).startswith("data:image/jpeg;base64,") for image in page.images)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "://" not in (tmp_path / "out" / "evaluation.html").read_text()


def test_captions_cannot_smuggle_markup_into_the_reports(evaluate: Run, data: Path, tmp_path: Path) -> None:
    evil = '<script>alert(1)</script> "quoted" | pipe [link](x)'
    path = captions_file(tmp_path / "c.jsonl", [evil] * len(NAMES))
    path.write_text(path.read_text().replace("files@2", "<b>evil|model</b>"))
    evaluate(data, "--captions", path, "--output", tmp_path / "out")
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert "<b>evil" not in page
    assert "<b>" not in (tmp_path / "out" / "evaluation.md").read_text().replace("\\<b\\>", "")


def test_few_items_are_shared_out_once_each(evaluate: Run, data: Path, tmp_path: Path) -> None:
    evaluate("default", data, "--output", tmp_path / "out", "--limit", "4", "--examples", "6")
    alts = [image["alt"] for image in Page(tmp_path / "out" / "evaluation.html").images]
    assert len(alts) == len(set(alts)) == 4


def test_json_on_stdout_is_the_whole_report(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("default", data, "--json", "--output", tmp_path / "out")
    assert json.loads(capsys.readouterr().out) == report(tmp_path / "out")


def test_evaluating_captions_imports_no_torch_and_no_runtime(data: Path, tmp_path: Path) -> None:
    path = captions_file(tmp_path / "c.jsonl", GOOD)
    code = (
        "import sys\nfrom cutline.cli.main import main\n"
        f"code = main(['evaluate', {str(data)!r}, '--captions', {str(path)!r}, '--no-java'])\n"
        "print(code, [name for name in ('torch', 'onnxruntime', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
