"""From a champion and a data set to a challenger.

Trained, averaged with the champion, written as a bundle.

Legend of shapes: N photos.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cutline.captioning.bundle import CARD, DECODER, ENCODER, Manifest, TrainingData, write_bundle
from cutline.errors import TrainingError
from cutline.images import open_image, to_pixels
from cutline.learning.champion import PLAIN, Champion, RegionStore, look
from cutline.learning.config import TrainingSettings
from cutline.learning.dataset import (
    JUDGED,
    PREFERENCES,
    RATINGS,
    TRAIN,
    DataSet,
    lines_of,
    photo_of,
    rows_of,
)
from cutline.learning.files import read_json, write_json
from cutline.learning.graphs import write_graphs
from cutline.learning.objectives import (
    REWARDS,
    EditsObjective,
    Lesson,
    Lessons,
    Preference,
    Rated,
    loss_of,
    packed,
    written_by,
)
from cutline.metrics import DocumentFrequency, cider_d, tokenize
from cutline.metrics.bootstrap import relative_change
from cutline.metrics.ngrams import Floats
from cutline.training.checkpoints import load_weights, read_checkpoint
from cutline.training.config import StageConfig
from cutline.training.datasets import load_examples
from cutline.training.loop import BEST, FitResult, fit
from cutline.training.tracking import JsonLines
from cutline.training.transformer import TransformerCaptioner
from cutline.training.transforms import may_flip
from cutline.training.weights import read_weights, write_weights

EDITS = "edits"
BUNDLE, WEIGHTS, TRAINED = "bundle", "weights.safetensors", "trained.json"
_CALIBRATION_PHOTOS = 32
_CALIBRATION_BATCH = 8
_AT_ONCE = 32
_OF_OWN_PHOTOS = 0.25  # of the teacher's weight where nothing else is rehearsed: it holds learning back
_SAMPLES = 2000  # of the bootstrap
_CHECKED = 150  # photos of the rehearsal that tell how much was forgotten


class Interrupted(TrainingError):
    """A signal ended a training; the next run continues it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenger:
    """What was trained.

    Folder: has the bundle, the trainable weights and trained.json; facts: the last's content.
    """

    folder: Path
    facts: Mapping[str, Any]

    @property
    def bundle(self) -> Path:
        """The folder of the bundle."""
        return self.folder / BUNDLE

    @property
    def weights(self) -> Path:
        """The trainable weights."""
        return self.folder / WEIGHTS


@dataclass(frozen=True, slots=True, kw_only=True)
class _School:
    """All that trainings need, besides weights. checked: photos that tell what was forgotten, by row."""

    lessons: Lessons
    store: RegionStore
    checked: Mapping[int, tuple[str, ...]]
    judged: Mapping[int, tuple[str, ...]]
    frequency: DocumentFrequency


def train_challenger(
    champion: Champion, data: DataSet, settings: TrainingSettings, folder: Path, *, kept_share: float = 0.99
) -> Challenger:
    """Train into ``folder``, or continue there.

    kept_share: of the champion's CIDEr-D on the rehearsal's photos, where there are any, at least so much
    must be left. Raises TrainingError, ImageError, and Interrupted after a signal.
    """
    if (folder / TRAINED).exists():
        return Challenger(folder=folder, facts=read_json(folder / TRAINED))
    folder.mkdir(parents=True, exist_ok=True)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    school = _school(champion, data, settings, folder)
    tried = _train(champion, school, settings, folder)
    best, ways = _best_way(champion, tried, school)
    strength, strengths = _best_strength(champion, tried[best], school, settings, kept_share=kept_share)
    facts = {
        "champion": champion.mark,
        "data": data.hash,
        "captions": len(school.lessons.references),
        "way": best,
        "ways": ways,
        "strength": strength,
        "strengths": strengths,
    }
    return _written(champion, mixed(champion.captioner, tried[best], strength), data, folder, facts)


def weaken(
    champion: Champion, data: DataSet, settings: TrainingSettings, folder: Path, *, why: str
) -> Challenger | None:
    """Take what was trained at the next smaller strength; None where there is none.

    why: what was wrong with the challenger that is in the folder, which is noted.
    """
    facts = read_json(folder / TRAINED)
    smaller = [each for each in settings.strengths if each < facts["strength"]]
    if not smaller:
        return None
    trained = TransformerCaptioner(champion.captioner.config).eval()
    load_weights(trained, read_checkpoint(folder / facts["way"] / BEST)["module"])
    refused = [*facts.get("refused", []), {"strength": facts["strength"], "why": why}]
    facts |= {"strength": max(smaller), "refused": refused}
    return _written(champion, mixed(champion.captioner, trained, max(smaller)), data, folder, facts)


