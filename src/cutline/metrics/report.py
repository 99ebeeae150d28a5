"""Reports of an evaluation: JSON for programs, Markdown for people. The HTML page is in page.py.

The same captions on the same data give the same bytes: no times, no folders of this machine.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cutline.metrics.judgement import Score, Versus

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The system that wrote the captions. decoding: the options in effect, where they are known."""

    name: str
    decoding: Mapping[str, Any] = field(default_factory=dict)
    failed: int = 0  # photos without a caption: they count as empty ones
    note: str = ""
    hash: str = ""  # SHA-256 over the hashes of a bundle's files; empty if it is not a bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """What the captions were judged on."""

    name: str
    split: str
    photos: int
    captions: int
    hash: str  # SHA-256 over keys, splits and captions of the photos that were judged
    whole_split: int  # photos in the split; more than ``photos`` when only a part was judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One photo: what was written, what people wrote, and what that scored."""

    key: str
    caption: str
    references: tuple[str, ...]
    scores: Mapping[str, float]
    other: str | None = None  # the caption of the system compared with
    other_scores: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything an evaluation found."""

    system: System
    data: DataSet
    scores: tuple[Score, ...]
    items: tuple[Item, ...]
    other: System | None = None
    other_scores: tuple[Score, ...] = ()
    versus: tuple[Versus, ...] = ()
    warnings: tuple[str, ...] = ()
    cutline: str = field(default_factory=lambda: importlib.metadata.version("cutline"))


def to_json(evaluation: Evaluation) -> str:
    """Write everything, items included. Scores of quality are times 100."""
    whole = {"format_version": FORMAT_VERSION, **rounded(asdict(evaluation))}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def rounded(value: Any) -> Any:
    """Leave six decimals: more is noise, and differs between machines."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value


def shown(score: Score) -> str:
    """A score as printed."""
    return "not computed" if score.value is None else f"{score.value:,.{score.digits}f}"


def shown_p(p_value: float) -> str:
    """A p-value as printed."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def verdict(versus: Versus, evaluation: Evaluation) -> str:
    """Which system is ahead, in words, or that no difference was shown."""
    if not versus.test.significant:
        return "no difference shown"
    ahead = evaluation.system if versus.test.difference > 0 else evaluation.other
    return f"{ahead.name} ahead" if ahead else ""


def provenance(evaluation: Evaluation) -> list[tuple[str, str]]:
    """What is needed to reproduce the figures, as (what, which) rows."""
    data = evaluation.data
    part = "" if data.photos == data.whole_split else f" (the first of {data.whole_split:,} in the split)"
    tokenizers = sorted({score.tokenizer for score in evaluation.scores})
    rows = [
        ("System", _described(evaluation.system)),
        *([("Compared with", _described(evaluation.other))] if evaluation.other else []),
        (
            "Data",
            f"{data.name}, split {data.split}: {data.photos:,} photos{part}, {data.captions:,} captions",
        ),
        ("Data hash", f"sha256:{data.hash}"),
        ("Tokenizer", ", ".join(tokenizers)),
        ("CIDEr-D rarity", f"from the references of all {data.whole_split:,} photos of the split"),
        ("Evaluated with", f"cutline {evaluation.cutline}"),
    ]
    if evaluation.versus:
        test = evaluation.versus[0].test
        rows.append(
            (
                "Bootstrap",
                f"paired, {test.samples:,} resamples, seed {test.seed}, intervals of {test.confidence:.0%}",
            )
        )
    return rows


def _described(system: System) -> str:
    options = ", ".join(f"{name} {value}" for name, value in system.decoding.items())
    failed = f"{system.failed:,} photos without a caption" if system.failed else ""
    digest = f"sha256:{system.hash}" if system.hash else ""
    details = "; ".join(part for part in (options, digest, system.note, failed) if part)
    return f"{system.name} ({details})" if details else system.name


def to_markdown(evaluation: Evaluation) -> str:
    """Write warnings, scores, the comparison and where it all comes from; no items."""
    parts = [f"# {_cell(evaluation.system.name)} on {_cell(evaluation.data.name)}, {evaluation.data.split}"]
    parts += [f"> **Note:** {warning}" for warning in evaluation.warnings]
    parts.append(_score_table(evaluation))
    if evaluation.versus:
        parts += ["## Is the difference significant?", _versus_table(evaluation)]
    parts += ["## Where this comes from", _table(["", ""], [list(row) for row in provenance(evaluation)])]
    return "\n\n".join(parts) + "\n"


def _score_table(evaluation: Evaluation) -> str:
    others = {score.name: score for score in evaluation.other_scores}
    head = ["Score", evaluation.system.name]
    if evaluation.other:
        head.append(evaluation.other.name)
    rows = []
    for score in evaluation.scores:
        row = [score.name, shown(score)]
        if evaluation.other:
            row.append(shown(others[score.name]) if score.name in others else "")
        rows.append([*row, score.note, score.by, score.tokenizer])
    return _table([*head, "What it is", "Computed by", "Tokenizer"], rows)


def _versus_table(evaluation: Evaluation) -> str:
    head = ["Score", evaluation.system.name, evaluation.other.name if evaluation.other else ""]
    head += ["Difference", f"{evaluation.versus[0].test.confidence:.0%} interval", "p", "Verdict"]
    rows = [
        [
            each.name,
            f"{each.first:.2f}",
            f"{each.second:.2f}",
            f"{each.test.difference:+.2f}",
            f"{each.test.low:+.2f} to {each.test.high:+.2f}",
            shown_p(each.test.p_value),
            verdict(each, evaluation),
        ]
        for each in evaluation.versus
    ]
    return _table(head, rows)


def bundle_scores(metrics: Mapping[str, Any]) -> str:
    """The scores by source that a bundle carries (``metrics`` in bundle.json), as Markdown."""
    sources: Mapping[str, Mapping[str, float]] = metrics["sources"]
    names = list(dict.fromkeys(name for scores in sources.values() for name in scores))
    rows = [[source, *(f"{scores[name]:g}" for name in names)] for source, scores in sources.items()]
    table = _table([f"{metrics['split']} photos of", *names], rows)
    return f"{table}\n\nScores times 100; tokenizer: {metrics['tokenizer']}."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    """Keep text from being taken for markup or for a new cell."""
    plain = " ".join(text.split())
    for character in "\\|<>[]*`":
        plain = plain.replace(character, f"\\{character}")
    return plain


def summary_lines(evaluation: Evaluation) -> list[str]:
    """The scores for a terminal, aligned."""
    others = {score.name: shown(score) for score in evaluation.other_scores}
    rows = [
        (
            score.name,
            shown(score),
            others.get(score.name, ""),
            "" if score.value is not None else score.note,
        )
        for score in evaluation.scores
    ]
    wide = max(len(row[0]) for row in rows)
    number = max(len(row[1]) for row in rows if row[1] != "not computed")
    lines = [
        f"{name:<{wide}}  {value if note else value.rjust(number)}"
        + (f"  {other.rjust(number)}" if other else "")
        + (f" ({note})" if note else "")
        for name, value, other, note in rows
    ]
    for each in evaluation.versus:
        interval = f"{each.test.low:+.2f} to {each.test.high:+.2f}"
        lines.append(
            f"{each.name}: {each.test.difference:+.2f} ({interval}, p {shown_p(each.test.p_value)}): "
            f"{verdict(each, evaluation)}"
        )
    return lines
