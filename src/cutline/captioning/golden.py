"""Try a model on the golden photos, before anybody uses it: this finds what is broken, not what is bad."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from cutline.captioning.protocol import Caption, Captioner
from cutline.errors import CutlineError, VersionRefused

LEAST_WORDS = 2
MOST_REPEATS = 3  # of one word, one after the other
LEAST_AGREEMENT = 0.75  # with the captions that were recorded: processors round differently


def photos() -> list[Path]:
    """The golden photos, which ship with Cutline."""
    return sorted(Path(str(resources.files("cutline") / "golden")).glob("*.jpg"))


def check(captioner: Captioner, *, expected: Mapping[str, str] | None = None) -> dict[str, str]:
    """Caption the golden photos, together and alone; return the captions by the photos' names.

    ``expected`` are the captions that the model is known to write. Raises VersionRefused where a caption is
    no sentence, where a photo's captions depend on the batch or change, where most photos have the same, and
    where too many differ from the expected ones.
    """
    paths = photos()
    try:
        together = [captions[0] for captions in captioner.caption(paths)]
        alone = [captioner.caption(path)[0][0] for path in paths[:2]]
    except CutlineError as error:
        raise VersionRefused(f"The golden photos cannot be captioned: {error.message}") from error
    except Exception as error:  # whatever a runtime raises over a graph
        raise VersionRefused(f"The golden photos cannot be captioned: {error!r:.200}") from error
    found = {path.name: caption.text for path, caption in zip(paths, together, strict=True)}
    problem = (
        next(filter(None, map(_problem, together)), "")
        or _differing(together, alone)
        or _monotony(together)
        or _surprise(found, expected or {})
    )
    if problem:
        raise VersionRefused(f"The model failed on the golden photos: {problem}.")
    return found


def _problem(caption: Caption) -> str:
    words = caption.text.lower().strip(".").split()
    if len(words) < LEAST_WORDS:
        return f"it wrote {caption.text!r:.80}"
    repeats = zip(*(words[start:] for start in range(MOST_REPEATS)), strict=False)
    if any(len(set(each)) == 1 for each in repeats):
        return f"it repeats a word: {caption.text!r:.120}"
    if caption.token_log_probs and not math.isfinite(caption.log_prob):
        return "its log-probabilities are no numbers"
    return ""


def _differing(together: Sequence[Caption], alone: Sequence[Caption]) -> str:
    same = [one.text == other.text for one, other in zip(together, alone, strict=False)]
    return "" if all(same) else "a photo's caption depends on the batch, or on chance"


def _monotony(captions: Sequence[Caption]) -> str:
    texts = [caption.text for caption in captions]
    most = max(map(texts.count, texts))
    return f"it wrote {texts[0]!r:.80} for most photos" if most > len(texts) / 2 else ""


def _surprise(found: Mapping[str, str], expected: Mapping[str, str]) -> str:
    known = [name for name in found if name in expected]
    same = sum(found[name] == expected[name] for name in known)
    if known and same < LEAST_AGREEMENT * len(known):
        return f"only {same} of {len(known)} captions are those that were recorded"
    return ""
