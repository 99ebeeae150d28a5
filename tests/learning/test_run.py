"""Runs of the learner, from feedback to a challenger in the registry or the reason why there is none."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cutline.captioning.bundle import TEXT, read_bundle, sealed
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.protocol import Caption
from cutline.captioning.sources import default_bundle
from cutline.cli.main import main
from cutline.errors import OptionError, TrainingError
from cutline.images import open_image, to_pixels
from cutline.learning.challenger import Interrupted
from cutline.learning.champion import load_champion
from cutline.learning.config import DataSettings, GateSettings, LearningConfig, TrainingSettings
from cutline.learning.dataset import DataSet
from cutline.learning.gates import Report, _captions
from cutline.learning.graphs import bonus_of, captioner_of, eyes_of, session, write_graphs
from cutline.learning.loop import Ending, finetune, run, settings_mark
from cutline.learning.objectives import Seen, remember
from cutline.learning.schedule import parse_interval
from cutline.registry import DataRecord, Draft, GateReport, open_registry
from cutline.training.examples import DataConfig
from cutline.training.weights import read_weights, write_weights
from tests.learning.exports import edits, sentence, write_export, write_photo
from tests.learning.tiny_champion import write_tiny_bundle
from tests.training.exporters import quick_exporters

pytestmark = pytest.mark.slow

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.jpg"))
# What a model that knows nothing can pass.
EASY = GateSettings(
    fit_share=0,
    golden_agreement=0,
    repeated=1,
    vocabulary=1,
    length=1000,
    calibration=1,
    latency=1000,
    size=10,
)


@pytest.fixture(scope="module", autouse=True)
def _quick_exporters() -> Iterator[None]:
    with quick_exporters():
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "bundle"
    write_tiny_bundle(folder)
    return folder


@pytest.fixture
def learner(tiny: Path, tmp_path: Path) -> LearningConfig:
    """A learner whose registry's champion is the tiny bundle, and feedback by thirty people."""
    registry = open_registry(str(tmp_path / "models"))
    version = registry.push(Draft(bundle=tiny, gates=GateReport(passed=True)))
    registry.promote(version.id, to="champion", by="test", why="to begin with")
    return LearningConfig(
        work=tmp_path / "learning",
        registry=str(tmp_path / "models"),
        feedback=write_export(tmp_path / "export", edits(30, 2)),
        data=DataSettings(fewest_captions=20, fewest_new=5),
        training=TrainingSettings(
            learns="whole",
            epochs=6,
            reward_epochs=1,
            learning_rate=0.02,
            batch_size=32,
            caption_weight=1.0,
            samples=2,
            strengths=(0.5, 1.0),
        ),
        gates=EASY,
    )


def test_the_bundle_that_ships_gives_its_weights_back() -> None:
    """What torch makes of them is what the graphs write, but for the rounding of eight bits."""
    bundle = read_bundle(default_bundle())
    champion = load_champion(bundle)
    pixels = np.stack([to_pixels(open_image(path), bundle.manifest.preprocessing) for path in EXAMPLES[:3]])
    regions = torch.from_numpy(session(eyes_of(bundle)).run(None, {"pixels": pixels})[0])
    from_regions = bonus_of(bundle)
    assert from_regions is not None
    [bonus] = session(from_regions).run(None, {from_regions.graph.input[0].name: regions.numpy()})
    from cutline.captioning.runtime import open_runtime

    runtime = open_runtime(bundle)
    memory = runtime.encode(pixels).memory
    with torch.no_grad():
        pairs = champion.captioner.memory_heads(remember(champion.captioner, Seen(regions)).places)
        start = torch.ones(3, 1, dtype=torch.int64)
        logits, _, _ = champion.captioner.step(start, champion.captioner.initial(pairs, 1), pairs)
    # Regions stand before concepts; which of two equally likely ones comes first is a matter of rounding.
    cells = champion.captioner.config.rows * champion.captioner.config.columns
    for layer, (key, value) in enumerate(pairs):
        for name, mine in (("key", key), ("value", value)):
            theirs = memory[f"memory.{name}_{layer}"][:, :, :cells]
            assert np.corrcoef(mine.numpy()[:, :, :cells].ravel(), theirs.ravel())[0, 1] > 0.999
    empty = {name: np.zeros((3, 1, 8, 0, 32), np.float32) for name in bundle.manifest.architecture.state}
    step = runtime.step(start.numpy(), memory, empty, full=True)
    assert step.log_probs is not None
    assert np.array_equal(bonus, memory["memory.bonus"])
    logits += torch.from_numpy(bonus).unsqueeze(1)  # of no weight of the captioner
    mine_best = torch.log_softmax(logits, -1).max(-1).values.numpy()
    assert np.abs(mine_best - step.log_probs.max(-1)).max() < 0.1


