"""`cutline diagnose`: plots of a training, as PNG files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_subject = click.argument("subject", metavar="RECIPE_OR_RUN", type=click.Path(exists=True, path_type=Path))
_overrides = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
_output = click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="The PNG; by default in OUTPUT/diagnostics/."
)
_stage = click.option(
    "--stage", default="", metavar="NAME", help="Which stage; by default the first of captions."
)
_photos = click.option(
    "--photos", type=click.IntRange(1), default=256, show_default=True, help="Photos to sample."
)
_device = click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:N, or auto.")


def _steps(default: int, what: str) -> Callable[[Any], Any]:
    return click.option("--steps", type=click.IntRange(3), default=default, show_default=True, help=what)


@click.group(name="diagnose")
def command() -> None:
    """Diagnose a training: each command writes a plot, and prints what it shows.

    \b
    Examples:
      cutline diagnose overfit recipes/lstm-attention.yaml
      cutline diagnose lr-range recipes/lstm-attention.yaml --stage captions
      cutline diagnose curves runs/lstm

    RECIPE_OR_RUN is a recipe (a YAML file; key=value overrides it) or the output folder of a training.
    """


@command.command(name="lr-range")
@_subject
@_overrides
@_stage
@_photos
@_steps(100, "Steps from the lowest to the highest rate.")
@click.option("--low", type=float, default=1e-6, show_default=True, help="The first learning rate.")
@click.option("--high", type=float, default=1.0, show_default=True, help="The last learning rate.")
@_device
@_output
def lr_range(
    subject: Path,
    overrides: tuple[str, ...],
    stage: str,
    photos: int,
    steps: int,
    low: float,
    high: float,
    device: str,
    output: Path | None,
) -> None:
    """Raise the learning rate until the loss explodes, and suggest a rate.

    \b
    cutline diagnose lr-range recipes/lstm-attention.yaml --steps 80
    """
    from cutline.errors import OptionError
    from cutline.training import diagnostics, plots
    from cutline.training.devices import choose_device
    from cutline.training.loop import endless_windows

    if not 0 < low < high:
        raise OptionError(
            f"--low is {low:g} and --high {high:g}: there is no range between them.",
            hint="Choose 0 < --low < --high.",
        )
    found = diagnostics.find_subject(subject, overrides)
    chosen = diagnostics.choose_stage(found.recipe, stage)
    bench = diagnostics.set_up(found, chosen, photos=photos, device=choose_device(device))
    batches = endless_windows(bench.objective, chosen.accumulate)
    test = diagnostics.range_test(bench.stepper, batches, low=low, high=high, steps=steps)
    path = output or found.folder / "lr-range.png"
    plots.draw_range_test(test, path)
    end = f"it explodes near {test.rates[-1]:.1e}" if test.diverged else "it never explodes in this range"
    click.echo(f"The loss falls fastest at {test.suggestion:.1e}; {end}.")
    click.echo(f"Try stages.{chosen.name}.learning_rate={test.suggestion:.1e}")
    click.echo(path)


@command.command()
@_subject
@_overrides
@_stage
@_photos
@_device
@_output
def gradients(
    subject: Path, overrides: tuple[str, ...], stage: str, photos: int, device: str, output: Path | None
) -> None:
    """Measure how gradients flow through the layers, with fresh weights or those of a run.

    \b
    cutline diagnose gradients runs/lstm
    """
    from cutline.training import diagnostics, plots
    from cutline.training.devices import choose_device
    from cutline.training.loop import endless_windows

    found = diagnostics.find_subject(subject, overrides)
    chosen = diagnostics.choose_stage(found.recipe, stage)
    chosen = diagnostics.unclipped(chosen)
    bench = diagnostics.set_up(found, chosen, photos=photos, device=choose_device(device))
    flows = diagnostics.gradient_flow(bench.stepper, endless_windows(bench.objective, 1))
    path = output or found.folder / "gradients.png"
    plots.draw_flow(flows, path)
    odd = [flow for flow in flows if flow.verdict]
    for flow in odd:
        click.echo(f"{flow.name}: {flow.verdict} (root mean square {flow.rms:.1e})")
    click.echo(f"{len(flows) - len(odd)} of {len(flows)} parameters have healthy gradients.")
    click.echo(path)


@command.command()
@_subject
@_overrides
@_stage
@click.option("--photos", type=click.IntRange(1), default=8, show_default=True, help="Photos in the batch.")
@_steps(300, "Steps at most.")
@click.option("--goal", type=float, default=0.05, show_default=True, help="A loss below this is near zero.")
@_device
@_output
def overfit(
    subject: Path,
    overrides: tuple[str, ...],
    stage: str,
    photos: int,
    steps: int,
    goal: float,
    device: str,
    output: Path | None,
) -> int:
    """Overfit one batch. A model that cannot do that cannot learn; the exit code is then 1.

    Dropout, label smoothing and other regularisation is off, and each photo has one caption.

    \b
    cutline diagnose overfit recipes/lstm-attention.yaml --photos 8 --steps 400
    """
    from cutline.training import diagnostics, plots
    from cutline.training.devices import choose_device
    from cutline.training.loop import endless_windows

    found = diagnostics.find_subject(subject, overrides)
    chosen = diagnostics.choose_stage(found.recipe, stage)
    recipe, chosen = diagnostics.overfit_recipe(found.recipe, chosen, photos=photos)
    fresh = diagnostics.Subject(recipe=recipe, run=None)
    bench = diagnostics.set_up(fresh, chosen, photos=photos, device=choose_device(device))
    window = next(endless_windows(bench.objective, 1))
    result = diagnostics.overfit(bench.stepper, window, steps=steps, goal=goal)
    path = output or found.folder / "overfit.png"
    plots.draw_overfit(result, path)
    last = result.losses[-1]
    if result.reached:
        click.echo(f"Overfitted as it should: the loss is {last:.3f} after {len(result.losses)} steps.")
    else:
        click.echo(
            f"NOT overfitted: after {len(result.losses)} steps the loss is {last:.3f}, above {goal:g}."
        )
        click.echo("Check the learning rate (lr-range), then the gradients (gradients).")
    click.echo(path)
    return 0 if result.reached else 1


@command.command()
@_subject
@click.option(
    "--method", type=click.Choice(["pca", "tsne"]), default="tsne", show_default=True, help="Projection."
)
@click.option(
    "--clusters", type=click.IntRange(2, 10), default=8, show_default=True, help="Colours (k-means)."
)
@click.option(
    "--words", type=click.IntRange(4), default=300, show_default=True, help="The most frequent words."
)
@_output
def embeddings(subject: Path, method: str, clusters: int, words: int, output: Path | None) -> None:
    """Plot a run's word vectors: words that are used alike should lie together.

    \b
    cutline diagnose embeddings runs/lstm --method pca
    """
    from cutline.training import diagnostics, plots

    found = diagnostics.find_subject(subject)
    run = found.run or found.recipe.output
    vectors, names = diagnostics.trained_words(run, found.recipe, limit=words)
    chosen: diagnostics.Method = "pca" if method == "pca" else "tsne"
    made = diagnostics.word_map(
        vectors, names, method=chosen, clusters=min(clusters, max(2, len(names) // 2))
    )
    path = output or found.folder / f"embeddings-{method}.png"
    plots.draw_word_map(made, path)
    for word in names[:5]:
        click.echo(f"{word}: near {', '.join(made.neighbours[word])}")
    click.echo(path)


@command.command()
@_subject
@_output
def curves(subject: Path, output: Path | None) -> None:
    """Plot the losses, metrics and learning rates of a run, stage by stage.

    \b
    cutline diagnose curves runs/lstm
    """
    from cutline.training import diagnostics, plots

    found = diagnostics.find_subject(subject)
    lines = diagnostics.read_curves(found.run or found.recipe.output)
    path = output or found.folder / "curves.png"
    plots.draw_curves(lines, path)
    for curve in lines:
        if curve.name.startswith("dev/"):
            best = min(curve.values) if curve.name == "dev/loss" else max(curve.values)
            click.echo(
                f"{curve.stage} {curve.name}: best {best:.4g} at step {curve.steps[curve.values.index(best)]}"
            )
    click.echo(path)
