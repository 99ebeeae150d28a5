"""Write what is generated from the code, and committed: `make docs`. `--check` only says what is stale.

    python docs/generate.py [--check]

docs/reference/cli.md holds every command's help, decoding.md the decoding options, errors.md the error tree,
recipe.md the keys of a recipe, settings.md the service's settings, deployment.md the variables of deploy/;
README.md what the demo prints, docs/security.md what the attacks of benchmarks/abuse did last;
contracts/ holds the JSON Schemas of bundle.json and of the websocket's messages, and the API's OpenAPI.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import deployment

from cutline.captioning.options import MAX_PREFIX_CHARS, OPTIONS, Option, Strategy
from cutline.errors import CutlineError

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
SECURITY = ROOT / "docs" / "security.md"
HELP_WIDTH = 98
NOTE = "<!-- Written by docs/generate.py: change the code, then run `make docs`. -->\n"


def command_reference() -> str:
    """Every command's help, as Markdown."""
    from cutline.cli.main import cli

    pages = (
        f"## {context.command_path}\n\n```text\n{context.get_help()}\n```\n" for context in every_command(cli)
    )
    return f"{NOTE}\n# Commands\n\n" + "\n".join(pages)


def every_command(
    command: click.Command, name: str = "cutline", parent: click.Context | None = None
) -> Iterator[click.Context]:
    """Give a command and all commands below it, each in a context as the command line makes it."""
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
            yield from every_command(below, each, context)


# Modules outside the service with errors of their own.
RAISERS = ("cutline.cli.serve", "cutline.metrics.java")


def error_reference() -> str:
    """The error tree with its stable codes, as Markdown."""
    for module in RAISERS:
        importlib.import_module(module)
    rows = "\n".join(
        f"| {'&emsp;' * depth}`{kind.__name__}` | `{kind.code}` | {_first_line(kind)} |"
        for depth, kind in _kinds(CutlineError)
    )
    return (
        f"{NOTE}\n# Errors\n\nEvery error that Cutline raises on purpose is one of these. Programs may rely\n"
        "on the codes; they stand in the `error` of a JSON line too. Those further right are kinds of\n"
        f"the one above them.\n\n| error | code | when |\n|---|---|---|\n{rows}\n\n"
        "## In answers of the service\n\nAn error of the API is a problem document (RFC 9457,\n"
        "`application/problem+json`) with one of these codes and, usually, this HTTP status. The service\n"
        "lists them itself: `GET /api/v1/errors`.\n\n| code | status | when |\n|---|---|---|\n"
        f"{_problems()}\n"
    )


def _problems() -> str:
    _set_up_django()
    from cutline.server.api.problems import error_kinds

    return "\n".join(
        f"| `{kind.code}` | {kind.http_status} | {_first_line(kind)} |" for kind in error_kinds()
    )


def _kinds(kind: type[CutlineError], depth: int = 0) -> Iterator[tuple[int, type[CutlineError]]]:
    yield depth, kind
    for below in kind.__subclasses__():
        if below.__module__ in ("cutline.errors", *RAISERS):
            yield from _kinds(below, depth + 1)


def _first_line(kind: type) -> str:
    return (inspect.getdoc(kind) or "").splitlines()[0]


def recipe_reference() -> str:
    """Every section of a recipe with its keys and defaults, as Markdown."""
    from cutline.training.config import RecipeConfig
    from cutline.training.writer.config import WriterRecipe

    captioner = list(_sections(RecipeConfig))
    known = {kind for _, kind in captioner}
    writer = [(f"writer: {title}", kind) for title, kind in _sections(WriterRecipe) if kind not in known]
    sections = "\n".join(_section(title, kind) for title, kind in (*captioner, *writer))
    return (
        f"{NOTE}\n# Recipes\n\nWhat a recipe may say, section by section. A key that is left out has its\n"
        "default; one without a default must be given. A recipe with `kind: writer` trains a model that\n"
        "writes captions in a voice, by stages of `writing`; the sections that it alone has are at the end.\n"
        f"\n{sections}"
    )


def _sections(kind: type, title: str = "recipe") -> Iterator[tuple[str, type]]:
    yield title, kind
    for name, hint in typing.get_type_hints(kind).items():
        for part in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(part) and isinstance(part, type):
                yield from _sections(part, f"{name}[]" if part is not hint else name)


def _section(title: str, kind: type) -> str:
    hints = typing.get_type_hints(kind, include_extras=True)
    rows = "\n".join(
        f"| `{field.name}` | {_type_name(hints[field.name])} | {_default(field)} |"
        for field in dataclasses.fields(kind)
    )
    return f"## {title}\n\n{inspect.getdoc(kind)}\n\n| key | what | default |\n|---|---|---|\n{rows}\n"


PLAIN = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    type(None): "nothing",
}


