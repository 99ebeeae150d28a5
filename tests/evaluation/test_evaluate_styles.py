"""`cutline evaluate --styles`: captions that a language model behind a real server writes are judged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cutline.cli.main import main
from cutline.evaluation.style_rows import Row, read_corpus
from cutline.evaluation.style_scores import Answer, StyleJudge, openings, scores
from cutline.evaluation.tones import ToneClassifier
from cutline.styles import Voice
from cutline.styles.guard import parse
from tests.chat_server import Answer as Answered
from tests.chat_server import ChatServer, chat_server, in_words

LINES = {
    "dry": "Well, {thing}. Riveting, one supposes, and quite enough of that.",
    "excited": "Wow, yes, {thing}! Best thing ever, look at it go!",
}
TONES = {"dry": ("deadpan", "wry"), "excited": ("hyped", "exuberant")}
THINGS = ("a dog runs", "a cat sits", "a horse stands", "a bird sings", "a boat floats", "a man waits")


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two families with a tone that is trained on and one that is not; two rows of each are held out."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for family, (trained, unseen) in TONES.items():
        rows = [row(family, trained, thing, "train") for thing in THINGS[:4]]
        rows += [row(family, tone, thing, "held-out") for tone in (trained, unseen) for thing in THINGS[4:]]
        (folder / f"{family}.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in rows))
    return folder


def row(family: str, tone: str, thing: str, split: str) -> dict[str, Any]:
    return {
        "id": f"{tone} {thing}", "description": f"{thing.capitalize()}.", "tone": tone,
        "audience": "personal", "length": "medium", "hashtags": 0, "emoji": False,
        "restraint": False, "split": split, "caption": LINES[family].format(thing=thing),
    }  # fmt: skip


def request_of(request: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = json.loads(request["messages"][-1]["content"])
    return given


def speaks_dryly(_count: int, request: dict[str, Any]) -> Answered:
    """Whatever the tone, it is dry."""
    return in_words(LINES["dry"].format(thing=request_of(request)["description"].lower().rstrip(".")))


def evaluate(*arguments: str | Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["evaluate", "--styles", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_tones_that_are_met_are_told_from_those_that_are_not(
    server: ChatServer, corpus: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    server.answer = speaks_dryly
    model = f"openai:{server.url}#writer"
    told = evaluate(model, corpus, "--openings", "2", "--output", tmp_path / "report", capsys=capsys)
    report = json.loads((tmp_path / "report" / "styles.json").read_text("utf-8"))
    people, writer = report["systems"]
    assert [people["groups"]["all"][name] for name in ("recognised", "faithful", "length")] == [1, 1, 1]
    assert writer["name"] == "writer@remote"
    assert writer["groups"]["family dry"]["recognised"] == 1
    assert writer["groups"]["family excited"]["recognised"] == 0
    assert writer["confusion"] == {"dry": {"dry": 4}, "excited": {"dry": 4}}
    assert {writer["groups"][f"tones {kind}"]["captions"] for kind in ("trained", "unseen")} == {4}
    assert [each["captions"] for each in writer["openings"]] == [2, 2]
    assert "tone recognised, by group" in told
    assert (tmp_path / "report" / "styles.md").read_text("utf-8").startswith("# Captions in a voice\n")


def test_another_model_is_judged_in_the_same_run_and_shown_rows_to_learn_from(
    server: ChatServer, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = speaks_dryly
    models = (f"openai:{server.url}#writer", corpus, "--against", f"openai:{server.url}#other")
    told = evaluate(*models, "--openings", "0", "--limit", "4", "--json", capsys=capsys)
    report = json.loads(told)
    assert [each["name"] for each in report["systems"]] == ["people", "writer@remote", "other@remote"]
    assert (report["rows"], report["held_out"]) == (4, 8)
    messages = server.requests[0]["messages"]
    assert [each["role"] for each in messages] == ["system", *["user", "assistant"] * 2, "user"]
    assert messages[2]["content"] in {each.caption for each in read_corpus(corpus).train}
    assert all(each["prompt"].endswith("+2") for each in report["systems"][1:])


def test_the_same_run_gives_the_same_report(
    server: ChatServer, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = speaks_dryly
    arguments = (f"openai:{server.url}#writer", corpus, "--openings", "1", "--limit", "3", "--json")
    assert evaluate(*arguments, capsys=capsys) == evaluate(*arguments, capsys=capsys)


def test_an_invented_thing_counts_before_the_guard_and_the_description_after_it(
    server: ChatServer, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda _count, _request: in_words(
        "Well, an elephant. Riveting, one supposes, by and large."
    )
    told = evaluate(
        f"openai:{server.url}#writer", corpus, "--openings", "0", "--limit", "2", "--json", capsys=capsys
    )
    found = json.loads(told)["systems"][1]["groups"]["all"]
    assert (found["faithful_as_written"], found["faithful"], found["refused"]) == (0, 1, 1)
    assert found["recognised"] == 0


def test_a_corpus_without_held_out_rows_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = tmp_path / "dry.jsonl"
    lines.write_text(json.dumps(row("dry", "wry", THINGS[0], "train")) + "\n")
    assert main(["evaluate", "--styles", "gguf:none", str(lines)]) == 1
    assert "held out" in capsys.readouterr().err
    lines.write_text("{}\n")
    assert main(["evaluate", "--styles", "gguf:none", str(lines)]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_without_a_corpus_the_usage_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--styles", "default"]) == 2
    assert "RESTYLER CORPUS" in capsys.readouterr().err


def test_the_classifier_hears_what_sets_a_family_apart() -> None:
    texts = [line.format(thing=thing) for line in LINES.values() for thing in THINGS[:4]]
    heard = ToneClassifier(texts, [family for family in LINES for _ in THINGS[:4]])
    assert heard.family("Wow, the best boat ever!") == "excited"
    assert heard.family("Riveting, one supposes.") == "dry"


def judged(*captions: str, restrained: bool = False, family: str = "dry", hashtags: int = 0) -> Any:
    train = [
        Row(id="", family=name, description="", voice=Voice(), caption=line, restrained=False)
        for name, line in LINES.items()
    ]
    judge = StyleJudge(train * 2)
    voice = Voice(tone="wry", hashtags=hashtags)
    asked = Row(
        id="", family=family, description="A dog runs.", voice=voice, caption="", restrained=restrained
    )
    answers = [Answer(row=asked, written=parse(each), text=parse(each)) for each in captions]
    return scores([judge.verdict(each) for each in answers])


def test_words_that_nothing_supports_are_counted() -> None:
    found = judged("Riveting, a dog that runs, quite zealously, one supposes.")
    assert 0.7 < found.support < 1  # all but "zealously"
    assert found.faithful == 1
    assert judged("Riveting: a dog and an elephant, one supposes, no less.").faithful == 0


def test_length_and_hashtags_are_counted_where_the_tone_was_to_be_followed() -> None:
    found = judged("Dog.", "Well, a dog runs. Quite enough of that, one supposes. #DogRun", hashtags=1)
    assert (found.length, found.hashtags) == (0.5, 0.5)
    sober = judged("Dog.", restrained=True)
    assert (sober.length, sober.hashtags, sober.recognised) == (None, None, None)


def test_captions_that_begin_alike_are_found() -> None:
    found = openings("dry", ["Well, that is one dog.", "Well, that is one cat.", "A boat."])
    assert (found.most, found.opening, found.captions) == (2, "well that is one", 3)
