"""The tables of docs/reference/deployment.md: every variable of what is in deploy/, from what defines it.

A variable that is not explained there is an error: LookupError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
INTRODUCTION = """\
# Variables of deployments

What can be set of each way to [deploy](../guide/deploy.md), beside
[the settings of the service](settings.md), which all but the AWS template pass on; there, edit the template.
[The guide](../guide/deploy.md#ports-volumes-secrets-variables) has ports, volumes and secrets.
"""
Row = tuple[str, str, str]  # name, what it means, default


def reference() -> str:
    """All tables, as Markdown."""
    roles = sorted(path.parents[1].name for path in DEPLOY.glob("ansible/roles/*/defaults/main.yml"))
    tables = [
        table("The compose stack", "Lines of `deploy/compose/.env`, which `secrets.sh` makes.", stack()),
        table("The chart", "Values of `deploy/helm/cutline`.", values(DEPLOY / "helm/cutline/values.yaml")),
        *(
            table(f"Ansible: {role}", "In the inventory, or by `--extra-vars`.", role_variables(role))
            for role in roles
        ),
        table("AWS", "Parameters of `deploy/aws/cutline.yaml`.", parameters()),
    ]
    return "\n".join([INTRODUCTION, *tables])


def table(title: str, where: str, rows: Iterator[Row]) -> str:
    """A section with a table."""
    lines = "\n".join(f"| `{name}` | {shown(what)} | {code(default)} |" for name, what, default in rows)
    return f"## {title}\n\n{where}\n\n| name | what | default |\n|---|---|---|\n{lines}\n"


def shown(text: str) -> str:
    """Text of a comment, in a table."""
    return re.sub(r"[<{]", lambda found: f"&#{ord(found[0])};", text.replace("|", "\\|"))


def code(text: str) -> str:
    """A default, in a table."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def stack() -> Iterator[Row]:
    """The variables of the compose stack, as its example explains them, which must be complete."""
    what, found = "", set()
    for line in (DEPLOY / "compose/example.env").read_text(encoding="utf-8").splitlines()[1:]:
        if given := re.fullmatch(r"#?([A-Z_]+)=(.*)", line):
            found.add(given[1])
            yield given[1], what, given[2]
        else:
            what = line.removeprefix("# ")
    text = (DEPLOY / "compose/compose.yaml").read_text(encoding="utf-8")
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text)) | {"COMPOSE_PROFILES"}
    if used != found:
        raise LookupError(f"deploy/compose/example.env and compose.yaml differ in {sorted(used ^ found)}")


def values(path: Path) -> Iterator[Row]:
    """The leaves of a YAML file with the comments above them, or above what they are in.

    Raises LookupError where there is none.
    """
    text = path.read_text(encoding="utf-8")
    comments = explained(text)
    for name, value in leaves(yaml.safe_load(text), ""):
        parts = name.split(".")
        above = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        what = next((comments[each] for each in above if each in comments), None)
        if what is None:
            raise LookupError(f"{path} does not explain {name}")
        yield name, what, written(value)


def explained(text: str) -> dict[str, str]:
    """The comments of a YAML file, by the names of the keys that follow them."""
    found: dict[str, str] = {}
    place: list[tuple[int, str]] = []  # the keys that a line is in, with their indentations
    comment: list[str] = []
    for line in text.splitlines():
        bare = line.strip()
        indentation = len(line) - len(line.lstrip())
        if re.match(r"# [a-z]+_\w+: ", bare):  # a variable without a default
            comment = []
        elif bare.startswith("# "):
            comment.append(bare[2:])
        elif key := re.match(r"([A-Za-z_]\w*):", bare):
            place = [each for each in place if each[0] < indentation] + [(indentation, key[1])]
            if comment:
                found[".".join(name for _, name in place)] = " ".join(comment)
            comment = []
        else:
            comment = []
    return found


def leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """What is in nested mappings, each with its path."""
    if not isinstance(value, dict) or not value:
        yield name, value
        return
    for key, below in value.items():
        yield from leaves(below, f"{name}.{key}" if name else str(key))


def written(value: Any) -> str:
    """A default as it is written."""
    return " ".join(value.split()) if isinstance(value, str) else json.dumps(value)


def role_variables(role: str) -> Iterator[Row]:
    """The variables of a role. Those that must be given stand there as comments."""
    path = DEPLOY / "ansible/roles" / role / "defaults/main.yml"
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for above, line in pairwise(lines):
        if given := re.match(rf"# ({role}_\w+): (.*)", line):
            yield given[1], f"{above.removeprefix('# ')} For example {given[2]}.", ""
    yield from values(path)


def parameters() -> Iterator[Row]:
    """The parameters of the AWS stack. Raises LookupError where one is not described."""
    text = (DEPLOY / "aws/cutline.yaml").read_text(encoding="utf-8")
    section = text.split("\nParameters:\n", 1)[1].split("\n\nConditions:", 1)[0]
    for name, given in yaml.safe_load(section).items():
        if "Description" not in given:
            raise LookupError(f"{name} of deploy/aws/cutline.yaml has no description")
        yield name, given["Description"], str(given.get("Default", ""))
