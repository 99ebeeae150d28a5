"""Numbers are kept: as JSON lines always, and by the trackers that people use, where these are installed."""

from __future__ import annotations

import sys
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from cutline.errors import MissingExtra, OutputError
from cutline.training.config import TrackerKind, TrackingConfig
from cutline.training.tracking import JsonLines, Tracker, open_tracker, read_metrics


def open_with(folder: Path, *backends: TrackerKind) -> Tracker:
    recipe = {"name": "tiny", "decoder": {"width": 8}}
    return open_tracker(TrackingConfig(backends=backends), folder, stage="one", recipe=recipe)


def test_every_step_is_a_line_that_is_there_at_once(tmp_path: Path) -> None:
    tracker = open_with(tmp_path)
    tracker.log(1, {"train/loss": 2.5})
    (line,) = read_metrics(tmp_path / "metrics.jsonl")
    assert (line["stage"], line["step"], line["train/loss"]) == ("one", 1, 2.5)
    tracker.close()


def test_stages_share_the_file_and_rewind_only_themselves(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with closing(JsonLines(path, stage="one")) as one:
        for step in (1, 2, 3):
            one.log(step, {"loss": float(step)})
    with closing(JsonLines(path, stage="two")) as two:
        two.log(3, {"loss": 9.0})
        two.rewind(2)
        two.log(3, {"loss": 8.0})
    found = [(each["stage"], each["step"], each["loss"]) for each in read_metrics(path)]
    assert found == [("one", 1, 1), ("one", 2, 2), ("one", 3, 3), ("two", 3, 8)]


def test_a_line_that_a_kill_cut_short_is_left_out_and_then_mended(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with closing(JsonLines(path, stage="one")) as tracker:
        tracker.log(1, {"loss": 1.0})
    with path.open("a") as file:
        file.write('{"stage": "one", "st')
    assert len(read_metrics(path)) == 1
    with closing(JsonLines(path, stage="one")) as tracker:
        tracker.rewind(1)
        tracker.log(2, {"loss": 2.0})
    assert [each["step"] for each in read_metrics(path)] == [1, 2]


def test_a_file_that_is_no_metrics_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("what\n{}\n")
    with pytest.raises(OutputError, match="line 1, is not JSON"):
        read_metrics(path)
    path.write_text("{}\n")
    with pytest.raises(OutputError, match="not a line of metrics"):
        read_metrics(path)


def test_other_processes_keep_nothing(tmp_path: Path) -> None:
    tracker = open_tracker(TrackingConfig(), tmp_path, stage="one", recipe={}, quiet=True)
    tracker.log(1, {"loss": 1.0})
    tracker.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("backend", "module"),
    [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb"), ("mlflow", "mlflow")],
)
def test_a_tracker_that_is_not_installed_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: TrackerKind, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match="pip install"):
        open_with(tmp_path, backend)


def test_tensorboard_reads_what_was_logged(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dependencies deprecate things
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        with closing(open_with(tmp_path, "tensorboard")) as tracker:
            tracker.log(1, {"train/loss": 2.0})
            tracker.log(2, {"train/loss": 1.0})
            tracker.rewind(1)
            tracker.log(2, {"train/loss": 0.5})
        events = EventAccumulator(str(tmp_path / "tensorboard" / "one")).Reload()
    assert [(each.step, each.value) for each in events.Scalars("train/loss")] == [(1, 2.0), (2, 0.5)]


@pytest.mark.filterwarnings("ignore")
def test_weights_and_biases_works_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "run"
    with closing(open_with(folder, "wandb")) as tracker:
        tracker.log(1, {"train/loss": 2.0})
    (run,) = (folder / "wandb").glob("offline-run-*")
    assert next(run.glob("*.wandb")).stat().st_size > 0
    assert not (tmp_path / "home").exists()


@pytest.mark.filterwarnings("ignore")
def test_mlflow_keeps_metrics_and_parameters_in_a_file(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    with closing(open_with(tmp_path, "mlflow")) as tracker:
        tracker.log(1, {"train/loss": 2.0})
        tracker.log(2, {"train/loss": 1.0})
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("cutline").experiment_id])
    assert (run.data.metrics["train/loss"], run.data.params["decoder.width"]) == (1.0, "8")
    assert run.info.status == "FINISHED"