def _written(
    champion: Champion,
    captioner: TransformerCaptioner,
    data: DataSet,
    folder: Path,
    facts: Mapping[str, Any],
) -> Challenger:
    """Weights and bundle, and then the facts: a folder with them is complete."""
    (folder / TRAINED).unlink(missing_ok=True)
    write_weights(folder / WEIGHTS, captioner)
    _write_bundle(champion, captioner, data, folder)
    write_json(folder / TRAINED, facts)
    return Challenger(folder=folder, facts=facts)


def mixed(
    champion: TransformerCaptioner, trained: TransformerCaptioner, strength: float
) -> TransformerCaptioner:
    """The weighted mean of two captioners' weights (Wortsman et al., 2022).

    0 is the champion, 1 what was trained.
    """
    made = TransformerCaptioner(champion.config).eval()
    after = trained.state_dict()
    made.load_state_dict(
        {name: torch.lerp(value, after[name], strength) for name, value in champion.state_dict().items()}
    )
    return made


# What is learned


def _school(champion: Champion, data: DataSet, settings: TrainingSettings, folder: Path) -> _School:
    rows = [row for row in rows_of(data) if row.split in (TRAIN, JUDGED)]
    # Photos that look the same are one photo, with what all their owners wrote.
    photos = {row.group: photo_of(data, row.image) for row in rows}
    places = {group: place for place, group in enumerate(photos)}
    rehearsed = _rehearsal(settings)
    looked_at = [*photos.values(), *(photo for photo, _ in rehearsed)]
    store = look(champion.bundle, looked_at, folder / "regions.npy", threads=settings.threads)
    said: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        said[row.group].append(row.text)

    def lessons(split: str) -> tuple[Lesson, ...]:
        return tuple(
            Lesson(
                row=places[row.group],
                ids=champion.ids(row.text),
                weight=row.weight,
                mirrored=may_flip(said[row.group]),
            )
            for row in rows
            if row.split == split
        )

    references, judged = lessons(TRAIN), lessons(JUDGED)
    if not references or not judged:
        raise TrainingError("The data set has no captions to train on, or none to judge by.")
    images = {row.image: places[row.group] for row in rows if row.split == TRAIN}
    preferences, rated = _opinions(champion, data, images)
    behind = range(len(photos), len(looked_at))
    checks = min(_CHECKED, len(rehearsed) // 3)
    return _School(
        lessons=Lessons(
            references=references,
            judged=judged,
            rehearsed=tuple(behind[checks:]),
            preferences=preferences,
            rated=rated,
        ),
        store=store,
        checked=dict(zip(behind, (texts for _, texts in rehearsed[:checks]), strict=False)),
        judged={places[row.group]: tuple(said[row.group]) for row in rows if row.split == JUDGED},
        frequency=DocumentFrequency.of(
            [
                [tokenize(text) for text in texts]
                for texts in (*said.values(), *(each for _, each in rehearsed))
            ]
        ),
    )


def _rehearsal(settings: TrainingSettings) -> list[tuple[Path, tuple[str, ...]]]:
    """Captioned photos from outside the feedback, in an order that depends on the seed alone."""
    if settings.rehearsal is None or not settings.rehearsal_photos:
        return []
    found = [
        (each.image, each.captions)
        for each in load_examples(settings.rehearsal)
        if isinstance(each.image, Path) and each.split == "train"
    ]
    order = np.random.default_rng(settings.seed).permutation(len(found))
    return [found[int(place)] for place in order[: settings.rehearsal_photos + _CHECKED]]


def _opinions(
    champion: Champion, data: DataSet, places: Mapping[str, int]
) -> tuple[tuple[Preference, ...], tuple[Rated, ...]]:
    """Preferences as people stated them and as their ratings imply them; and the same as rewards."""
    ratings: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in lines_of(data, RATINGS):
        if row["image"] in places:
            ratings[row["image"]].append(row)
    pairs = {
        (row["image"], row["chosen"], row["rejected"]): 1.0
        for row in lines_of(data, PREFERENCES)
        if row["image"] in places
    }
    for image, rows in ratings.items():
        for better in rows:
            for worse in rows:
                if better["reward"] > 0 > worse["reward"]:
                    weight = min(better["weight"], worse["weight"])
                    pairs.setdefault((image, better["text"], worse["text"]), weight)
    rewards = {(row["image"], row["text"]): row for rows in ratings.values() for row in rows}
    values = {key: (row["reward"], row["weight"]) for key, row in rewards.items()}
    for (image, chosen, rejected), weight in pairs.items():
        values.setdefault((image, chosen), (1.0, weight))
        values.setdefault((image, rejected), (-1.0, weight))
    return (
        tuple(
            Preference(
                row=places[image], chosen=champion.ids(chosen), rejected=champion.ids(rejected), weight=weight
            )
            for (image, chosen, rejected), weight in sorted(pairs.items())
        ),
        tuple(
            Rated(row=places[image], ids=champion.ids(text), reward=reward, weight=weight)
            for (image, text), (reward, weight) in sorted(values.items())
        ),
    )


# Training


def _train(
    champion: Champion, school: _School, settings: TrainingSettings, folder: Path
) -> dict[str, TransformerCaptioner]:
    """What each way gives: from people's captions alone, and with each kind of rewards after them."""
    stage = _stage(settings, EDITS, school)
    start = mixed(champion.captioner, champion.captioner, 0.0)
    objective = EditsObjective(
        start, school.lessons, school.store, stage, seed=settings.seed, learns=settings.learns
    )
    tried = {EDITS: _fitted(objective, stage, folder, settings)}
    lessons = school.lessons
    if len(lessons.preferences) + len(lessons.rated) < settings.fewest_rewards:
        return tried
    for name in settings.rewards:
        stage = _stage(settings, name, school)
        learner = mixed(tried[EDITS], tried[EDITS], 0.0)
        objective = REWARDS[name](
            learner,
            lessons,
            school.store,
            stage,
            seed=settings.seed,
            teacher=champion.captioner,
            learns=settings.learns,
        )
        tried[name] = _fitted(objective, stage, folder, settings)
    return tried


def _stage(settings: TrainingSettings, name: str, school: _School) -> StageConfig:
    is_first = name == EDITS
    epochs = settings.epochs if is_first else settings.reward_epochs
    teacher_share = 1.0 if school.lessons.rehearsed else _OF_OWN_PHOTOS
    return StageConfig(
        name=name,
        objective="rewards",
        epochs=epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate if is_first else settings.reward_learning_rate,
        warmup_steps=10 if is_first else 0,
        floor=0.05,
        label_smoothing=settings.label_smoothing,
        caption_weight=settings.caption_weight,
        samples=settings.samples,
        temperature=settings.temperature,
        distill_weight=teacher_share * settings.teacher_weight,
        evaluate_every=epochs,  # the last weights are taken: a few photos cannot tell which epoch was best
        checkpoint_every=25,
    )


def _fitted(
    objective: EditsObjective, stage: StageConfig, folder: Path, settings: TrainingSettings
) -> TransformerCaptioner:
    with closing(JsonLines(folder / "metrics.jsonl", stage=stage.name)) as tracker:
        result: FitResult = fit(
            objective, stage, folder=folder / stage.name, tracker=tracker, seed=settings.seed, resume=True
        )
    if result.stopped == "interrupted":
        raise Interrupted(
            "The training was interrupted.", hint="Run it again to continue.", kept=f"{result.last} was kept."
        )
    load_weights(objective.captioner, read_checkpoint(result.best)["module"])
    return objective.captioner.eval()


# Choosing


def _best_way(
    champion: Champion, tried: Mapping[str, TransformerCaptioner], school: _School
) -> tuple[str, dict[str, dict[str, float]]]:
    """The way that is best on the judged photos, and what was measured of each."""
    measured = {
        name: {
            "cider": _cider(champion, captioner, school.judged, school),
            "loss": _loss(captioner, school),
        }
        for name, captioner in tried.items()
    }
    return best_of(measured), measured


def best_of(measured: Mapping[str, Mapping[str, float]]) -> str:
    """The way whose captions are most like people's, of those that make people's as likely as edits do.

    The judged photos are few, and CIDEr-D of few photos is mostly chance; the loss of a word is not. Of equal
    ones, the simplest is taken.
    """
    edits = measured[EDITS]["loss"]
    allowed = [name for name, each in measured.items() if each["loss"] <= edits]
    return max(allowed, key=lambda name: measured[name]["cider"])


def _best_strength(
    champion: Champion,
    trained: TransformerCaptioner,
    school: _School,
    settings: TrainingSettings,
    *,
    kept_share: float,
) -> tuple[float, list[dict[str, float]]]:
    """How far to go: as far as photos of the rehearsal do not show that it forgets. Gates see more photos.

    Loss and CIDEr-D of the judged photos are noted beside it; they are too few to choose by.
    """
    before = _ciders(champion, champion.captioner, school.checked, school)
    measured = []
    for strength in sorted(settings.strengths):
        captioner = mixed(champion.captioner, trained, strength)
        kept, at_most = kept_of(_ciders(champion, captioner, school.checked, school), before)
        cider = _cider(champion, captioner, school.judged, school)
        measured.append(
            {
                "strength": strength,
                "loss": _loss(captioner, school),
                "cider": cider,
                "kept": kept,
                "kept_at_most": at_most,
            }
        )
    fitting = [each for each in measured if each["kept_at_most"] >= kept_share] or measured[:1]
    return fitting[-1]["strength"], measured


def kept_of(after: Floats, before: Floats) -> tuple[float, float]:
    """How much of the CIDEr-D [N] of photos is left, as a share, and the upper end of its interval."""
    if not len(before) or not before.mean():
        return 1.0, 1.0
    change = relative_change(after, before, samples=_SAMPLES)
    return 1 + change.difference, 1 + change.high


def _loss(captioner: TransformerCaptioner, school: _School) -> float:
    return loss_of(captioner, school.lessons.judged, school.store)


def _cider(
    champion: Champion,
    captioner: TransformerCaptioner,
    photos: Mapping[int, tuple[str, ...]],
    school: _School,
) -> float:
    """CIDEr-D, times 100, of captions of photos, by row; 0 without any."""
    return 100 * float(_ciders(champion, captioner, photos, school).mean()) if photos else 0.0


def _ciders(
    champion: Champion,
    captioner: TransformerCaptioner,
    photos: Mapping[int, tuple[str, ...]],
    school: _School,
) -> Floats:
    """CIDEr-D of the caption of each photo: [N]."""
    rows = sorted(photos)
    written: list[list[str]] = []
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        seen = school.store.read(part, [PLAIN] * len(part))
        written += [champion.words(ids) for ids in written_by(captioner, seen)]
    references = [[tokenize(text) for text in photos[row]] for row in rows]
    if not rows:
        return np.zeros(0)
    return cider_d(references, written, document_frequency=school.frequency)[1]


# Writing


def _write_bundle(
    champion: Champion, captioner: TransformerCaptioner, data: DataSet, folder: Path
) -> Manifest:
    """The challenger's bundle, calibrated on photos that were learned from and the champion's words."""
    rows = [row for row in rows_of(data) if row.split == TRAIN]
    places = np.linspace(0, len(rows) - 1, min(_CALIBRATION_PHOTOS, len(rows)))
    chosen = [rows[int(place)] for place in places]
    size = champion.bundle.manifest.preprocessing
    pixels = [
        np.stack(
            [
                to_pixels(open_image(photo_of(data, row.image), enough_px=size.enough_px), size)
                for row in chosen[start : start + _CALIBRATION_BATCH]
            ]
        )
        for start in range(0, len(chosen), _CALIBRATION_BATCH)
    ]
    captions = packed([champion.ids(row.text) for row in chosen], captioner.config.max_tokens).numpy()
    graphs = folder / "graphs"
    shutil.rmtree(graphs, ignore_errors=True)  # of a run that was killed
    graphs.mkdir()
    write_graphs(champion.bundle, captioner, graphs, pixels=pixels, captions=captions)
    before, kept = champion.bundle.manifest, champion.bundle.files
    for name in kept.keys() - {ENCODER, DECODER, CARD}:
        (graphs / name).write_bytes(kept[name])  # words, and what finds photos by texts
    (graphs / CARD).write_text(_card(kept[CARD].decode("utf-8"), before, data), encoding="utf-8")
    manifest = replace(
        before,
        version=_next_version(before.version, data.hash),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        training_data=TrainingData(
            hash=data.hash,
            description=f"{data.counts['train']} captions by people, after {before.name}@{before.version}:"
            f" {before.training_data.description}"[:1000],
        ),
        metrics={},
        files={},
    )
    return write_bundle(folder / BUNDLE, manifest, {name: graphs / name for name in kept})


def _next_version(version: str, mark: str) -> str:
    """The champion's version, and which data came after it: 1.2.1+learned.0123abcd."""
    return f"{version.partition('+')[0]}+learned.{mark[:8]}"


def _card(card: str, before: Manifest, data: DataSet) -> str:
    plain = card.partition("\n## Learned from feedback\n")[0].rstrip()
    return (
        f"{plain}\n\n## Learned from feedback\n\n"
        f"This version went on from {before.name}@{before.version}, with {data.counts['train']} captions"
        " that people wrote or picked for their own photos and allowed to be"
        f" learned from (data set {data.hash[:12]}). Scores above are those of the version that was first"
        " published.\n"
    )


def read_challenger(folder: Path) -> tuple[Challenger, TransformerCaptioner]:
    """What `train_challenger` left in a folder. Raises DataError, TrainingError."""
    facts = read_json(folder / TRAINED)
    return Challenger(folder=folder, facts=facts), read_weights(folder / WEIGHTS)
