"""The `cutline` command: a table of commands, each imported only when it is asked for."""

from __future__ import annotations

import atexit
import gc
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from cutline.errors import ConfigError, CutlineError, MissingExtra, OptionError
from cutline.terminal import name_the_command_in_warnings

if TYPE_CHECKING:
    from cutline.captioning.protocol import Captioner

# name: (module with a click command named `command`, what it does)
COMMANDS: Mapping[str, tuple[str, str]] = {
    "caption": ("cutline.cli.caption", "Write captions for photos."),
    "bulk": ("cutline.cli.bulk", "Write captions for a million photos, in shards."),
    "search": ("cutline.cli.search", "Find photos in a folder by what they show."),
    "restyle": ("cutline.cli.restyle", "Write captions in a tone, for an audience."),
    "bundle": ("cutline.cli.bundle", "Show, verify and export model bundles."),
    "registry": ("cutline.cli.registry", "Keep versions of models, and move aliases between them."),
    "evaluate": ("cutline.cli.evaluate", "Score a model on a data set."),
    "train": ("cutline.cli.train", "Train a model from a recipe."),
    "data": ("cutline.cli.data", "Check data sets."),
    "diagnose": ("cutline.cli.diagnose", "Diagnose a training with plots."),
    "learn": ("cutline.cli.learn", "Learn from feedback: data sets, challengers, gates."),
    "finetune": ("cutline.cli.finetune", "Train the champion further on your own photos."),
    "serve": ("cutline.cli.serve", "Run the caption service: web page, API, websockets."),
    "worker": ("cutline.cli.worker", "Run the service's jobs in a separate process."),
    "beat": ("cutline.cli.beat", "Run the service's scheduled maintenance."),
    "manage": ("cutline.cli.manage", "Administer the service: migrate, createsuperuser ..."),
}
# A top-level module that only an extra installs -> the extra.
EXTRAS: Mapping[str, str] = {
    "torch": "train",
    "transformers": "train",
    "yaml": "train",
    **dict.fromkeys(("httpcore", "httpx", "pyarrow"), "bulk"),
    "pyexiv2": "metadata",
    "xllamacpp": "gguf",
    "mlflow": "tracking",
    **dict.fromkeys(("celery", "channels", "django", "pydantic", "pydantic_settings", "uvicorn"), "server"),
}

FAILED, USAGE, INTERRUPTED = 1, 2, 130

# At the very end all memory goes at once: Python shall not look through torch or Django for garbage before.
atexit.register(gc.freeze)


class LazyGroup(click.Group):
    """A group whose help costs nothing and whose commands are imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command in the table, in its order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module behind a name; None for a name that the table lacks."""
        if cmd_name not in COMMANDS:
            return None
        try:
            module = importlib.import_module(COMMANDS[cmd_name][0])
        except ModuleNotFoundError as error:
            raise missing_extra(error) from error
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cutline", message="%(prog)s %(version)s")
def cli() -> None:
    """A photo goes in, a good sentence comes out.

    \b
    cutline caption photo.jpg
    cutline caption holiday/ --output captions.jsonl
    """


def main(
    arguments: Sequence[str] | None = None, *, load: Callable[[str | None], Captioner] | None = None
) -> int:
    """Run the command and return its exit code: 0 all good, 1 something failed, 2 wrong usage.

    load: makes a captioner of --model; by default `cutline.load`.
    """
    name_the_command_in_warnings()
    try:
        result = cli.main(args=arguments, prog_name="cutline", standalone_mode=False, obj=load)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("cutline: stopped.", err=True)
        return INTERRUPTED
    except CutlineError as error:
        return print_error(error)
    except ModuleNotFoundError as error:
        return print_error(missing_extra(error))
    except BrokenPipeError:  # `cutline ... | head`
        sys.stderr.close()
        return FAILED
    return result if isinstance(result, int) else 0


def missing_extra(error: ModuleNotFoundError) -> CutlineError:
    """The error that names the extra to install. Re-raises an error that no extra would fix."""
    name = (error.name or "").partition(".")[0]
    if name in EXTRAS:
        return MissingExtra(
            f"This command needs {name}, which is not installed.",
            hint=f"Install it with: pip install 'cutline[{EXTRAS[name]}]'",
        )
    if (error.name or "").startswith("cutline."):
        return MissingExtra("This installation of cutline lacks that command.")
    raise error


def print_error(error: CutlineError) -> int:
    """Print what happened, what was kept and what to do next, a line each; return the exit code."""
    click.echo(f"cutline: {error.message}", err=True)
    for text in filter(None, (error.kept, error.hint)):
        click.echo(f"  {text}", err=True)
    return USAGE if isinstance(error, OptionError | ConfigError) else FAILED


if __name__ == "__main__":
    sys.exit(main())