def _type_name(hint: Any) -> str:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return ", ".join([_type_name(parts[0]), *map(str, parts[1:])])
    if origin is typing.Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin is tuple and parts[-1] is Ellipsis:
        return (
            "a list of sections" if dataclasses.is_dataclass(parts[0]) else f"a list: {_type_name(parts[0])}"
        )
    if origin is tuple:
        return f"[{'; '.join(map(_type_name, parts))}]"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_type_name, parts))
    if origin is Mapping:
        return f"a mapping of {_type_name(parts[0])} to {_type_name(parts[1])}"
    return "a section" if dataclasses.is_dataclass(hint) else PLAIN[hint]


def _default(field: dataclasses.Field[Any]) -> str:
    made = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    if made is dataclasses.MISSING:
        return ""
    return "its defaults" if dataclasses.is_dataclass(made) else f"`{json.dumps(made, default=str)}`"


def decoding_reference() -> str:
    """Every option of decoding, as Markdown."""
    rows = "\n".join(
        f"| `{option.name}` | {_values(option)} | {_option_default(option)} | {option.help} |"
        for option in OPTIONS.values()
    )
    return f"{NOTE}\n{DECODING_INTRODUCTION}\n| option | what | default | help |\n|---|---|---|---|\n{rows}\n"


def _values(option: Option) -> str:
    if option.kind is Strategy:
        return ", ".join(f"`{each}`" for each in Strategy)
    kind = PLAIN[option.kind]
    if option.kind is str:
        return f"{kind}, at most {MAX_PREFIX_CHARS:,} characters"
    return f"{kind}, {option.bounds}" if option.bounds else kind


def _option_default(option: Option) -> str:
    return "" if option.default is None else f"`{json.dumps(option.default)}`"


DECODING_INTRODUCTION = """\
# Decoding options

How a sentence is chosen from a model's probabilities. The same options, with the same names and ranges, are

- in Python, the fields of `cutline.DecodingOptions`;
- on the command line, options of `cutline caption`: `--beam-size` is `beam_size`; `--start-with` is `prefix`;
- in requests to the service, fields beside `n` and `model` (`POST /bulk` takes `strategy` alone);
- in `bundle.json`, under `decoding`: the model's own defaults;
- in a recipe, keys of `export` that become those of the bundle (not the options of sampling).

What a caller leaves out is the model's own default; what the model leaves out, too, is the default below.
"""


def settings_reference() -> str:
    """Every setting of the service, as Markdown."""
    from cutline.server.config import HOLD_SECRETS, ServerSettings

    secrets = "\n".join(f"- `CUTLINE_{name.upper()}_FILE`" for name in HOLD_SECRETS)
    rows = "\n".join(
        f"| `CUTLINE_{name.upper()}` | {field.description} | {_setting_default(field.default)} |"
        for name, field in ServerSettings.model_fields.items()
    )
    return (
        f"{NOTE}\n{SETTINGS_INTRODUCTION}\n{secrets}\n\n## All settings\n\n"
        f"| variable | what | default |\n|---|---|---|\n{rows}\n"
    )


def _setting_default(value: Any) -> str:
    if isinstance(value, (bool, int, float)):
        return f"`{str(value).lower()}`"
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"`{text}`" if text else ""


def deployment_reference() -> str:
    """Every variable of what is in deploy/, as Markdown."""
    return f"{NOTE}\n{deployment.reference()}"


SETTINGS_INTRODUCTION = """\
# Settings of the service

`cutline serve`, `worker`, `beat` and `manage` read these environment variables, once, when they start. None
is needed on a laptop: `cutline serve` keeps everything below `CUTLINE_DATA_DIR`, and a worker runs inside it.

To run on PostgreSQL, Redis and S3, with as many web processes and workers as you like, give all of them the
same variables:

```sh
export CUTLINE_MODE=production
export CUTLINE_PUBLIC_URL=https://cutline.example.com
export CUTLINE_HOSTS=cutline.example.com
export CUTLINE_TRUST_PROXY=true CUTLINE_PROXIES=10.0.0.2
export CUTLINE_SECRET_KEY=...             # python -c "import secrets; print(secrets.token_urlsafe(50))"
export CUTLINE_DATABASE_URL="postgres://cutline:...@database/cutline?sslmode=verify-full"
export CUTLINE_BROKER_URL=rediss://:...@redis/0
export CUTLINE_CHANNEL_LAYER_URL=rediss://:...@redis/1
export CUTLINE_CACHE_URL=rediss://:...@redis/2
export CUTLINE_STORAGE_URL="s3://photos?endpoint=https://s3.example.com&region=us-east-1"
export CUTLINE_STORAGE_ACCESS_KEY=... CUTLINE_STORAGE_SECRET_KEY=...
export CUTLINE_MAIL_URL=smtp://cutline:...@mail.example.com:587
export CUTLINE_MAIL_FROM="Cutline <cutline@example.com>"
export CUTLINE_METRICS_TOKEN=...          # python -c "import secrets; print(secrets.token_urlsafe(32))"
```

```bash
cutline manage migrate
cutline serve --host 0.0.0.0
cutline worker
```

In production mode nothing starts with a setting that is insecure or missing: the command names each one and
says why. `memory://` for the broker, a `sqlite:////PATH` and a `file:///FOLDER` are allowed there, but must
be chosen outright. Some refusals can be overridden where you know better, as for a database behind a VPN:
each names a setting, `CUTLINE_RISK_...`, whose description says what may happen.

Workers sweep by the clock for lost jobs and old files; `cutline beat` is only that clock, for workers that
are started with `--no-beat`.

Tables in a variable are JSON; lists of names are separated by commas.

## Secrets in files

Every setting can be in a file instead, whose path is in the variable with `_FILE` at its end: with
`CUTLINE_SECRET_KEY_FILE=/run/secrets/secret_key` the secret itself is in no environment, where
`docker inspect`, `/proc` and crash reports would show it. Line ends at the end of the file do not count. A
file that cannot be read, an empty one, and a setting that is given both ways, are refused. The keys of the
library may be in files, too: `CUTLINE_OPENAI_API_KEY_FILE`, `CUTLINE_REGISTRY_SECRET_KEY_FILE`.

These hold secrets:
"""


