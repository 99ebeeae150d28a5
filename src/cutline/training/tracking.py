"""Where a training logs its metrics: always ``metrics.jsonl``, and optionally other trackers."""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from cutline.errors import MissingExtra, OutputError
from cutline.training.config import TrackerKind, TrackingConfig

FILE_NAME = "metrics.jsonl"
_WANDB_FOLDERS = ("WANDB_CACHE_DIR", "WANDB_DATA_DIR")  # its settings stay where their owner keeps them


class Tracker(Protocol):
    """Logs values by step."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log the values of a step."""
        ...

    def rewind(self, step: int) -> None:
        """Discard what was logged after this step: a resumed training will log it again."""
        ...

    def close(self) -> None:
        """Flush, and close."""
        ...


class JsonLines:
    """One object a line, flushed at once: ``{"stage": ..., "step": ..., "seconds": ..., NAME: VALUE}``."""

    def __init__(self, path: Path, *, stage: str) -> None:
        self._path = path
        self._stage = stage
        self._start = time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path} cannot be written ({error.strerror}).") from error

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line."""
        line = {
            "stage": self._stage,
            "step": step,
            "seconds": round(time.monotonic() - self._start, 3),
            **values,
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def rewind(self, step: int) -> None:
        """Rewrite the file without this stage's lines after the step, and without an incomplete last line."""
        kept = [
            each for each in read_metrics(self._path) if each["stage"] != self._stage or each["step"] <= step
        ]
        self._file.close()
        draft = self._path.with_suffix(".tmp")
        draft.write_text("".join(json.dumps(each) + "\n" for each in kept), encoding="utf-8")
        os.replace(draft, self._path)
        self._file = self._path.open("a", encoding="utf-8")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read a file of JsonLines. An incomplete last line of a killed run is left out.

    Raises OutputError for anything else that is not such a file.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise OutputError(f"{path}, line {number}, is not JSON.") from error
        if not isinstance(entry, dict) or not {"stage", "step"} <= entry.keys():
            raise OutputError(f"{path}, line {number}, is not a line of metrics.")
        found.append(entry)
    return found


class TensorBoard:
    """Event files for TensorBoard, one folder a stage."""

    def __init__(self, folder: Path, *, stage: str) -> None:
        module = _need("torch.utils.tensorboard", "tensorboard")
        self._folder = folder / "tensorboard" / stage
        self._module = module
        self._writer: Any = module.SummaryWriter(str(self._folder))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add a scalar for each value."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def rewind(self, step: int) -> None:
        """Tell TensorBoard to hide what came after the step."""
        self._writer.close()
        self._writer = self._module.SummaryWriter(str(self._folder), purge_step=step + 1)

    def close(self) -> None:
        """Flush, and close."""
        self._writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases. Without an API key, or with WANDB_MODE=offline, it stays in the folder."""

    def __init__(self, folder: Path, *, stage: str, project: str, config: Mapping[str, object]) -> None:
        for name in _WANDB_FOLDERS:  # before it is imported; else it writes into the home folder
            if not os.environ.get(name):
                os.environ[name] = str(folder.resolve())
        module = _need("wandb", "wandb")
        offline = "WANDB_MODE" not in os.environ and "WANDB_API_KEY" not in os.environ
        folder.mkdir(parents=True, exist_ok=True)
        self._run: Any = module.init(
            project=project,
            name=f"{folder.name}-{stage}",
            group=folder.name,
            dir=str(folder),
            config=dict(config),
            mode="offline" if offline else None,
        )
        self._after = -1

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add a row; W&B refuses steps that it has seen, so repeated ones are left out."""
        if step > self._after:
            self._run.log(dict(values), step=step)

    def rewind(self, step: int) -> None:
        """Does nothing: a resumed training is a new run of the same group."""
        self._after = step

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


class MlFlow:
    """A run in MLflow: at ``uri``, or in a SQLite file beside the metrics."""

    def __init__(
        self, folder: Path, *, stage: str, project: str, uri: str, config: Mapping[str, object]
    ) -> None:
        module = _need("mlflow", "mlflow-skinny")
        folder.mkdir(parents=True, exist_ok=True)
        self._client: Any = module.MlflowClient(uri or f"sqlite:///{folder.resolve() / 'mlflow.db'}")
        experiment = self._client.get_experiment_by_name(project)
        identity = experiment.experiment_id if experiment else self._client.create_experiment(project)
        self._run = self._client.create_run(identity, run_name=f"{folder.name}-{stage}").info.run_id
        for name, value in _flat(config).items():
            self._client.log_param(self._run, name, str(value)[:500])

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add a metric for each value."""
        for name, value in values.items():
            self._client.log_metric(self._run, name, value, step=step)

    def rewind(self, step: int) -> None:
        """Does nothing: a resumed training is a new run."""

    def close(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._run)


class Several:
    """Forwards to several trackers."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = trackers

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Forward to each tracker."""
        for tracker in self._trackers:
            tracker.log(step, values)

    def rewind(self, step: int) -> None:
        """Forward to each tracker."""
        for tracker in self._trackers:
            tracker.rewind(step)

    def close(self) -> None:
        """Close each tracker."""
        for tracker in self._trackers:
            tracker.close()


def open_tracker(
    config: TrackingConfig, folder: Path, *, stage: str, recipe: Mapping[str, object], quiet: bool = False
) -> Tracker:
    """Open the trackers of a recipe; ``quiet`` (every process but the first) logs nothing.

    Raises MissingExtra for a tracker whose library is not installed.
    """
    if quiet:
        return Several(())
    others = [_open(kind, config, folder, stage, recipe) for kind in config.backends]
    return Several((JsonLines(folder / FILE_NAME, stage=stage), *others))


def _open(
    kind: TrackerKind, config: TrackingConfig, folder: Path, stage: str, recipe: Mapping[str, object]
) -> Tracker:
    if kind == "tensorboard":
        return TensorBoard(folder, stage=stage)
    if kind == "wandb":
        return WeightsAndBiases(folder, stage=stage, project=config.project, config=recipe)
    return MlFlow(folder, stage=stage, project=config.project, uri=config.mlflow_uri, config=recipe)


def _need(module: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"This tracker needs {package}.", hint=f"Install it with: pip install {package}"
        ) from error


def _flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
