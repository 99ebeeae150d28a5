"""`cutline train`, from a recipe and generated photos to a bundle that captions them."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
import pytest
import torch
from click.testing import CliRunner, Result
from tiny_recipe import write_recipe, write_shapes

from cutline import Caption, load
from cutline.captioning.bundle import RERANKER, read_bundle
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.cli.bundle import build as bundle_build
from cutline.cli.train import command
from cutline.errors import ConfigError, DataError, OutputError, TrainingError
from cutline.images import Source
from cutline.training import agreement, calibration
from cutline.training.build import (
    batches_per_epoch,
    gather,
    read_vocabulary,
    sample,
    warn_of_dev_photos,
    write_vocabulary,
)
from cutline.training.checkpoints import average_weights, write_checkpoint
from cutline.training.config import load_recipe
from cutline.training.devices import choose_device
from cutline.training.distributed import World
from cutline.training.export import BONUS
from cutline.training.runner import duration, run_recipe
from cutline.training.stages import start_checkpoint
from cutline.training.tracking import read_metrics
from cutline.training.weights import read_weights

pytestmark = pytest.mark.usefixtures("shallow_encoder")

FIVE_STAGES = (
    "decoder={kind: transformer, width: 16, heads: 2, layers: 1, hidden: 32, max_tokens: 12, concepts: 8,"
    " concept_tokens: 4}",
    "encoder.trainable=tail",
    "matcher={embedding: 8, width: 16, heads: 2, layers: 1, hidden: 16}",
    "stages=[{name: see, objective: concepts, epochs: 1, batch_size: 8, learning_rate: 1e-3},"
    " {name: find, objective: match, epochs: 1, batch_size: 8, learning_rate: 1e-3, monitor: recall},"
    " {name: read, objective: text, epochs: 1, batch_size: 2, learning_rate: 1e-3},"
    " {name: say, objective: captions, epochs: 1, batch_size: 8, learning_rate: 1e-3, text_share: 0.5,"
    " encoder_learning_rate: 1e-5, ema_decay: 0.9, monitor: cider/shapes},"
    " {name: please, objective: rewards, epochs: 1, batch_size: 8, learning_rate: 1e-4, samples: 3,"
    " bleu_reward: 0.5}]",
)


def train(*arguments: object) -> Result:
    return CliRunner().invoke(
        command, [str(each) for each in arguments], catch_exceptions=False, standalone_mode=False
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe, trained, with its output in the folder `run` beside it."""
    recipe = write_recipe(tmp_path_factory.mktemp("first"))
    result = train(recipe, "stages.captions.epochs=25")
    assert result.return_value == 0
    assert "best.pt: loss" in result.output
    return recipe


def test_a_training_ends_in_a_bundle_that_captions_what_it_saw(first: Path) -> None:
    captioner = load(str(first.parent / "run" / "bundle"))
    [[best, *_]] = captioner.caption([first.parent / "data" / "001.png"])
    assert "square" in best.text.lower()
    assert "red" in best.text.lower()
    assert captioner.name == "shapes"


def test_it_leaves_the_recipe_the_vocabulary_and_the_numbers(first: Path) -> None:
    run = first.parent / "run"
    names = {each.name for each in run.iterdir()}
    assert {"recipe.yaml", "tokenizer.json", "concepts.json", "metrics.jsonl", "captions", "bundle"} <= names
    assert load_recipe(run / "recipe.yaml").stages[0].epochs == 25
    lines = read_metrics(run / "metrics.jsonl")
    assert [each["step"] for each in lines if "train/loss" in each] == list(range(1, 101))
    assert sum("dev/cider" in each for each in lines) == 25


def test_a_model_card_that_is_not_there_is_refused_before_the_training(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    for dry_run in ([], ["--dry-run"]):
        with pytest.raises(ConfigError, match=r"no model card at .*lost\.md"):
            train(recipe, f"export.card={tmp_path / 'lost.md'}", *dry_run)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("stages.find.epochs=1", "find compares"),
        ("stages.please.likeness_reward=0.1", "please compares"),
        ("stages.say.batch_size=2", "say has 2 photos and 1 texts"),
        ("stages.say.text_share=0.3", "8 photos and 2 texts"),
    ],
)
def test_what_three_processes_cannot_share_is_refused(change: str, said: str, tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path), [*FIVE_STAGES, change])
    stage = change.split(".")[1]
    with pytest.raises(ConfigError, match=said):
        run_recipe(recipe, world=World(size=3), only=stage)
    assert not recipe.output.exists()


def test_a_second_training_never_writes_over_the_first(first: Path) -> None:
    with pytest.raises(TrainingError, match="already contains a training") as caught:
        train(first, "stages.captions.epochs=25")
    assert "--resume" in caught.value.hint


