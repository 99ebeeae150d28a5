"""What learning may be told.

One YAML file, whose every key has a default. Parsed strictly, as recipes are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cutline.errors import ConfigError
from cutline.strict import Between
from cutline.training.config import parse, parse_yaml
from cutline.training.examples import DataConfig

Count = Annotated[int, Between(1)]
Natural = Annotated[int, Between(0)]
Share = Annotated[float, Between(0, 1)]
Rate = Annotated[float, Between(0, 1, open_low=True)]
Positive = Annotated[float, Between(0, open_low=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """What may be learned from.

    fewest_captions: below it there is nothing to learn. owner_share: the most of a data set, in captions and
    in weight, that may come from one owner or one author. fewest_new: a run begins only with so many captions
    that the data set of the last one lacked. held_share and judged_share of the photos are kept out of
    training: the first for the gates, the second to tell when to stop.

    A whole data set is refused, for somebody to look at, if more than poison_share of its captions are
    offensive, spam, empty, in capitals, in another language or repetitive; more than rejected_share were left
    out for any fault; more than account_share come from one author; more than same_share say the same; or
    ratings disagree with what people wrote.
    """

    fewest_captions: Count = 100
    fewest_new: Natural = 50
    owner_share: Rate = 0.05
    held_share: Share = 0.2
    judged_share: Share = 0.1
    poison_share: Share = 0.03
    rejected_share: Share = 0.2
    account_share: Share = 0.3
    same_share: Share = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How a challenger is trained.

    learns: sight, which is all that reads the photo, or whole, which is the language, too. epochs over
    people's captions, then reward_epochs over what they preferred and rated, if preferences and ratings
    number fewest_rewards. Of each photo, as many samples as are asked for are drawn at a temperature, and
    those that are more like people's captions become likelier; caption_weight is that of people's captions
    themselves beside it. rewards: both ways are tried by default, and the better one is kept, or neither.
    teacher_weight: how much the challenger must not forget what the champion would say. strengths: how far
    the weights go from the champion (0) to what was trained (1). rehearsal: captioned photos, such as those
    of the base's training (by default the training photos of ``gates.base``), of which rehearsal_photos are
    rehearsed.
    """

    learns: Literal["sight", "whole"] = "sight"
    epochs: Count = 3
    reward_epochs: Count = 1
    learning_rate: Rate = 1e-4
    reward_learning_rate: Rate = 2e-5
    batch_size: Count = 12
    caption_weight: Annotated[float, Between(0)] = 0.5
    samples: Annotated[int, Between(2, 64)] = 5
    temperature: Annotated[float, Between(0.05, 5)] = 0.4
    teacher_weight: Annotated[float, Between(0)] = 2.0
    label_smoothing: Annotated[float, Between(0, 0.5)] = 0.1
    fewest_rewards: Count = 30
    rewards: tuple[str, ...] = ("dpo", "importance")
    strengths: tuple[Rate, ...] = (0.3, 0.5, 0.7, 1.0)
    rehearsal: DataConfig | None = None
    rehearsal_photos: Natural = 300
    seed: Natural = 0
    threads: Natural = 0

    def __post_init__(self) -> None:
        """Refuse what is no way to learn from rewards."""
        for name in self.rewards:
            if name not in ("dpo", "importance"):
                raise ConfigError(
                    f"There are no rewards {name!r}.", hint="Use dpo, importance, both, or none: []."
                )
        if not self.strengths:
            raise ConfigError("training.strengths is empty.", hint="Give at least one, such as 0.5.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What a challenger must pass. base_photos: how many of the dev photos of ``base`` are captioned at most.

    Shares are of the champion's own figure. base_loss: the most CIDEr-D that may be lost on the base's dev
    photos; without any, golden_agreement is how alike the captions of the golden photos must stay, from 0
    to 1. p_value: of making held-back captions likelier by chance. held_loss: the most CIDEr-D that may be
    lost on the photos of held-back captions, even if that may be chance, for they are few. group_rows: a
    group of photos with at least so many captions must not get significantly worse. fit_share: so many
    captions, at least, must fit their own photo better than another. repeated, vocabulary, length,
    calibration, latency, size: how much more captions may be the same, how much of the vocabulary may be
    lost, how much longer or shorter captions, how much worse calibrated (in expected calibration error) and
    how much slower and larger the model may become.
    """

    base: DataConfig | None = None
    base_photos: Count = 1000
    base_loss: Share = 0.01
    golden: Path | None = None
    golden_agreement: Share = 0.5
    p_value: Rate = 0.05
    held_loss: Share = 0.25
    fit_share: Share = 0.55
    group_rows: Count = 30
    repeated: Share = 0.1
    vocabulary: Share = 0.2
    length: Share = 0.25
    calibration: Share = 0.1
    latency: Positive = 0.1
    size: Positive = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningConfig:
    """One learner. Relative paths are relative to the working directory.

    work: the folder of the learner: its lock, data sets, runs and reports. registry: where versions are kept;
    by default where CUTLINE_REGISTRY says, else in the registry of CUTLINE_MODEL, else in the folder models.
    feedback: an export of the service (`cutline manage export_training_data`); without one, a run exports the
    service's own first.
    """

    work: Path = Path("learning")
    registry: str = ""
    feedback: Path | None = None
    data: DataSettings = field(default_factory=DataSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    gates: GateSettings = field(default_factory=GateSettings)


def load_config(path: Path | None) -> LearningConfig:
    """Read a learner's YAML; None gives the defaults. Raises ConfigError."""
    if path is None:
        return LearningConfig()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration {path} cannot be read ({error}).") from error
    return parse(LearningConfig, parse_yaml(text, str(path)) or {})
