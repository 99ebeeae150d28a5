"""One run of the learner: feedback, data set, challenger, gates, registry.

A run may be killed at any moment and called again: what is finished is found by its content, and a training
goes on from its last checkpoint. Only one run at a time works in a folder. A run that has nothing to learn
says why, and one whose challenger is rejected ends as well as one that is not.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from cutline.captioning.bundle import read_bundle
from cutline.errors import CutlineError, DataError, OptionError, OutputError
from cutline.learning.challenger import (
    Challenger,
    Interrupted,
    read_challenger,
    train_challenger,
    weaken,
)
from cutline.learning.champion import Champion, load_champion
from cutline.learning.config import LearningConfig, TrainingSettings
from cutline.learning.dataset import (
    DataSet,
    build,
    forget,
    forgotten_of,
    latest,
    named_in,
    photos_of,
    read,
    rows_of,
)
from cutline.learning.feedback import Feedback, read_export, read_photos
from cutline.learning.files import read_json, write_json
from cutline.learning.gates import Contest, Report, ask, judge, judge_data
from cutline.learning.page import to_html
from cutline.learning.vocabulary import Known
from cutline.registry import (
    CHALLENGER,
    CHAMPION,
    DataRecord,
    Draft,
    GateReport,
    Registry,
    RegistrySettings,
    Version,
    ancestors,
    open_registry,
    parse_reference,
)
from cutline.settings import from_environment, value_of
from cutline.strict import dump, parse_json
from cutline.training.examples import DataConfig

LEARNER = "learner"
STATE, BEGUN, RUNS, LOCK = "state.json", "begun.json", "runs.jsonl", "lock"
REPORT, PAGE = "gates.json", "gates.html"
_NAMED_AT_ONCE = 1000  # photos in a note, whose size is limited
_log = logging.getLogger("cutline.learning")


def registry_of(config: LearningConfig) -> Registry:
    """The registry that a configuration names; else that of CUTLINE_REGISTRY.

    Else the one that a service with this environment follows (CUTLINE_MODEL), else the folder `models`.
    """
    place = config.registry or from_environment(RegistrySettings()).registry or _followed()
    return open_registry(place or "models")


def _followed() -> str:
    """The place of the registry in CUTLINE_MODEL; empty where the model comes from elsewhere."""
    before, scheme, reference = (value_of("CUTLINE_MODEL", os.environ) or "").partition("registry:")
    return parse_reference(reference).place if scheme and before in ("", "openvino:") else ""


class Ending(StrEnum):
    """How a run ended."""

    NOT_STARTED = "not started"
    REJECTED = "rejected"
    CHALLENGER = "challenger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended, and why.

    Version: the id of the challenger; page: the report, with the feedback's photos.
    """

    ending: Ending
    reason: str
    data: str = ""
    version: str = ""
    page: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """The outcome as plain values."""
        found: dict[str, Any] = dump(self, keep_none=True)
        return found | {"page": str(self.page) if self.page else ""}


def run(config: LearningConfig) -> Outcome:
    """Learn once from what people made of captions since the last run.

    Raises DataError, TrainingError, RegistryError, ImageError, OutputError, and Interrupted after a signal.
    """
    with _alone(config.work, "feedback") as is_alone:
        if not is_alone:
            return Outcome(ending=Ending.NOT_STARTED, reason=f"another run is at work in {config.work}")
        with _failures_recorded(config), _exported(config) as folder:
            return _Run(config, needs_new=True).go(read_export(folder))


def finetune(photos: DataConfig, config: LearningConfig) -> Outcome:
    """Learn from one's own captioned photos, through the same gates. Raises as `run`, and OptionError.

    Not in the folder of a learner from feedback: whatever is not among these photos would be withdrawn there.
    """
    with _alone(config.work, "captioned photos") as is_alone:
        if not is_alone:
            return Outcome(ending=Ending.NOT_STARTED, reason=f"another run is at work in {config.work}")
        with _failures_recorded(config):
            return _Run(config, needs_new=False).go(read_photos(photos))


