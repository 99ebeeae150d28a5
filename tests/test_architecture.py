"""ARCHITECTURE.md is about the code that is here."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_where_do_i_go_names_files_that_exist() -> None:
    table = PAGE.partition("## Where do I go to ...?")[2]
    paths = re.findall(r"`([a-z][\w.-]*/[^`*]+)`", table)
    assert len(paths) >= 24
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_layers_are_those_that_are_checked() -> None:
    linter = ConfigParser()
    linter.read(ROOT / ".importlinter", encoding="utf-8")
    layers = linter["importlinter:contract:layers"]["layers"].split("\n")
    wanted = "".join(f"    {layer}\n" for layer in layers if layer)
    assert wanted in PAGE


def test_the_picture_has_every_room_of_the_service() -> None:
    picture = PAGE.partition("```mermaid\n")[2].partition("```")[0]
    linter = ConfigParser()
    linter.read(ROOT / ".importlinter", encoding="utf-8")
    rows = linter["importlinter:contract:rooms"]["layers"].split("\n")
    rooms = {room.strip() for row in rows for room in row.split("|") if room.strip()}
    folders = {path.name for path in (ROOT / "src" / "cutline" / "server").iterdir() if path.is_dir()}
    drawn = set(re.findall(r"\w+", picture))
    assert (rooms & folders) - {"observability"} <= drawn
