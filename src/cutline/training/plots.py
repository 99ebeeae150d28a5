"""Plots of diagnostics, as PNG files. matplotlib is imported on use, and never opens a window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cutline.errors import MissingExtra, OutputError
from cutline.training.diagnostics import Curve, Flow, Overfit, RangeTest, WordMap, smooth

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABELLED_WORDS = 150
_BARS = 60


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(
            "Plots need matplotlib.", hint="Install it with: pip install 'cutline[train]'"
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _write(figure: Figure, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", dpi=110)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}).") from error


def draw_range_test(test: RangeTest, path: Path) -> None:
    """Draw the loss over the learning rate, with the suggestion."""
    figure = _figure(8, 5)
    axes = figure.subplots()
    axes.plot(test.rates, test.losses, color="0.75", label="loss")
    axes.plot(test.rates, test.smoothed, color="tab:blue", label="smoothed")
    axes.axvline(test.suggestion, color="tab:red", linestyle="--", label=f"suggestion {test.suggestion:.1e}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", title="Learning-rate range test")
    axes.set_ylim(top=max(test.smoothed[0] * 1.3, min(test.smoothed) * 1.3))
    axes.legend()
    _write(figure, path)


def draw_flow(flows: Sequence[Flow], path: Path) -> None:
    """Draw a bar for each parameter's gradient; beyond sixty, the ones that stand out."""
    shown = list(flows)
    if len(shown) > _BARS:
        kept = {flow.name for flow in sorted(shown, key=lambda flow: (not flow.verdict, flow.rms))[:_BARS]}
        shown = [flow for flow in shown if flow.name in kept]
    figure = _figure(9, 1.5 + 0.2 * len(shown))
    axes = figure.subplots()
    colours = ["tab:red" if flow.verdict else "tab:blue" for flow in shown]
    names = [f"{flow.name}  ({flow.verdict})" if flow.verdict else flow.name for flow in shown]
    axes.barh(names, [max(flow.largest, 1e-12) for flow in shown], color="0.85", label="largest")
    axes.barh(names, [max(flow.rms, 1e-12) for flow in shown], color=colours, label="root mean square")
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="gradient", title="Gradient flow, from input (top) to output")
    axes.tick_params(axis="y", labelsize=7)
    axes.legend()
    _write(figure, path)


def draw_overfit(result: Overfit, path: Path) -> None:
    """Draw the loss of one batch over the steps."""
    figure = _figure(8, 5)
    axes = figure.subplots()
    axes.plot(range(1, len(result.losses) + 1), result.losses)
    axes.axhline(result.goal, color="tab:green", linestyle="--", label=f"goal {result.goal:g}")
    verdict = "overfitted" if result.reached else "NOT learnt"
    axes.set(yscale="log", xlabel="step", ylabel="loss", title=f"One batch, repeated: {verdict}")
    axes.legend()
    _write(figure, path)


def draw_word_map(words: WordMap, path: Path) -> None:
    """Draw the words where they lie, coloured by cluster."""
    figure = _figure(12, 9)
    axes = figure.subplots()
    axes.scatter(words.places[:, 0], words.places[:, 1], c=words.clusters, cmap="tab10", s=14)
    for word, (x, y) in list(zip(words.words, words.places, strict=True))[:_LABELLED_WORDS]:
        # A $ would start a formula.
        axes.annotate(word.replace("$", r"\$"), (float(x), float(y)), fontsize=7, alpha=0.8)
    axes.set(xticks=[], yticks=[], title=f"{len(words.words)} words")
    _write(figure, path)


def draw_curves(curves: Sequence[Curve], path: Path) -> None:
    """Draw, for each stage, its losses, its metrics and its learning rate."""
    stages = list(dict.fromkeys(curve.stage for curve in curves))
    figure = _figure(15, 4 * len(stages))
    grid = figure.subplots(len(stages), 3, squeeze=False)
    for stage, row in zip(stages, grid, strict=True):
        own = [curve for curve in curves if curve.stage == stage]
        losses = [curve for curve in own if curve.name in ("train/loss", "dev/loss")]
        metrics = [curve for curve in own if curve.name.startswith("dev/") and curve.name != "dev/loss"]
        rates = [curve for curve in own if curve.name == "train/learning_rate"]
        for axes, chosen, what in zip(
            row, (losses, metrics, rates), ("loss", "metrics", "learning rate"), strict=True
        ):
            _draw_lines(axes, chosen)
            axes.set(xlabel="step", title=f"{stage}: {what}")
    _write(figure, path)


def _draw_lines(axes: Axes, curves: Sequence[Curve]) -> None:
    for curve in curves:
        if curve.name == "train/loss":
            axes.plot(curve.steps, curve.values, color="0.85")
            axes.plot(curve.steps, smooth(curve.values), label=curve.name)
        else:
            marker = "o" if curve.name.startswith("dev/") and len(curve.steps) < 50 else None
            axes.plot(curve.steps, curve.values, marker=marker, label=curve.name)
    if curves:
        axes.legend(fontsize=8)
