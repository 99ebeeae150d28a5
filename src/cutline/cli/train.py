"""`cutline train`: parses the command line; cutline.training.runner trains."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cutline.training.config import RecipeConfig
    from cutline.training.data_check import Finding
    from cutline.training.examples import DataConfig
    from cutline.training.loop import FitResult

HELP = """Train what RECIPE describes: a YAML file, with any value of it overridden by key=value.

\b
Examples:
  cutline train recipes/cutline-base.yaml --dry-run
  cutline train recipes/cutline-base.yaml data.flickr8k.path=photos/flickr8k
  cutline train recipes/lstm-attention.yaml stages.captions.epochs=4 decoder.dropout=0.4 output=runs/try
  cutline train recipes/lstm-attention.yaml --resume
  torchrun --nproc-per-node 2 -m cutline.cli.main train recipes/lstm-attention.yaml

An override's key is the path of a value; list entries go by index, name, or * for all (stages.*.amp=bf16).
Every stage writes best.pt and last.pt into OUTPUT/STAGE, and its metrics into OUTPUT/metrics.jsonl. Ctrl-C
stops a training after the current step; --resume continues from there, or from the last checkpoint after a
crash, with the same losses as an uninterrupted training.

--dry-run takes two steps and one evaluation of every stage, and prints the plan, the parameters and the
estimated time. Then it checks the data as `cutline data check` does, opening every photo; the exit code is 1
where there are errors. It writes nothing."""

# These concern the recipe's data as a whole, not each source; the dry run itself has checked them.
_OF_THE_WHOLE = frozenset({"no_train_split", "no_dev_split", "few_train_captions"})


@click.command(name="train", help=HELP)
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--resume", is_flag=True, help="Continue the training in the output folder.")
@click.option("--dry-run", is_flag=True, help="Check everything, estimate the time, train nothing.")
@click.option("--stage", default="", metavar="NAME", help="Train this stage alone.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:N, or auto.")
@click.option(
    "--threads", type=click.IntRange(1), help="Threads for torch; by default as many as there are cores."
)
def command(
    recipe: Path,
    overrides: tuple[str, ...],
    resume: bool,
    dry_run: bool,
    stage: str,
    device: str,
    threads: int | None,
) -> int:
    """Train a model from a recipe."""
    import torch

    from cutline.training import runner
    from cutline.training.config import load_recipe, read_recipe
    from cutline.training.devices import choose_device
    from cutline.training.distributed import join_world
    from cutline.training.writer.config import is_writer_recipe

    if threads is not None:
        torch.set_num_threads(threads)
    if is_writer_recipe(read_recipe(recipe)):
        return _train_writer(recipe, overrides, resume=resume, dry_run=dry_run, stage=stage, device=device)
    wanted = load_recipe(recipe, overrides)
    chosen = choose_device(device)
    if dry_run:
        click.echo(runner.describe_plan(wanted, runner.dry_run(wanted, device=chosen)))
        return _check_data(wanted)
    with join_world(cuda=chosen.type == "cuda") as world:
        _log_to_terminal(first=world.first)
        results = runner.run_recipe(wanted, resume=resume, device=chosen, world=world, only=stage)
    return _report(results) if world.first else 0


def _log_to_terminal(*, first: bool) -> None:
    logging.basicConfig(format="%(message)s", stream=sys.stderr, force=True)
    logging.getLogger("cutline").setLevel(logging.INFO if first else logging.ERROR)


def _report(results: Sequence[FitResult]) -> int:
    """Print how each stage ended; return the exit code."""
    for result in results:
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items())
        click.echo(f"{result.best}: {numbers or 'not evaluated yet'} ({result.stopped}, step {result.steps})")
    if results and results[-1].stopped == "interrupted":
        click.echo("Stopped. Continue with --resume.", err=True)
        return 130
    return 0


def _check_data(recipe: RecipeConfig) -> int:
    """Print what is wrong with each source; return the exit code."""
    exit_code = 0
    for source in recipe.data:
        findings = list(_findings(source))
        click.echo(f"  checked {source.path}: {'problems found' if findings else 'no problems'}")
        for finding in findings:
            click.echo(
                f"    {finding.headline}\n"
                f"      {finding.places[0]}{' ...' if len(finding.places) > 1 else ''}"
            )
            exit_code = max(exit_code, int(finding.severity == "error"))
    return exit_code


def _findings(source: DataConfig) -> Iterator[Finding]:
    """What is wrong with one source, without notes and what the recipe says to skip."""
    from cutline.training.data_check import check

    for finding in check(source).findings:
        skipped = finding.code == "image_missing" and source.missing_images == "skip"
        if finding.severity != "note" and finding.code not in _OF_THE_WHOLE and not skipped:
            yield finding


def _train_writer(
    recipe: Path, overrides: tuple[str, ...], *, resume: bool, dry_run: bool, stage: str, device: str
) -> int:
    from cutline.training.devices import choose_device
    from cutline.training.distributed import join_world
    from cutline.training.writer.config import load_writer_recipe
    from cutline.training.writer.run import describe, run_writer_recipe

    wanted = load_writer_recipe(recipe, overrides)
    if dry_run:
        click.echo(describe(wanted))
        return 0
    chosen = choose_device(device)
    with join_world(cuda=chosen.type == "cuda") as world:
        _log_to_terminal(first=world.first)
        results = run_writer_recipe(wanted, resume=resume, device=chosen, world=world, only=stage)
    return _report(results) if world.first else 0