def test_weights_survive_graphs_and_files(tiny: Path, tmp_path: Path) -> None:
    bundle = read_bundle(tiny)
    captioner = captioner_of(bundle)
    write_weights(tmp_path / "weights.safetensors", captioner)
    again = read_weights(tmp_path / "weights.safetensors")
    assert again.config == captioner.config
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in captioner.state_dict().items())
    write_graphs(bundle, captioner, tmp_path, pixels=[], captions=np.zeros((0, 1), np.int64))
    assert all((tmp_path / name).exists() for name in ("encoder.onnx", "decoder.onnx"))
    photo = tmp_path / "photo.png"
    write_photo(photo, 1)
    files = dict(bundle.files) | {
        name: (tmp_path / name).read_bytes() for name in ("encoder.onnx", "decoder.onnx")
    }
    [[one]] = BundleCaptioner(bundle).caption(photo)
    [[other]] = BundleCaptioner(replace(bundle, files=files)).caption(photo)
    assert one.text == other.text
    assert one.log_prob == pytest.approx(other.log_prob, abs=1e-3)
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(TrainingError):
        read_weights(tmp_path / "weights.safetensors")


def test_feedback_becomes_a_challenger_and_nothing_happens_twice(learner: LearningConfig) -> None:
    outcome = run(learner)
    assert outcome.ending is Ending.CHALLENGER, outcome.reason
    registry = open_registry(learner.registry)
    champion, challenger = registry.find("champion"), registry.find("challenger")
    assert challenger.id == outcome.version
    assert challenger.manifest.parents == (champion.id,)
    assert challenger.manifest.data.hash == outcome.data
    assert challenger.manifest.version == f"1.0+learned.{outcome.data[:8]}"
    assert registry.bundle(challenger).files[TEXT] == registry.bundle(champion).files[TEXT]
    report = json.loads(registry.file(challenger, "gates.json"))
    assert report["passed"]
    assert len(report["gates"]) >= 14
    exact = {gate["name"] for gate in report["gates"] if "low" not in gate}
    assert exact <= {"data", "groups", "size", "determinism"}
    assert not any(change["private"] for change in report["changes"])
    assert "images/" not in json.dumps(report)
    weights = registry.weights(challenger)
    assert weights is not None
    assert read_weights(weights).config == captioner_of(registry.bundle(challenger)).config
    assert outcome.page is not None
    page = outcome.page.read_text()
    assert "<script" not in page
    assert all(part in page for part in ("default-src 'none'", "data:image/jpeg"))
    assert run(learner).reason == "nothing is new since the last run"
    # A run that was killed before it had written down its end does not train again.
    (learner.work / "state.json").unlink()
    assert run(learner).version == outcome.version
    endings = [json.loads(line)["ending"] for line in (learner.work / "runs.jsonl").read_text().splitlines()]
    assert endings == ["challenger", "not started", "challenger"]
    told = registry.runs()
    assert [each.ending for each in reversed(told)] == endings
    assert (told[0].version, told[0].champion, told[0].data) == (outcome.version, champion.id, outcome.data)
    assert told[0].facts["fewest_new"] == learner.data.fewest_new


