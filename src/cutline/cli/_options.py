"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

from cutline.captioning.options import OPTIONS, Option, Strategy


def group(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator, in the order of the help."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def given(typed: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Take the options of these names out of ``typed``: those that somebody gave."""
    return {name: value for name in names if (value := typed.pop(name)) is not None}


def decoding_options(*names: str) -> Callable[[Any], Any]:
    """The command's options for these of ``captioning.options.OPTIONS``, where their ranges are checked."""
    return group(*(_decoding_option(OPTIONS[name]) for name in names))


def given_decoding(typed: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Take what was typed for these options out of ``typed``, by their names in DecodingOptions."""
    typed_as = {_RENAMED.get(name, name): name for name in names}
    return {typed_as[key]: value for key, value in given(typed, typed_as).items()}


SEARCH_NAMES = tuple(
    name
    for name, option in OPTIONS.items()
    if option.only is not Strategy.SAMPLE and option.kind in (int, float, bool)
)
"""What shapes a search by beam or greedy."""

# What the command calls differently: its --prefix is put before each caption, and the model does not see it.
_RENAMED = {"prefix": "start_with"}
_TELLING = 10_000  # a bound above this says nothing to a reader


def _decoding_option(option: Option) -> Callable[[Any], Any]:
    flag = "--" + _RENAMED.get(option.name, option.name).replace("_", "-")
    if option.kind is bool:
        return click.option(f"{flag}/--{flag.removeprefix('--no-')}", default=None, help=option.help)
    if option.kind is Strategy:
        return click.option(flag, type=click.Choice([str(each) for each in Strategy]), help=option.help)
    if option.bounds is not None and (option.bounds.most or 0) < _TELLING:
        return click.option(flag, type=option.kind, help=f"{option.help}  [{option.bounds}]")
    return click.option(flag, type=option.kind, help=option.help)
