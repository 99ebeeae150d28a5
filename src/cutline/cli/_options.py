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
    """Remove the options of these names from ``typed``, and return those that were given."""
    return {name: value for name in names if (value := typed.pop(name)) is not None}


def decoding_options(*names: str) -> Callable[[Any], Any]:
    """The command's options for these names of ``captioning.options.OPTIONS``, which checks their ranges."""
    return group(*(_decoding_option(OPTIONS[name]) for name in names))


def given_decoding(typed: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """As ``given``, with the names of DecodingOptions."""
    typed_as = {_RENAMED.get(name, name): name for name in names}
    return {typed_as[key]: value for key, value in given(typed, typed_as).items()}


SEARCH_NAMES = tuple(
    name
    for name, option in OPTIONS.items()
    if option.only is not Strategy.SAMPLE and option.kind in (int, float, bool)
)
"""The options of beam search and greedy decoding."""

# Names that differ in the command: its --prefix is put before each caption, and the model does not see it.
_RENAMED = {"prefix": "start_with"}
_WORTH_SHOWING = 10_000  # a higher bound tells a reader nothing


def _decoding_option(option: Option) -> Callable[[Any], Any]:
    flag = "--" + _RENAMED.get(option.name, option.name).replace("_", "-")
    if option.kind is bool:
        opposite = (
            flag.replace("--no-", "--", 1) if flag.startswith("--no-") else flag.replace("--", "--no-", 1)
        )
        return click.option(f"{flag}/{opposite}", default=None, help=option.help)
    if option.kind is Strategy:
        return click.option(flag, type=click.Choice([str(each) for each in Strategy]), help=option.help)
    if option.bounds is not None and (option.bounds.most or 0) < _WORTH_SHOWING:
        return click.option(flag, type=option.kind, help=f"{option.help}  [{option.bounds}]")
    return click.option(flag, type=option.kind, help=option.help)