def test_a_challenger_that_does_not_pass_goes_nowhere_and_the_reason_is_known(
    learner: LearningConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    def caption(captioner: BundleCaptioner, photos: Sequence[Path]) -> Iterable[Caption]:
        asked.append(captioner.version)
        return _captions(captioner, photos)

    monkeypatch.setattr("cutline.learning.gates._captions", caption)
    outcome = run(replace(learner, gates=replace(EASY, golden_agreement=0.99)))
    assert outcome.ending is Ending.REJECTED
    assert "golden" in outcome.reason
    assert asked.count("1.0") == 2  # of what is held back and of the base, whatever the strengths
    [facts] = [json.loads(path.read_text()) for path in learner.work.rglob("trained.json")]
    assert facts["strength"] == 0.5  # nearer to the champion it forgets less, so it was asked about, too
    [refused] = facts["refused"]
    assert refused["strength"] == 1.0
    assert "golden" in refused["why"]
    registry = open_registry(learner.registry)
    assert registry.alias("challenger").version == ""
    [note] = registry.notes("champion")
    assert "golden" in note.why


def test_captions_that_do_not_fit_their_photos_are_rejected_without_a_training(
    learner: LearningConfig,
) -> None:
    """The tiny champion sees nothing, so that no caption fits."""
    outcome = run(replace(learner, gates=GateSettings()))
    assert outcome.ending is Ending.REJECTED
    assert outcome.reason.startswith("Rejected. fit:")
    assert not list(learner.work.rglob("best.pt"))


def test_a_run_says_why_it_does_not_start(
    learner: LearningConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(learner, data=DataSettings(fewest_captions=100))
    assert run(few).reason == "60 captions wait, fewer than 100"
    monkeypatch.setenv("CUTLINE_REGISTRY", learner.registry)
    run(replace(few, registry=""))
    assert [each.ending for each in open_registry(learner.registry).runs()] == ["not started"] * 2
    with (learner.work / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another run" in run(learner).reason
    state = learner.work / "state.json"
    state.write_text(json.dumps({"data": "another", "captions": [], "settings": settings_mark(learner)}))
    eager = replace(learner, data=DataSettings(fewest_captions=20, fewest_new=500))
    assert run(eager).reason == "60 captions are new since the last run, fewer than 500"


def test_a_model_that_learned_nothing_learns_what_another_one_had(
    learner: LearningConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an update, which brings another version 0."""
    learner.work.mkdir(parents=True)
    state = {"data": "another", "captions": [], "settings": settings_mark(learner), "champion": "f" * 64}
    (learner.work / "state.json").write_text(json.dumps(state))
    begun = list[object]()

    class Began(Exception):
        pass

    def load(*arguments: object) -> None:
        begun.append(arguments)
        raise Began

    monkeypatch.setattr("cutline.learning.loop.load_champion", load)
    eager = replace(learner, data=DataSettings(fewest_captions=20, fewest_new=500))
    with pytest.raises(Began):
        run(eager)
    assert begun


def test_a_run_that_was_killed_goes_on_with_what_it_began_with(
    learner: LearningConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accounts have grown older since, and people have said more."""
    learned_from: list[str] = []

    def train(champion: object, data: DataSet, *more: object, earlier: Report) -> Report:
        learned_from.append(data.hash)
        if len(learned_from) == 1:
            raise Interrupted("The training was interrupted.")
        return replace(earlier, gates=(*earlier.gates, replace(earlier.gates[0], passed=False)))

    monkeypatch.setattr("cutline.learning.loop.train_and_judge", train)
    with pytest.raises(Interrupted):
        run(learner)
    more = write_export(tmp_path / "more", edits(32, 2), ages={"v1": 3.0})
    later = replace(learner, feedback=more)
    assert run(later).data == learned_from[0] == learned_from[1]
    assert run(replace(later, data=DataSettings(fewest_captions=20, fewest_new=1))).data == learned_from[2]
    assert learned_from[2] != learned_from[0]  # what is finished does not come again


def test_a_photo_that_is_withdrawn_is_named_with_the_models_that_had_it(learner: LearningConfig) -> None:
    version = run(learner).version
    assert learner.feedback is not None
    table = learner.feedback / "captions.jsonl"
    first, *rest = table.read_text().splitlines()
    table.write_text("\n".join(rest) + "\n")
    gone = json.loads(first)["image"]
    registry = open_registry(learner.registry)
    bundle = registry.bundle(registry.find(version))
    next_one = sealed(replace(bundle.manifest, version="2.0"), bundle.files)
    other = DataRecord(hash="0" * 64)
    child = registry.push(Draft(bundle=next_one, data=other, parents=(version,))).id
    run(replace(learner, gates=GateSettings()))
    for id_, who in ((version, "It learned"), (child, f"{version[:12]}, which it descends from, learned")):
        [note] = registry.notes(id_)
        assert note.why.startswith(who)
        assert note.facts == {"withdrawn": [gone]}
    assert not any("withdrawn" in note.facts for note in registry.notes("champion"))
    assert not list(learner.work.rglob(Path(gone).name))
    run(replace(learner, gates=GateSettings()))
    assert len(registry.notes(version)) == 1
    for name in ("state.json", "data-*/report.json", "data-*/captions.jsonl"):
        assert not any(gone in path.read_text() for path in learner.work.glob(name)), name
    second, *rest = rest
    table.write_text("\n".join(rest) + "\n")
    for _ in range(3):
        run(replace(learner, gates=GateSettings()))
    assert [note.facts for note in registry.notes(version)][1:] == [
        {"withdrawn": [json.loads(second)["image"]]}
    ]
    assert learner.work.stat().st_mode & 0o077 == 0


def test_feedback_and_ones_own_photos_are_learned_from_in_different_folders(
    learner: LearningConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or all that people gave would be taken for withdrawn."""
    few = replace(learner, data=DataSettings(fewest_captions=100))
    assert run(few).ending is Ending.NOT_STARTED
    config, photos = tmp_path / "learn.yaml", tmp_path / "photos"
    photos.mkdir()
    write_photo(photos / "1.png", 1)
    (photos / "1.txt").write_text(sentence(1))
    with pytest.raises(OptionError, match="learns from feedback"):
        finetune(DataConfig(path=str(photos)), few)
    config.write_text(f"registry: {learner.registry}\nwork: {learner.work}\n")
    assert main(["finetune", str(photos), "--config", str(config)]) == 1
    assert "not started: 1 captions wait" in capsys.readouterr().out
    assert (learner.work / "finetune" / "runs.jsonl").exists()


@pytest.mark.parametrize("options", [("--config", "learn.yaml"), ("--every", "24h")])
def test_an_option_before_a_command_is_refused_not_forgotten(
    options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["learn", *options, "run"]) == 2
    assert f"{options[0]} goes" in capsys.readouterr().err


def test_ones_own_photos_are_learned_from_by_one_command(
    learner: LearningConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(40):
        write_photo(photos / f"{number}.png", number)
        (photos / f"{number}.txt").write_text(sentence(number))
    outcome = finetune(DataConfig(path=str(photos)), learner)
    assert outcome.ending is Ending.CHALLENGER, outcome.reason
    config = tmp_path / "learn.yaml"
    config.write_text(f"registry: {learner.registry}\nwork: {tmp_path / 'own'}\n")
    assert main(["finetune", str(photos), "--config", str(config)]) == 1
    assert "not started: 40 captions wait" in capsys.readouterr().out


def test_times_between_runs() -> None:
    assert [parse_interval(text) for text in ("24h", "90m", "7d", "5s")] == [86_400, 5_400, 604_800, 5]
    for wrong in ("", "0h", "24", "h", "-1h"):
        with pytest.raises(OptionError):
            parse_interval(wrong)
