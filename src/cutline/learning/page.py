"""The gates' report as one self-contained HTML page, with the photos whose captions changed most."""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path

from cutline.errors import ImageError
from cutline.images import open_image
from cutline.learning.gates import Change, Gate, Report
from cutline.metrics.page import THUMBNAIL_PX, embedded, whole_page

_SHOWN = 12  # of each kind: better and worse


def to_html(report: Report, *, private: bool) -> bytes:
    """Write the page. private: also show the photos of people's feedback, which a page that is kept must not.

    Whatever comes from outside is escaped, and the page's own policy forbids scripts and requests.
    """
    verdict = "Passed" if report.passed else "Rejected"
    title = f"{report.challenger or report.champion}: {verdict.lower()}"
    body = [
        f"<header><h1>{verdict}: {_e(report.challenger or 'no challenger was trained')}</h1>"
        f"<p>{_e(report.summary)}</p></header>",
        _gates_section(report.gates),
        *_changes_sections(report.changes, private=private),
        "<section><h2>Provenance</h2><p>"
        f"Champion {_e(report.champion)}; data set {_e(report.data)}.</p></section>",
    ]
    return whole_page(title, body).encode()


def _e(text: str) -> str:
    return html.escape(text, quote=True)


def _gates_section(gates: Iterable[Gate]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_e(gate.name)} <small>{_e(gate.about)}</small></th>'
        f"<td>{'passed' if gate.passed else '<strong>not passed</strong>'}</td>"
        f'<td class="number">{gate.figure:.4g}</td><td class="number">{_interval(gate)}</td>'
        f"<td>{_e(gate.threshold)}</td><td>{_e(gate.detail)}</td></tr>"
        for gate in gates
    )
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("Gate", "Verdict", "Figure", "95% interval", "Threshold", "Detail")
    )
    return (
        '<section><h2>Gates</h2><div class="scroll" tabindex="0" role="region" aria-label="Gates">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _interval(gate: Gate) -> str:
    return "" if gate.low is None or gate.high is None else f"{gate.low:.4g} to {gate.high:.4g}"


def _changes_sections(changes: Iterable[Change], *, private: bool) -> Iterable[str]:
    shown = [change for change in changes if private or not change.private]
    better = sorted((each for each in shown if each.gain >= 0), key=lambda each: -each.gain)
    worse = sorted((each for each in shown if each.gain < 0), key=lambda each: each.gain)
    for title, found in (("Changed for the better", better), ("Changed for the worse", worse)):
        if found:
            cards = "".join(_card(change) for change in found[:_SHOWN])
            yield (
                f"<section><h2>{title}</h2><p>{len(found)} photos; those whose CIDEr-D changed most.</p>"
                f'<ul class="cards">{cards}</ul></section>'
            )


def _card(change: Change) -> str:
    references = "".join(f"<li>{_e(text)}</li>" for text in change.references[:5])
    people = f"<dt>People</dt><dd><ul>{references}</ul></dd>" if references else ""
    return (
        f"<li>{_picture(Path(change.photo), change.after)}<dl>"
        f"<dt>Before</dt><dd>{_e(change.before)}</dd><dt>After</dt><dd>{_e(change.after)}</dd>{people}"
        f"<dt>CIDEr-D</dt><dd>{change.gain:+.1f}</dd></dl></li>"
    )


def _picture(path: Path, said: str) -> str:
    try:
        image = open_image(path, enough_px=THUMBNAIL_PX)
    except (ImageError, OSError):
        return "<p>The photo cannot be shown.</p>"
    return embedded(image, said)
