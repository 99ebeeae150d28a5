"""Write what is generated from the code, and committed: `make docs`. `--check` only says what is stale.

    python docs/generate.py [--check]

docs/reference/cli.md holds every command's help, docs/reference/errors.md the error tree, and
contracts/bundle.schema.json the JSON Schema of bundle.json.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from cutline.errors import CutlineError

ROOT = Path(__file__).resolve().parent.parent
HELP_WIDTH = 98
NOTE = "<!-- Written by docs/generate.py: change the code, then run `make docs`. -->\n"


def command_reference() -> str:
    """Every command's help, as Markdown."""
    from cutline.cli.main import cli

    pages = (
        f"## {context.command_path}\n\n```text\n{context.get_help()}\n```\n" for context in _commands(cli)
    )
    return f"{NOTE}\n# Commands\n\n" + "\n".join(pages)


def _commands(
    command: click.Command, name: str = "cutline", parent: click.Context | None = None
) -> Iterator[click.Context]:
    context = click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=HELP_WIDTH,
        max_content_width=HELP_WIDTH,
        **command.context_settings,
    )
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            if below is None:
                raise LookupError(f"The command {each} is listed, but is not there.")
            yield from _commands(below, each, context)


def error_reference() -> str:
    """The error tree with its stable codes, as Markdown."""
    rows = "\n".join(
        f"| {'&emsp;' * depth}`{kind.__name__}` | `{kind.code}` | {_first_line(kind)} |"
        for depth, kind in _kinds(CutlineError)
    )
    return (
        f"{NOTE}\n# Errors\n\nEvery error that Cutline raises on purpose is one of these. Programs may rely\n"
        "on the codes; they stand in the `error` of a JSON line too. Those further right are kinds of\n"
        f"the one above them.\n\n| error | code | when |\n|---|---|---|\n{rows}\n"
    )


def _kinds(kind: type[CutlineError], depth: int = 0) -> Iterator[tuple[int, type[CutlineError]]]:
    yield depth, kind
    for below in kind.__subclasses__():
        if below.__module__ == "cutline.errors":
            yield from _kinds(below, depth + 1)


def _first_line(kind: type) -> str:
    return (inspect.getdoc(kind) or "").splitlines()[0]


def bundle_schema() -> str:
    """The JSON Schema of bundle.json."""
    from cutline.captioning.bundle import manifest_schema

    return json.dumps(manifest_schema(), indent=2) + "\n"


GENERATED: Mapping[str, Callable[[], str]] = {
    "docs/reference/cli.md": command_reference,
    "docs/reference/errors.md": error_reference,
    "contracts/bundle.schema.json": bundle_schema,
}


def stale() -> dict[Path, str]:
    """Give {file: what it should hold} of every file that differs from the code."""
    wanted = {ROOT / name: write() for name, write in GENERATED.items()}
    return {
        path: text
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }


def main() -> int:
    """Write what is stale, or say so."""
    parser = argparse.ArgumentParser(description="Write what is generated from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something is stale")
    check = parser.parse_args().check
    found = stale()
    for path, text in found.items():
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        print(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
    if check and found:
        print("Run `make docs` and commit what it writes.")
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main())