def bundle_schema() -> str:
    """The JSON Schema of bundle.json."""
    from cutline.captioning.bundle import manifest_schema

    return json.dumps(manifest_schema(), indent=2) + "\n"


def openapi() -> str:
    """The service's API, as OpenAPI."""
    _set_up_django()
    from cutline.server.api.app import api

    return json.dumps(api.get_openapi_schema(path_prefix="/api/v1/"), indent=2) + "\n"


def events_schema() -> str:
    """The JSON Schema of what the websocket sends."""
    _set_up_django()
    from cutline.server.events.schema import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"


def caption_ranges() -> str:
    """The numbers that a request for captions may hold, for the web app's forms."""
    _set_up_django()
    from cutline.server.api.options import CaptionOptionsIn

    lines = []
    for name, field in CaptionOptionsIn.model_json_schema()["properties"].items():
        number = next((each for each in field["anyOf"] if "minimum" in each), None)
        if number is not None:
            lines.append(f"  {name}: {{ min: {number['minimum']:g}, max: {number['maximum']:.16g} }},\n")
    return (
        "/* Written by docs/generate.py. */\n\n"
        "/** From which to which number each caption option may be. */\n"
        f"export const RANGES = {{\n{''.join(lines)}}} as const;\n"
    )


def _set_up_django() -> None:
    """Let the service's modules be imported, with default settings: nothing generated depends on ours."""
    import django
    from django.apps import apps

    if apps.ready:
        return
    for name in [name for name in os.environ if name.startswith("CUTLINE_")]:
        del os.environ[name]
    os.environ["DJANGO_SETTINGS_MODULE"] = "cutline.server.django_settings"
    with tempfile.TemporaryDirectory() as folder:  # the secret of development is written there
        os.environ["CUTLINE_DATA_DIR"] = folder
        django.setup()


GENERATED: Mapping[str, Callable[[], str]] = {
    "docs/reference/cli.md": command_reference,
    "docs/reference/decoding.md": decoding_reference,
    "docs/reference/deployment.md": deployment_reference,
    "docs/reference/errors.md": error_reference,
    "docs/reference/recipe.md": recipe_reference,
    "docs/reference/settings.md": settings_reference,
    "contracts/bundle.schema.json": bundle_schema,
    "contracts/events.schema.json": events_schema,
    "contracts/openapi.json": openapi,
    "web/src/shared/api/captionRanges.ts": caption_ranges,
}


def with_demo(readme: str) -> str:
    """Put what `make demo` prints into the README: the same on every machine, so it can be checked."""
    with tempfile.TemporaryDirectory() as folder:
        demo = subprocess.run(
            [sys.executable, ROOT / "examples" / "demo.py", "--output", Path(folder) / "index.html"],
            capture_output=True,
            text=True,
            check=True,
        )
    captions = demo.stdout.partition("\n\n")[0].expandtabs(16)
    return replaced(readme, "demo", f"\n```text\n{captions}\n```\n\n")


def with_attacks(page: str) -> str:
    """Put what `python -m benchmarks.abuse` measured last into the page on security."""
    measured = ROOT / "benchmarks" / "abuse.md"
    body = (
        measured.read_text(encoding="utf-8").partition("-->")[2].strip()
        if measured.exists()
        else "It was not run on an idle machine yet."
    )
    return replaced(page, "attacks", f"\n{body}\n\n")


def replaced(text: str, name: str, body: str) -> str:
    """Put ``body`` between the comments of ``name``. Raises LookupError where there are none."""
    pattern = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- {name}: end -->)"
    changed, count = re.subn(pattern, lambda found: f"{found[1]}{body}{found[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise LookupError(f"The page has {count} places for {name}.")
    return changed


def stale() -> dict[Path, str]:
    """Give {file: what it should hold} of every file that differs from the code."""
    wanted = {ROOT / name: write() for name, write in GENERATED.items()}
    wanted[README] = with_demo(README.read_text(encoding="utf-8"))
    wanted[SECURITY] = with_attacks(SECURITY.read_text(encoding="utf-8"))
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
