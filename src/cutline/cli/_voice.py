"""The options of a voice, shared by the commands that write in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cutline.cli._options import given, group
from cutline.errors import OptionError

if TYPE_CHECKING:
    from cutline.styles import Voice

# Choices stand here too, so that --help need not import the voices; a test compares them.
AUDIENCES = ("personal", "promotional", "academic")
LENGTHS = ("short", "medium", "long")

VOICE_OPTIONS = group(
    click.option("--preset", metavar="NAME", help="Begin with a named voice; see cutline restyle --list."),
    click.option("--tone", help='How it sounds, in your words: "quirky", "dry", "like a haiku".'),
    click.option("--audience", type=click.Choice(AUDIENCES), help="Whom it speaks to.  [personal]"),
    click.option("--length", type=click.Choice(LENGTHS), help="How long it is.  [medium]"),
    click.option("--hashtags", type=int, help="How many hashtags, 0 to 10.  [0]"),
    click.option("--emoji/--no-emoji", default=None, help="Whether it has emoji.  [no]"),
    click.option("--language", metavar="TAG", help="The language, such as en or de.  [en]"),
    click.option("--avoid", multiple=True, metavar="WORD", help="A word that must not occur; repeatable."),
)
VOICE_NAMES = ("tone", "audience", "length", "hashtags", "emoji", "language")


def take_voice(typed: dict[str, Any], *, prefix: str = "", suffix: str = "") -> Callable[[], Voice] | None:
    """Remove the voice's options from ``typed``; None where none was given.

    What is returned makes the voice, and raises OptionError for one that makes no sense.
    """
    values = given(typed, VOICE_NAMES)
    preset = typed.pop("preset")
    if avoid := typed.pop("avoid"):
        values["avoid"] = avoid
    if not values and preset is None:
        return None
    return lambda: _voice(preset, values | {"prefix": prefix, "suffix": suffix})


def _voice(preset: str | None, values: dict[str, Any]) -> Voice:
    from cutline.styles import presets
    from cutline.styles.voice import voice_from

    if preset is None:
        return voice_from(values)
    if preset not in presets():
        raise OptionError(f"There is no preset {preset!r}.", hint=f"Choose {', '.join(presets())}.")
    return voice_from(values, base=presets()[preset])