@contextmanager
def _alone(work: Path, source: str) -> Iterator[bool]:
    """Whether nobody else works in the folder; until the end nobody will. A lock dies with its process.

    source: what is learned from there, always. Raises OutputError, OptionError.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
        work.chmod(0o700)  # it will hold people's photos and words
        file = (work / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{work} cannot be written ({error.strerror}).") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        file.seek(0)
        if (before := file.read() or source) != source:
            raise OptionError(
                f"{work} is where somebody learns from {before}.",
                hint=f"To learn from {source}, name another folder: --work, or `work` in the YAML.",
            )
        file.truncate(0)
        file.write(source)
        file.flush()
        yield True


@contextmanager
def _failures_recorded(config: LearningConfig) -> Iterator[None]:
    """Write down in the registry that a run failed: who looks there does not see the learner's log."""
    try:
        yield
    except Interrupted:  # it goes on when it is called again
        raise
    except Exception as error:  # a full disk or a mistake of ours, too
        why = error.message if isinstance(error, CutlineError) else f"{type(error).__name__}: {error}"
        with suppress(CutlineError):  # the registry may be what failed
            _record(registry_of(config), ending="failed", why=why)
        raise


def _record(registry: Registry, *, ending: str, why: str, **more: Any) -> None:
    registry.record_run(by=LEARNER, ending=ending, why=_plain(why), **more)


def _plain(text: str) -> str:
    """What a registry takes as a reason: without line breaks, and not too long."""
    return " ".join(text.split())[:500] or "no reason"


