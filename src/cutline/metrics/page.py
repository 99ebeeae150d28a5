"""An evaluation as one self-contained HTML page: no scripts, fonts or pictures from elsewhere."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from PIL import Image

from cutline.metrics.bootstrap import Comparison
from cutline.metrics.judgement import CIDER, Score, rank
from cutline.metrics.ngrams import Floats
from cutline.metrics.report import Evaluation, Item, provenance, shown, shown_p, verdict

THUMBNAIL_PX = 384  # sharp at twice the 192 CSS pixels of a phone's column
_JPEG_QUALITY = 72
_BINS = 20

Photo = Callable[[str], Image.Image | None]
"""Returns the photo of an item by its key; None if it cannot be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    title: str
    about: str
    items: Sequence[Item]


def to_html(evaluation: Evaluation, photo: Photo, *, examples: int = 6) -> str:
    """Write the page: scores, the comparison, and the best, median and worst ``examples`` by CIDEr-D.

    Everything from outside (captions, file names, model names) is escaped, and the page's own policy forbids
    scripts and requests.
    """
    title = f"{evaluation.system.name} on {evaluation.data.name}, {evaluation.data.split}"
    body = [
        f"<header><h1>{_e(evaluation.system.name)}</h1><p>{_summary(evaluation)}</p></header>",
        *(
            f'<p class="mind" role="note"><strong>Note:</strong> {_e(each)}</p>'
            for each in evaluation.warnings
        ),
        _scores_section(evaluation),
        _versus_section(evaluation) if evaluation.versus else "",
        _distribution_section(evaluation),
        *(_examples_section(group, evaluation, photo) for group in _groups(evaluation, examples)),
        _provenance_section(evaluation),
    ]
    return whole_page(title, body)


def whole_page(title: str, parts: Iterable[str]) -> str:
    """A page of parts that are HTML already; empty ones are left out. It needs nothing from elsewhere."""
    style = resources.files("cutline.metrics").joinpath("page.css").read_text(encoding="utf-8")
    return _PAGE.format(title=_e(title), style=style, body="\n".join(part for part in parts if part))


