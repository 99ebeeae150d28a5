"""`cutline train`: what a user typed; cutline.training.runner does it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

HELP = """Train what RECIPE describes: a YAML file, with any value of it overridden by key=value.

\b
Examples:
  cutline train recipes/cutline-base.yaml --dry-run
  cutline train recipes/cutline-base.yaml data.flickr8k.path=photos/flickr8k
  cutline train recipes/lstm-attention.yaml stages.captions.epochs=4 decoder.dropout=0.4 output=runs/try
  cutline train recipes/lstm-attention.yaml --resume
  torchrun --nproc-per-node 2 -m cutline.cli.main train recipes/lstm-attention.yaml

An override's key is the path of a value; in a list it is a place, a name, or * for all (stages.*.amp=bf16).
Every stage leaves best.pt and last.pt in OUTPUT/STAGE, and its numbers in OUTPUT/metrics.jsonl. Ctrl-C ends a
training after the step at hand; --resume goes on from there, or from the last checkpoint after a crash, with
the same losses as if nothing had happened.

--dry-run reads all captions, opens some photos, takes two steps and one evaluation of every stage, and prints
the plan, the parameters and the estimated time. It writes nothing."""


@click.command(name="train", help=HELP)
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--resume", is_flag=True, help="Go on where the training in the output folder stopped.")
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
    from cutline.training.config import load_recipe
    from cutline.training.devices import choose_device
    from cutline.training.distributed import join_world

    if threads is not None:
        torch.set_num_threads(threads)
    wanted = load_recipe(recipe, overrides)
    chosen = choose_device(device)
    if dry_run:
        click.echo(runner.describe_plan(wanted, runner.dry_run(wanted, device=chosen)))
        return 0
    with join_world(cuda=chosen.type == "cuda") as world:
        logging.basicConfig(format="%(message)s", stream=sys.stderr, force=True)
        logging.getLogger("cutline").setLevel(logging.INFO if world.first else logging.ERROR)
        results = runner.run_recipe(wanted, resume=resume, device=chosen, world=world, only=stage)
    if not world.first:
        return 0
    for result in results:
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items())
        click.echo(f"{result.best}: {numbers or 'not evaluated yet'} ({result.stopped}, step {result.steps})")
    if results and results[-1].stopped == "interrupted":
        click.echo("Stopped. Go on with --resume.", err=True)
        return 130
    return 0
