"""How likely a caption is acceptable: a logistic function of what the model knew when it had written it.

A bundle may hold ``confidence.json``, which ``training.calibration`` fits (`cutline bundle calibrate`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from cutline.captioning.evidence import Evidence, Weights, check_known, weighed_sum
from cutline.strict import Between

_FAR = 500.0  # beyond it, a float is 0 or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """The content of confidence.json.

    ``threshold`` is the CIDEr-D, against people's captions of the photo, from which on a caption is
    acceptable. ``calibration_error`` is the expected calibration error (Naeini et al., 2015, ten bins) on
    ``photos`` photos, each judged by weights that were not fitted on it; ``data`` says which photos.
    """

    format_version: Literal[1]
    threshold: Annotated[float, Between(0, 10, open_low=True)]
    bias: float
    evidence: Weights
    calibration_error: Annotated[float, Between(0, 1)]
    photos: Annotated[int, Between(1)]
    data: str

    def __post_init__(self) -> None:
        """Refuse evidence that nobody knows of (MismatchError)."""
        check_known(self.evidence)

    def of(self, evidence: Evidence) -> float:
        """The probability that a caption is acceptable."""
        total = self.bias + weighed_sum(self.evidence, evidence)
        return 1 / (1 + math.exp(-max(-_FAR, min(_FAR, total))))