def embedded(image: Image.Image, alt: str, *, title: str = "") -> str:
    """A photo as an element that holds it, small."""
    small = image.convert("RGB")
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    data = io.BytesIO()
    small.save(data, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    encoded = base64.b64encode(data.getvalue()).decode("ascii")
    named = f' title="{_e(title)}"' if title else ""
    return (
        f'<img src="data:image/jpeg;base64,{encoded}" width="{small.width}" height="{small.height}" '
        f'alt="{_e(alt)}"{named}>'
    )


def _e(text: str) -> str:
    return html.escape(text, quote=True)


def _summary(evaluation: Evaluation) -> str:
    data = evaluation.data
    return (
        f"{data.photos:,} photos of {_e(data.name)}, split {_e(data.split)}, "
        f"{data.captions:,} captions by people to compare with."
    )


# Figures


def _scores_section(evaluation: Evaluation) -> str:
    others = {score.name: score for score in evaluation.other_scores}
    head = ["Score", evaluation.system.name, *([evaluation.other.name] if evaluation.other else [])]
    rows = []
    for score in evaluation.scores:
        cells = [_number(score)]
        if evaluation.other:
            cells.append(_number(others[score.name]) if score.name in others else "<td></td>")
        rows.append(f'<tr><th scope="row">{_named(score)}</th>{"".join(cells)}</tr>')
    table = _table("Scores", head, rows)
    about = '<p class="about">BLEU to SPICE are times 100; higher is better.</p>'
    return f"<section><h2>Scores</h2>{about}{table}</section>"


def _named(score: Score) -> str:
    """A score's name; under it what it is or why there is none, who computed it, and on whose words."""
    about = "; ".join(
        part for part in (score.note.rstrip("."), score.by, f"words by {score.tokenizer}") if part
    )
    return f"{_e(score.name)} <small>{_e(about)}</small>"


def _number(score: Score) -> str:
    if score.value is None:
        return '<td class="none">not computed</td>'
    return f'<td class="number">{shown(score)}</td>'


def _versus_section(evaluation: Evaluation) -> str:
    confidence = f"{evaluation.versus[0].test.confidence:.0%}"
    rows = [
        f'<tr><th scope="row">{_e(each.name)}</th>'
        f'<td class="number">{each.test.difference:+.2f}</td>'
        f'<td class="number">{each.test.low:+.2f} to {each.test.high:+.2f}'
        f"{_interval(each.test)}</td>"
        f'<td class="number">{shown_p(each.test.p_value)}</td>'
        f"<td>{_e(verdict(each, evaluation))}</td></tr>"
        for each in evaluation.versus
    ]
    other = evaluation.other.name if evaluation.other else ""
    head = ["Score", "Difference", f"{confidence} interval", "p", "Verdict"]
    return (
        "<section><h2>Is the difference significant?</h2>"
        f'<p class="about">{_e(evaluation.system.name)} minus {_e(other)}, photos resampled in pairs. An '
        f"interval that includes 0, or a p above {1 - evaluation.versus[0].test.confidence:.2f}, shows no "
        "difference.</p>"
        f"{_table('Comparison', head, rows)}</section>"
    )


def _interval(test: Comparison) -> str:
    """Draw the interval on a line with 0 in its middle; the figures beside it say the same."""
    reach = max(abs(test.low), abs(test.high), 1e-9)

    def x(value: float) -> str:
        return f"{60 + 56 * value / reach:.1f}"

    return (
        '<svg class="interval" viewBox="0 0 120 14" aria-hidden="true">'
        '<line x1="60" y1="0" x2="60" y2="14" class="axis"/>'
        f'<line x1="{x(test.low)}" y1="7" x2="{x(test.high)}" y2="7" class="range"/>'
        f'<circle cx="{x(test.difference)}" cy="7" r="3.5" class="dot"/></svg>'
    )


def _distribution_section(evaluation: Evaluation) -> str:
    values = _ciders(evaluation)
    counts, edges = np.histogram(values, bins=_BINS, range=(0.0, max(float(values.max()), 1.0)))
    width, height = 400 / _BINS, 110
    bars = []
    for index, count in enumerate(counts):
        bar = height * count / max(1, counts.max())
        bars.append(
            f'<rect x="{index * width + 1:.1f}" y="{height - bar:.1f}" width="{width - 2:.1f}" '
            f'height="{bar:.1f}"><title>{edges[index]:.0f} to {edges[index + 1]:.0f}: {count} photos</title>'
            "</rect>"
        )
    quartiles = ", ".join(f"{value:.0f}" for value in np.quantile(values, [0.25, 0.5, 0.75]))
    zeros = int((values < 1e-9).sum())
    label = f"{CIDER} of single photos: quartiles {quartiles}; {zeros:,} of {len(values):,} score 0."
    return (
        f"<section><h2>Spread</h2><p>{label}</p>"
        f'<svg class="spread" viewBox="0 0 400 132" role="img" aria-label="{_e("Histogram. " + label)}">'
        f'{"".join(bars)}<text x="1" y="127">0</text>'
        f'<text x="399" y="127" text-anchor="end">{edges[-1]:.0f}</text></svg></section>'
    )


def _ciders(evaluation: Evaluation) -> Floats:
    return np.array([item.scores[CIDER] for item in evaluation.items])


def _provenance_section(evaluation: Evaluation) -> str:
    rows = "".join(f"<dt>{_e(what)}</dt><dd>{_e(which)}</dd>" for what, which in provenance(evaluation))
    return f"<section><h2>Where this comes from</h2><dl>{rows}</dl></section>"


def _table(label: str, head: Sequence[str], rows: Sequence[str]) -> str:
    cells = "".join(f'<th scope="col">{_e(cell)}</th>' for cell in head)
    return (
        f'<div class="scroll" role="region" aria-label="{_e(label)}" tabindex="0"><table>'
        f"<thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


# Examples


def _groups(evaluation: Evaluation, examples: int) -> list[_Group]:
    ranked = rank(_ciders(evaluation), examples)
    abouts = {
        "best": ("Best", f"Closest to what people wrote, by {CIDER}."),
        "median": ("Median", "Around the median: what to expect."),
        "worst": ("Worst", "Furthest from what people wrote. Some are wrong, some use other words."),
    }
    return [
        _Group(
            title=abouts[name][0], about=abouts[name][1], items=[evaluation.items[index] for index in indices]
        )
        for name, indices in ranked.items()
        if indices
    ]


def _examples_section(group: _Group, evaluation: Evaluation, photo: Photo) -> str:
    cards = "".join(_card(item, evaluation, photo) for item in group.items)
    return (
        f'<section><h2>{group.title}</h2><p class="about">{group.about}</p>'
        f'<ul class="cards">{cards}</ul></section>'
    )


def _card(item: Item, evaluation: Evaluation, photo: Photo) -> str:
    caption = _e(item.caption) if item.caption else f"<em>No caption: {_e(item.failure or 'empty')}</em>"
    parts = [
        _figure(item, photo),
        f'<p class="caption">{caption}</p>',
        f'<p class="score">{_scores_line(item.scores)}</p>',
    ]
    if item.other is not None and evaluation.other is not None:
        parts.append(
            f'<p class="other"><span>{_e(evaluation.other.name)}:</span> '
            f"{_e(item.other) or '<em>No caption</em>'}<br>"
            f'<span class="score">{_scores_line(item.other_scores)}</span></p>'
        )
    references = "".join(f"<li>{_e(each)}</li>" for each in item.references)
    parts.append(f"<details><summary>What people wrote</summary><ul>{references}</ul></details>")
    return f"<li>{''.join(parts)}</li>"


def _figure(item: Item, photo: Photo) -> str:
    image = photo(item.key)
    if image is None:
        return f'<p class="nophoto">{_e(item.key)}<br>(no photo)</p>'
    # A person's description is the best text in place of the photo.
    return embedded(image, item.references[0], title=item.key)


def _scores_line(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {scores[name]:.0f}" for name in (CIDER, "BLEU-4", "ROUGE-L"))


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
