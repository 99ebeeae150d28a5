"""Reports of an evaluation of captions in a voice: JSON for programs, Markdown for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from cutline.evaluation.style_scores import Scores
from cutline.evaluation.styles import StyleEvaluation, StyleSystem
from cutline.metrics.report import rounded

FORMAT_VERSION = 1

_MEASURES: Mapping[str, str] = {
    "recognised": "tone recognised",
    "recognised_as_written": "tone recognised, before the guard",
    "faithful": "captions without an unsupported thing",
    "faithful_as_written": "captions without an unsupported thing, before the guard",
    "support": "content words supported",
    "distinct_2": "distinct-2",
    "length": "length kept",
    "hashtags": "number of hashtags kept",
    "refused": "refused",
}
_KINDS = {"tones trained": "tones trained on", "tones unseen": "tones never trained on"}


def to_json(evaluation: StyleEvaluation) -> str:
    """Everything, what was written included. Shares are from 0 to 1."""
    whole = {"format_version": FORMAT_VERSION, **asdict(evaluation)}
    return json.dumps(rounded(whole), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_markdown(evaluation: StyleEvaluation) -> str:
    """All tables: measures, families and audiences, repeated openings, and confusions of families."""
    blocks = [provenance(evaluation), *_blocks(evaluation)]
    return "\n".join(["# Captions in a voice", "", *(f"{block}\n" for block in blocks)])


def summary(evaluation: StyleEvaluation) -> str:
    """What is printed."""
    return "\n\n".join((provenance(evaluation), *_blocks(evaluation)))


def provenance(evaluation: StyleEvaluation) -> str:
    """What was judged, in one line."""
    prompts = ", ".join(f"{each.name} (prompt {each.prompt})" for each in evaluation.systems if each.prompt)
    return (
        f"{prompts or 'people'}: {evaluation.rows:,} of {evaluation.held_out:,} held-out rows, seed"
        f" {evaluation.seed}, corpus {evaluation.corpus[:12]}, cutline {evaluation.cutline}"
    )


def _blocks(evaluation: StyleEvaluation) -> Iterator[str]:
    systems = evaluation.systems
    for group, title in {"all": "all tones", **_KINDS}.items():
        if all(group in each.groups for each in systems):
            yield _measures(title, [each.groups[group] for each in systems], systems)
    yield _recognised(systems)
    for each in systems:
        if each.openings:
            yield _openings(each)
        yield _confusion(each)


def _measures(title: str, scored: Sequence[Scores], systems: Sequence[StyleSystem]) -> str:
    rows = [[told, *(_percent(getattr(each, name)) for each in scored)] for name, told in _MEASURES.items()]
    return _table([f"{title} ({scored[0].captions:,} rows)", *(each.name for each in systems)], rows)


def _recognised(systems: Sequence[StyleSystem]) -> str:
    groups = [name for name in systems[0].groups if name.startswith(("family ", "audience "))]
    rows = [
        [f"{group} ({systems[0].groups[group].captions})"]
        + [_percent(each.groups[group].recognised) for each in systems]
        for group in groups
    ]
    return _table(["tone recognised, by group (rows)", *(each.name for each in systems)], rows)


def _openings(system: StyleSystem) -> str:
    rows = [
        [each.tone, str(each.captions), str(each.most), f"{each.opening} ..."] for each in system.openings
    ]
    return _table([f"repeated openings of {system.name}", "captions", "most alike", "which"], rows)


def _confusion(system: StyleSystem) -> str:
    heard = sorted({name for counts in system.confusion.values() for name in counts})
    rows = [
        [family, *(str(counts.get(name, "")) for name in heard)]
        for family, counts in system.confusion.items()
    ]
    return _table([f"{system.name}: asked for, heard as", *heard], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are as wide as what stands in them."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    rule = [f":{'-' * (widths[0] - 1)}", *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return "\n".join(line(each) for each in (heads, rule, *rows))


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
