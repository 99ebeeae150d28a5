"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click


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


# How sentences are searched for.
SEARCH = group(
    click.option("--beam-size", type=int, help="Sentences kept alive at once."),
    click.option("--length-penalty", type=float, help="How much longer sentences are favoured by a beam."),
    click.option("--min-length", type=int, help="Fewest tokens."),
    click.option("--max-length", type=int, help="Most tokens."),
    click.option(
        "--no-repeat-ngram", type=int, help="No run of this many tokens occurs twice; 0 allows all."
    ),
    click.option(
        "--no-repeat-words/--repeat-words",
        default=None,
        help='No word occurs twice, but for such as "a" and "of".',
    ),
)
SEARCH_NAMES = (
    "beam_size",
    "length_penalty",
    "min_length",
    "max_length",
    "no_repeat_ngram",
    "no_repeat_words",
)
