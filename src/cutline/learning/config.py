"""What learning may be told.

One YAML file, whose every key has a default. Parsed strictly, as recipes are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cutline.errors import ConfigError
from cutline.strict import Between
from cutline.training.config import parse, parse_yaml

Count = Annotated[int, Between(1)]
Natural = Annotated[int, Between(0)]
Share = Annotated[float, Between(0, 1)]
Rate = Annotated[float, Between(0, 1, open_low=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """What may be learned from.

    fewest_captions: below it there is nothing to learn. owner_share: the most of a data set, in captions and
    in weight, that may come from one owner or one author. held_share and judged_share of the photos are kept
    out of training: the first for later comparison, the second to tell when to stop.

    A whole data set is refused, for somebody to look at, if more than poison_share of its captions are
    offensive, spam, empty, in capitals, in another language or repetitive; more than rejected_share were left
    out for any fault; more than account_share come from one author; more than same_share say the same; or
    ratings disagree with what people wrote.
    """

    fewest_captions: Count = 100
    owner_share: Rate = 0.05
    held_share: Share = 0.2
    judged_share: Share = 0.1
    poison_share: Share = 0.03
    rejected_share: Share = 0.2
    account_share: Share = 0.3
    same_share: Share = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningConfig:
    """One learner."""

    data: DataSettings = field(default_factory=DataSettings)


def load_config(path: Path | None) -> LearningConfig:
    """Read a learner's YAML; None gives the defaults. Raises ConfigError."""
    if path is None:
        return LearningConfig()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration {path} cannot be read ({error}).") from error
    return parse(LearningConfig, parse_yaml(text, str(path)) or {})