def test_a_full_disk_costs_neither_the_recipe_nor_the_vocabulary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(write_recipe(tmp_path))
    corpus = gather(recipe).corpus
    run = recipe.output
    write_vocabulary(run, corpus)
    (run / "recipe.yaml").write_text((tmp_path / "shapes.yaml").read_text())
    before = {path.name: path.read_text() for path in run.iterdir()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match=r"tokenizer\.json cannot be written \(No space left"):
        write_vocabulary(run, corpus)
    with pytest.raises(OutputError, match=r"recipe\.yaml cannot be written \(No space left"):
        run_recipe(recipe, resume=True)
    assert {path.name: path.read_text() for path in run.iterdir()} == before


def test_resuming_another_model_is_refused(first: Path) -> None:
    with pytest.raises(TrainingError, match="started with another decoder"):
        train(first, "decoder.width=20", "--resume")


def test_the_bundle_can_be_the_mean_of_stages(first: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(first.parent / "run" / "captions", run / "captions")
    stages = "[{name: captions, objective: captions}, {name: more, objective: captions, epochs: 1}]"
    average = "export.average={more: 3, captions: 1}"
    train(first, f"output={run}", f"stages={stages}", average, "--resume", "--stage", "more")
    wanted = average_weights({run / "more" / "best.pt": 0.75, run / "captions" / "best.pt": 0.25})
    write_checkpoint(tmp_path / "mean.pt", {"module": wanted})
    arguments = [str(run / "recipe.yaml"), str(tmp_path / "mean"), "--checkpoint", str(tmp_path / "mean.pt")]
    build(arguments)
    assert graphs(run / "bundle") == graphs(tmp_path / "mean")
    last = average_weights({run / "more" / "best.pt": 1.0})
    assert any((wanted[name] != last[name]).any() for name in last)


class Unsure:
    """A captioner that says something else of every eighth photo when it computes exactly."""

    def __init__(self, bundle: Path, *, is_exact: bool = False) -> None:
        self._is_exact = is_exact

    def caption_each(self, photos: Iterable[Source]) -> Iterator[list[Caption]]:
        for place, _ in enumerate(photos):
            differs = self._is_exact and place % 8 == 0
            yield [Caption(text="A blue shirt." if differs else "A red shirt.", log_prob=-1.0)]


def test_a_bundle_whose_captions_depend_on_the_machine_is_refused(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "bundle"
    arguments = [str(first.parent / "run" / "recipe.yaml"), str(target), "export.quantise=full"]
    arguments += ["export.calibration_images=8", "export.max_loss_of_cider=1"]
    monkeypatch.setattr(agreement, "BundleCaptioner", Unsure)
    with pytest.raises(TrainingError, match=r"12\.5% of the captions of 8 dev photos differ") as caught:
        build(arguments)
    assert "no bundle was written" in caught.value.kept
    assert not target.exists()


def test_a_recipe_may_want_a_re_ranker_and_a_confidence(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """People's captions of every other dev photo say something else than what it shows."""
    photos = write_shapes(tmp_path / "data", dev=60)
    lines = [json.loads(line) for line in (photos / "captions.jsonl").read_text("utf-8").splitlines()]
    for line in lines[25::2]:
        line["captions"] = ["two dogs run", "dogs that run"]
    (photos / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    monkeypatch.setattr(calibration, "LARGEST_ERROR", 1.0)  # of so few photos it is chance
    target = tmp_path / "bundle"
    wanted = ["export.candidates=3", "export.acceptable=0.4", "export.card=" + str(tmp_path / "card.md")]
    (tmp_path / "card.md").write_text("# shapes\n@METRICS@\n", encoding="utf-8")
    with caplog.at_level("INFO"):
        data = f"data=[{{name: shapes, kind: folder, path: {photos}}}]"
        build([str(first.parent / "run" / "recipe.yaml"), str(target), data, *wanted])
    bundle = read_bundle(target)
    assert (RERANKER in bundle.files) == ("No re-ranker" not in caplog.text)
    [[caption]] = BundleCaptioner(bundle).caption(photos / "030.png")
    assert caption.confidence is not None
    assert 0.2 < caption.confidence < 0.8
    scores = bundle.manifest.metrics["sources"]["shapes"]
    assert scores["photos"] == 60
    assert f"{scores['CIDEr-D']}" in bundle.files["MODEL_CARD.md"].decode()


def build(arguments: list[str]) -> None:
    """`cutline bundle build`, with these arguments."""
    CliRunner().invoke(bundle_build, arguments, catch_exceptions=False, standalone_mode=False)


def graphs(bundle: Path) -> list[str]:
    files = read_bundle(bundle).manifest.files
    return [files["encoder.onnx"].sha256, files["decoder.onnx"].sha256]


def test_a_finished_training_that_is_resumed_keeps_its_vocabulary_whatever_becomes_of_the_data(
    first: Path, tmp_path: Path
) -> None:
    """Else the weights of a word, or of a concept, would be read as another's."""
    changed, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(first.parent / "data", changed)
    listing = changed / "captions.jsonl"
    listing.write_text(listing.read_text().replace("square", "zebra"))
    shutil.copytree(first.parent / "run", run, ignore=shutil.ignore_patterns("bundle"))
    (run / "concepts.json").write_text('["red", "circle", "blue"]')
    before = (run / "tokenizer.json").read_text()
    changes = ("stages.captions.epochs=25", f"output={run}", f"data.shapes.path={changed}")
    assert train(first, *changes, "--resume").return_value == 0
    steps = [each for each in read_metrics(run / "metrics.jsonl") if "train/loss" in each]
    assert len(steps) == 100  # it was finished: only the bundle is made again
    assert (run / "tokenizer.json").read_text() == before
    [[best]] = load(str(run / "bundle")).caption([first.parent / "data" / "001.png"])
    assert "square" in best.text
    material = gather(load_recipe(run / "recipe.yaml"), read_vocabulary(run))
    assert material.corpus.concepts == ("red", "circle", "blue")
    captions = next(each for each in material.corpus.train if {"red", "circle"} <= set(each.words[0]))
    assert captions.concepts == {0: 1.0, 1: 1.0}


def test_a_dry_run_says_what_is_coming_and_writes_nothing(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    result = train(recipe, "--dry-run", "stages.captions.epochs=5", "stages.captions.accumulate=2")
    assert result.return_value == 0
    assert "24 photos with 48 captions" in result.output
    assert "40,974 of 40,974 parameters are trained" in result.output
    assert "10 steps of" in result.output
    assert "in total on this machine" in result.output
    assert "checked" in result.output
    assert "error:" not in result.output
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data", "shapes.yaml"]


def test_two_photos_of_one_name_are_refused(tmp_path: Path) -> None:
    """Else the captions of one would be learnt with the other."""
    recipe = write_recipe(tmp_path / "ann")
    write_recipe(tmp_path / "bob")
    two = [f"{{kind: folder, path: {tmp_path / who / 'data'}}}" for who in ("ann", "bob")]
    with pytest.raises(DataError, match=r"data has two photos called 000\.png: .*ann.* and .*bob") as caught:
        gather(load_recipe(recipe, [f"data=[{two[0]}, {two[1]}]"]))
    assert "a name of its own" in caught.value.hint
    named = load_recipe(recipe, [f"data=[{two[0]}, {two[1]}]", "data.1.name=bob"])
    assert len(gather(named).photos) == 64
    assert len(gather(load_recipe(recipe, [f"data=[{two[0]}, {two[0]}]"])).photos) == 64  # the same ones


def test_dev_photos_that_another_source_trains_on_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = write_recipe(tmp_path)
    more = write_shapes(tmp_path / "more", train=2, dev=0)
    warn_of_dev_photos(gather(load_recipe(recipe)).photos)
    assert not caplog.records
    for place in (0, 1):
        shutil.copy(tmp_path / "data" / f"{place + 24:03}.png", more / f"{place:03}.png")
    more_data = f"data=[{{kind: folder, path: {tmp_path / 'data'}}}, {{kind: folder, path: {more}}}]"
    train(recipe, more_data, "--dry-run")
    assert "2 of 8 dev photos are also trained on: scores will be too high (024.png, 025.png)" in caplog.text


def test_a_dry_run_finds_a_photo_that_is_not_there(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "data" / "003.png").unlink()
    with pytest.raises(Exception, match=r"003\.png|photo") as caught:
        train(recipe, "--dry-run")
    assert caught.value.code == "data_invalid"  # type: ignore[attr-defined]


def test_a_dry_run_opens_every_photo_and_finds_copies_across_splits(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    photos = tmp_path / "data"
    (photos / "003.png").write_bytes((photos / "003.png").read_bytes()[:100])
    shutil.copy(photos / "002.png", photos / "030.png")
    result = train(recipe, "--dry-run")
    assert result.return_value == 1
    assert "photos that cannot be opened (1)" in result.output
    assert "003.png looks like PNG but is damaged" in result.output
    assert "the same photo in different splits" in result.output


def test_five_objectives_run_one_after_another(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    words = tmp_path / "words.json"
    words.write_text('{"1": ["a red square", "there is a red square"], "2": ["a blue circle"]}')
    text = f"{{name: words, kind: caption-map, path: {words}, images: none, split: train}}"
    data = f"data=[{{name: shapes, kind: folder, path: {tmp_path / 'data'}}}, {text}]"
    result = train(recipe, data, *FIVE_STAGES, "export.concept_bonus=0.3")
    assert result.return_value == 0
    stages = {each["stage"] for each in read_metrics(tmp_path / "run" / "metrics.jsonl")}
    assert stages == {"see", "find", "read", "say", "please"}
    graph = onnx.load_from_string(read_bundle(tmp_path / "run" / "bundle").files["encoder.onnx"]).graph
    assert BONUS in {each.name for each in graph.output}
    captioner = load(str(tmp_path / "run" / "bundle"))
    assert isinstance(captioner, BundleCaptioner)
    assert captioner.embed_text(["a red square", ""]).shape == (2, 8)
    assert captioner.embed([tmp_path / "data" / "001.png"]).shape == (1, 8)
    trained = average_weights({tmp_path / "run" / "please" / "best.pt": 1.0})
    for name, value in read_weights(tmp_path / "run" / "weights.safetensors").state_dict().items():
        assert torch.equal(value, trained[f"captioner.{name}"].half().float())


def test_a_stage_starts_where_it_is_told(tmp_path: Path) -> None:
    recipe = load_recipe(
        write_recipe(tmp_path),
        [
            "stages=[{name: a, objective: captions}, {name: b, objective: captions},"
            " {name: c, objective: captions, start_from: a},"
            " {name: d, objective: captions, start_from: nothing},"
            " {name: e, objective: captions, start_from: runs/x.pt}]"
        ],
    )
    found = [start_checkpoint(recipe, stage) for stage in recipe.stages]
    run = tmp_path / "run"
    assert found == [None, run / "a/best.pt", run / "a/best.pt", None, Path("runs/x.pt")]


def test_a_stage_that_the_recipe_lacks_is_one_clear_error(first: Path) -> None:
    with pytest.raises(ConfigError, match="no stage 'rewards'"):
        train(first, "--stage", "rewards", f"output={first.parent / 'other'}")


def test_photos_of_a_folder_with_repeats_come_that_often_in_an_epoch(tmp_path: Path) -> None:
    recipe_path = write_recipe(tmp_path)
    data = tmp_path / "data"
    rows = [json.loads(line) for line in (data / "captions.jsonl").read_text().splitlines()]
    (data / "captions.jsonl").unlink()
    for row in rows:
        folder = data / ("10_shape" if row["image"] == "000.png" else row["split"])
        folder.mkdir(exist_ok=True)
        (data / row["image"]).rename(folder / row["image"])
        (folder / row["image"]).with_suffix(".txt").write_text("\n".join(row["captions"]))
    (data / "10_shape").rename(data / "train" / "10_shape")
    recipe_path.write_text(recipe_path.read_text().replace("kind: folder", "kind: text-beside"))
    material = gather(load_recipe(recipe_path))
    assert (len(material.photos), len(material.corpus.train), len(material.corpus.dev)) == (32, 24 + 9, 8)
    small = sample(material, photos=33, dev=8, texts=0)
    assert [each.row for each in small.corpus.dev] == [*range(24, 32)]
    assert len(small.photos) == 32


def test_a_sample_is_evenly_drawn_and_its_rows_fit_its_photos(tmp_path: Path) -> None:
    material = gather(load_recipe(write_recipe(tmp_path)))
    small = sample(material, photos=6, dev=2, texts=4)
    assert (len(small.corpus.train), len(small.corpus.dev), len(small.photos)) == (6, 2, 8)
    for item in (*small.corpus.train, *small.corpus.dev):
        assert small.photos[item.row].key == item.key
    assert sample(material, photos=0, dev=2, texts=0).corpus.train == ()


def test_the_plan_counts_batches_as_the_objective_does(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path), ["stages.*.repeat={shapes: 3}", "stages.*.batch_size=7"])
    assert batches_per_epoch(recipe.stages[0], gather(recipe).corpus) == 24 * 3 // 7


def test_an_unknown_source_is_one_clear_error(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path), ["stages.*.sources=[coco]"])
    with pytest.raises(ConfigError, match="no training data from the source 'coco'"):
        batches_per_epoch(recipe.stages[0], gather(recipe).corpus)


def test_devices_are_chosen_by_name() -> None:
    assert choose_device("cpu").type == "cpu"
    for name in ("tpu", "mps", "what:ever"):
        with pytest.raises(ConfigError, match="auto, cpu, cuda"):
            choose_device(name)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (42.4, "42 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_times_are_said_in_two_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said
