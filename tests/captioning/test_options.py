"""Every decoding option is defined once, in captioning/options.py; everybody else follows."""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from pathlib import Path
from typing import Any

import click
import pytest

from cutline.captioning.options import MAX_PREFIX_CHARS, OPTIONS, DecodingOptions, Option, Strategy, resolve
from cutline.cli import caption, evaluate
from cutline.errors import OptionError
from cutline.training.config import ExportConfig

ROOT = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
BOUNDED = pytest.mark.parametrize(
    "option", [each for each in OPTIONS.values() if each.bounds], ids=lambda option: option.name
)


def without_ranges(text: str) -> str:
    return re.sub(r"  \[from .*\]$", "", text)


@BOUNDED
def test_its_range_is_what_is_accepted(option: Option) -> None:
    assert option.bounds is not None
    assert option.bounds.most is not None
    for allowed in (option.bounds.least, option.bounds.most):
        DecodingOptions(**{option.name: option.kind(allowed)})
    step = 1 if option.kind is int else 1e-4
    for refused in (option.bounds.least - step, option.bounds.most + step):
        with pytest.raises(OptionError, match=f"{option.name} is .*, but must be {option.bounds}"):
            DecodingOptions(**{option.name: option.kind(refused)})


def test_a_prefix_has_a_range_too() -> None:
    assert DecodingOptions(prefix="a" * MAX_PREFIX_CHARS).prefix
    with pytest.raises(OptionError, match="prefix has more than 1,000 characters"):
        DecodingOptions(prefix="a" * (MAX_PREFIX_CHARS + 1))


def test_its_default_holds_where_nobody_chooses() -> None:
    made = resolve(DecodingOptions(), n=1, longest=20)
    shared = {field.name for field in dataclasses.fields(made)} & OPTIONS.keys() - {"prefix", "max_length"}
    assert {name: getattr(made, name) for name in shared} == {name: OPTIONS[name].default for name in shared}
    assert made.max_length == 20


@EVERY
def test_the_command_has_it(option: Option) -> None:
    name = {"prefix": "start_with"}.get(option.name, option.name)
    [found] = [each for each in caption.command.params if each.name == name]
    assert isinstance(found, click.Option)
    assert without_ranges(found.help or "") == option.help
    assert caption.command.make_context("caption", ["photo.jpg"]).params[name] is None
    if option.bounds and "[" in (found.help or ""):
        assert f"[{option.bounds}]" in (found.help or "")


def test_scores_are_of_everything_but_samples() -> None:
    names = {each.name for each in evaluate.command.params} & OPTIONS.keys()
    assert names - {"seed"} == {  # its own --seed is the bootstrap's
        name for name, option in OPTIONS.items() if option.only is not Strategy.SAMPLE and name != "prefix"
    }


def api_schemas() -> list[dict[str, Any]]:
    """What requests may say, wherever they may say any of it."""
    api = json.loads((ROOT / "contracts/openapi.json").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if "beam_size" in value.get("properties", {}):
                found.append(value["properties"])
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)

    look(api)
    return found


@EVERY
def test_the_api_has_it(option: Option) -> None:
    schemas = api_schemas()
    assert len(schemas) >= 4
    for properties in schemas:
        field = properties[option.name]
        kind = field["anyOf"][0]
        assert field["description"] == option.help
        if option.bounds:
            assert (kind["minimum"], kind["maximum"]) == (option.bounds.least, option.bounds.most)
        if option.kind is Strategy:
            assert kind["enum"] == [str(each) for each in Strategy]


@EVERY
def test_bundles_have_it(option: Option) -> None:
    schema = json.loads((ROOT / "contracts/bundle.schema.json").read_text(encoding="utf-8"))
    found = schema["properties"]["decoding"]["properties"][option.name]
    if option.bounds:
        assert (found["minimum"], found["maximum"]) == (option.bounds.least, option.bounds.most)


@EVERY
def test_the_documentation_has_it(option: Option) -> None:
    page = (ROOT / "docs/reference/decoding.md").read_text(encoding="utf-8")
    [row] = [line for line in page.splitlines() if line.startswith(f"| `{option.name}` |")]
    assert option.help in row
    if option.default is not None:
        assert f"`{json.dumps(option.default)}`" in row
    if option.bounds:
        assert str(option.bounds) in row


def test_a_recipe_exports_what_is_shared_as_it_is_defined() -> None:
    hints = typing.get_type_hints(ExportConfig, include_extras=True)
    shared = {each.name: each for each in dataclasses.fields(ExportConfig) if each.name in OPTIONS}
    del shared["max_length"]  # 0 there leaves it to the decoder
    searched = {"beam_size", "length_penalty", "min_length", "no_repeat_ngram"}
    assert set(shared) == searched | {"sex_confidence"}
    for name, field in shared.items():
        assert (field.default, list(typing.get_args(hints[name])[1:])) == (
            OPTIONS[name].default,
            [OPTIONS[name].bounds],
        )


_NAMES = "|".join(OPTIONS)
RESTATED = re.compile(rf"\b({_NAMES})\b['\"]?\s*[:=(].*\b(Between|IntRange|FloatRange|ge=|le=|gt=|lt=)")
OTHERS = {("config.py", "seed"), ("config.py", "temperature")}  # a training's


def test_nobody_restates_a_range() -> None:
    for path in sorted((ROOT / "src").rglob("*.py")):
        if path.name == "options.py" and path.parent.name == "captioning":
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            found = RESTATED.search(line)
            assert found is None or (path.name, found[1]) in OTHERS, f"{path}: {line}"