@contextmanager
def _exported(config: LearningConfig) -> Iterator[Path]:
    """The export to learn from.

    What the configuration names, else a fresh one, which is deleted afterwards.
    """
    if config.feedback is not None:
        yield config.feedback
        return
    folder = config.work / "export"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(folder.with_name(f"{folder.name}.partial"), ignore_errors=True)
    command = [sys.executable, "-m", "cutline.cli.main", "manage", "export_training_data", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise DataError(
            f"The service's feedback cannot be exported ({' '.join(last)}).",
            hint="Run it where the service's settings are, or set feedback: FOLDER.",
        )
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def train_and_judge(
    champion: Champion, data: DataSet, config: LearningConfig, folder: Path, *, earlier: Report
) -> Report:
    """Leave a challenger in the folder, and give what all gates say of it.

    Where it forgot too much, it is put nearer to the champion, as near as is allowed. The tests on what was
    held back have no part in that choice, so that each is made once. earlier: what gates said of the data.
    Raises TrainingError, ImageError, DataError, and Interrupted after a signal.
    """
    training = _training(config)
    train_challenger(champion, data, training, folder, kept_share=1 - config.gates.base_loss)
    asked = ask(champion, data, config.gates)
    while True:
        challenger, weights = read_challenger(folder)
        contest = Contest(
            champion=champion,
            asked=asked,
            bundle=read_bundle(challenger.bundle),
            weights=weights,
            data=data,
            settings=config.gates,
            scratch=folder,
            threads=config.training.threads,
        )
        report = judge(contest, earlier)
        if not report.forgot:
            return report
        _log.info("At strength %s: %s", challenger.facts["strength"], report.summary)
        if weaken(champion, data, training, folder, why=report.summary) is None:
            return report


def _training(config: LearningConfig) -> TrainingSettings:
    """As configured. Rehearsed is the base, unless something else is said."""
    return replace(config.training, rehearsal=config.training.rehearsal or config.gates.base)


def settings_mark(config: LearningConfig) -> str:
    """The hash of how a challenger is trained, and of what it must pass."""
    settings = {"training": dump(_training(config)), "gates": dump(config.gates)}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


class _Run:
    """One run, alone in its folder."""

    def __init__(self, config: LearningConfig, *, needs_new: bool) -> None:
        self._config = config
        self._needs_new = needs_new
        self._work = config.work
        self._registry: Registry = registry_of(config)
        self._version: Version = self._registry.find(CHAMPION)
        self._settings = settings_mark(config)
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self._counts: Mapping[str, int] = {}

    def go(self, feedback: Feedback) -> Outcome:
        """From feedback to how the run ended, which is written down."""
        bundle = self._registry.bundle(self._version)
        before = latest(self._work)
        data = self._unfinished(feedback)
        if data is None:
            data = build(feedback, self._work, self._config.data, known=Known(bundle), before=before)
        self._counts = data.counts
        self._name_withdrawn(feedback)
        reason = self._why_not(data)
        if reason:
            return self._noted(Outcome(ending=Ending.NOT_STARTED, reason=reason, data=data.hash))
        write_json(self._work / BEGUN, self._about(data))
        champion = load_champion(bundle, self._registry.weights(self._version))
        outcome = self._learn(champion, data)
        self._remember(data, outcome)
        (self._work / BEGUN).unlink()
        return self._noted(outcome)

    def _unfinished(self, feedback: Feedback) -> DataSet | None:
        """The data set of a run that was killed: it goes on with that, whatever people said since.

        None where there is none, or where something in it must not be learned from any more.
        """
        begun = read_json(self._work / BEGUN) if (self._work / BEGUN).exists() else {}
        folder = self._work / begun.get("folder", "none")
        if not folder.is_dir():
            return None
        data = read(folder)
        is_same = begun == self._about(data) and photos_of(data) <= set(feedback.photos)
        return data if is_same else None

    def _about(self, data: DataSet) -> dict[str, object]:
        """What a run is about: called again, it goes on only with the same."""
        return {
            "folder": data.folder.name,
            "champion": self._version.id,
            "settings": self._settings,
            "data_settings": dump(self._config.data),
        }

    def _learn(self, champion: Champion, data: DataSet) -> Outcome:
        folder = self._work / "runs" / f"{champion.mark[:8]}-{self._settings[:8]}-{data.hash[:12]}"
        folder.mkdir(parents=True, exist_ok=True)
        report = self._read_report(folder)
        if report is None:
            report = judge_data(champion, data, self._config.gates, folder)
            if report.passed:
                report = train_and_judge(champion, data, self._config, folder, earlier=report)
            self._write_report(report, folder)
            # As a later run reads it: a version is named by its content, the report's bytes among it.
            report = self._read_report(folder) or report
        page = folder / PAGE
        if not report.passed:
            why = f"A challenger was rejected. {report.summary}" if report.challenger else report.summary
            self._registry.annotate(self._version.id, by=LEARNER, why=why[:500], facts={"data": data.hash})
            return Outcome(ending=Ending.REJECTED, reason=report.summary, data=data.hash, page=page)
        version = self._push(data, report, folder)
        self._clear_features(folder)
        return Outcome(
            ending=Ending.CHALLENGER,
            reason=report.summary,
            data=data.hash,
            version=version.id,
            page=page,
        )

    def _push(self, data: DataSet, report: Report, folder: Path) -> Version:
        """Push the challenger, and let the alias stand for it.

        Idempotent: the same content is the same version.
        """
        challenger: Challenger = read_challenger(folder)[0]
        metrics = {
            "gates": {gate.name: gate.figure for gate in report.gates},
            "training": dict(challenger.facts),
        }
        version = self._registry.push(
            Draft(
                bundle=challenger.bundle,
                weights=challenger.weights,
                recipe=json.dumps({"learning": dump(_training(self._config))}, indent=1) + "\n",
                data=DataRecord(hash=data.hash, description=f"{data.counts['captions']} captions by people"),
                parents=(self._version.id,),
                metrics=metrics,
                gates=GateReport(
                    passed=True,
                    summary=report.summary,
                    report=_without_private(report),
                    page=to_html(report, private=False),
                ),
            )
        )
        self._registry.promote(version.id, to=CHALLENGER, by=LEARNER, why=report.summary[:500])
        return version

    # What is to be learned, and what not any more

    def _why_not(self, data: DataSet) -> str:
        """Why there is nothing to do; empty where there is."""
        fewest = self._config.data.fewest_captions
        if data.counts["captions"] + data.counts["left_out"] < fewest:
            return f"{data.counts['captions'] + data.counts['left_out']} captions wait, fewer than {fewest}"
        state = self._state()
        if state.get("settings") != self._settings:  # nothing was learned in this way
            return ""
        learned_by = {state[name] for name in ("champion", "version") if state.get(name)}
        lineage = {self._version.id, *self._version.manifest.parents}
        lineage |= {each.id for each in ancestors(self._registry, self._version)}
        if learned_by and not learned_by & lineage:  # another model, which learned none of it
            return ""
        if state.get("data") == data.hash and state.get("champion") == self._version.id:
            return "nothing is new since the last run"
        if self._needs_new and state.get("data"):
            learned = {(one, other) for one, other in state.get("captions", [])}
            new = sum((row.image, row.text) not in learned for row in rows_of(data))
            if new < self._config.data.fewest_new:
                return f"{new} captions are new since the last run, fewer than {self._config.data.fewest_new}"
        return ""

    def _name_withdrawn(self, feedback: Feedback) -> None:
        """Forget photos that are gone, and note it with every version that learned from them."""
        for path in sorted(self._work.glob("data-*/data.json")):
            older = read(path.parent)
            gone = named_in(older) - set(feedback.photos) - forgotten_of(older.folder)
            if not gone:
                continue
            self._note_withdrawn(older, sorted(gone & photos_of(older)))
            for run in (self._work / "runs").glob(f"*-{older.hash[:12]}"):
                self._clear_features(run)
                for name in (PAGE, REPORT):
                    (run / name).unlink(missing_ok=True)
            self._forget_learned(gone)
            forget(older, gone)

    def _note_withdrawn(self, data: DataSet, gone: Sequence[str]) -> None:
        for version in self._registry.versions():
            learner = self._who_learned(version, data)
            if learner is None:
                continue
            who = "It" if learner.id == version.id else f"{learner.short}, which it descends from,"
            for start in range(0, len(gone), _NAMED_AT_ONCE):
                self._registry.annotate(
                    version.id,
                    by=LEARNER,
                    why=f"{who} learned from photos that are deleted, or not to be learned from, since.",
                    facts={"withdrawn": list(gone[start : start + _NAMED_AT_ONCE])},
                )

    def _forget_learned(self, gone: Collection[str]) -> None:
        """Take what was said of photos out of what the last run that learned remembers."""
        if state := self._state():
            state["captions"] = [each for each in state.get("captions", []) if each[0] not in gone]
            write_json(self._work / STATE, state)

    def _who_learned(self, version: Version, data: DataSet) -> Version | None:
        """Which version learned from a data set: this one, or the nearest that it went on from."""
        if version.is_pruned:
            return None
        line = (version, *ancestors(self._registry, version))
        return next((each for each in line if each.manifest.data.hash == data.hash), None)

    def _clear_features(self, folder: Path) -> None:
        """Delete what the eyes saw of people's photos; it is computed again where it is needed."""
        for pattern in ("*.npy", "*.part"):  # whole, and of a run that was killed
            for path in folder.glob(pattern):
                path.unlink()

    # What is written down

    def _write_report(self, report: Report, folder: Path) -> None:
        (folder / PAGE).write_bytes(to_html(report, private=True))
        write_json(folder / REPORT, report.as_json())

    def _read_report(self, folder: Path) -> Report | None:
        """The report of a run that was killed after its gates."""
        if not (folder / REPORT).exists() or not (folder / PAGE).exists():
            return None
        found = read_json(folder / REPORT)
        names = [field.name for field in dataclasses.fields(Report)]
        return parse_json(Report, {name: found[name] for name in names})

    def _state(self) -> dict[str, Any]:
        """What the last run that learned remembers; empty where none has."""
        return read_json(self._work / STATE) if (self._work / STATE).exists() else {}

    def _remember(self, data: DataSet, outcome: Outcome) -> None:
        state = {
            "began": self._began,
            "data": data.hash,
            "champion": self._version.id,
            "version": outcome.version,
            "settings": self._settings,
            "captions": [[row.image, row.text] for row in rows_of(data)],
        }
        write_json(self._work / STATE, state)

    def _noted(self, outcome: Outcome) -> Outcome:
        line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "champion": self._version.id}
        with (self._work / RUNS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | outcome.as_json(), ensure_ascii=False) + "\n")
        _log.info("%s: %s", outcome.ending, outcome.reason)
        try:
            _record(
                self._registry,
                ending=outcome.ending.value,
                why=outcome.reason,
                champion=self._version.id,
                version=outcome.version,
                data=outcome.data,
                facts=self._facts(),
            )
        except CutlineError as error:
            _log.warning("The run could not be written down in the registry: %s", error)
        return outcome

    def _facts(self) -> dict[str, object]:
        """For those who look at the registry alone: what the data set has, and when it is enough."""
        limits = self._config.data
        return {
            "counts": dict(self._counts),
            "began": self._began,
            "learned": self._state().get("began", ""),  # when the last run that learned began
            "fewest_captions": limits.fewest_captions,
            "fewest_new": limits.fewest_new,
        }


def _without_private(report: Report) -> dict[str, Any]:
    """The report as it is kept with a version: without the photos and words of people's feedback."""
    found = report.as_json()
    return found | {"changes": [each for each in found["changes"] if not each["private"]]}
