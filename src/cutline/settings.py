"""Reads settings from the environment, and from the files that it names, into a frozen dataclass.

This module does not know which settings exist: each dataclass (such as `images.Limits`) documents its own.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from cutline.errors import ConfigError

PREFIX = "CUTLINE_"
FILE = "_FILE"  # a variable may name a file that holds another's value: CUTLINE_SECRET_KEY_FILE

T = TypeVar("T")


def from_environment(defaults: T, *, environ: Mapping[str, str] | None = None) -> T:
    """A copy of `defaults`, a dataclass instance, with the fields that the environment sets.

    The field max_pixels is CUTLINE_MAX_PIXELS, or the content of the file that CUTLINE_MAX_PIXELS_FILE names.

    Raises ConfigError for a value that is not of the field's type, or that the dataclass rejects.
    """
    environ = os.environ if environ is None else environ
    given = {
        field.name: _parse(name, text, type(getattr(defaults, field.name)))
        for field in dataclasses.fields(defaults)  # type: ignore[arg-type]
        if (text := value_of(name := PREFIX + field.name.upper(), environ)) is not None
    }
    return dataclasses.replace(defaults, **given)  # type: ignore[type-var]


def value_of(name: str, environ: Mapping[str, str]) -> str | None:
    """The value of a variable, or what is in the file that NAME_FILE names; None where neither is set.

    Line ends at the end of the file do not count. Raises ConfigError where both are set, and where the file
    cannot be read or is empty; the message has no word of the file.
    """
    path = environ.get(name + FILE)
    if not path:
        return environ.get(name)
    if environ.get(name):
        raise ConfigError(f"{name} and {name}{FILE} are both set.", hint="Unset one of them.")
    try:
        text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise _unusable(name + FILE, path, error.strerror or "it cannot be read") from error
    except UnicodeDecodeError:
        raise _unusable(name + FILE, path, "it is not UTF-8") from None  # the cause would hold its bytes
    if not text:
        raise _unusable(name + FILE, path, "it is empty")
    return text


def _unusable(name: str, path: str, why: str) -> ConfigError:
    return ConfigError(f"{name} names {path}: {why}.", hint="Correct or unset it.")


def _parse(name: str, text: str, kind: type) -> int | float | str:
    try:
        value: int | float | str = kind(text)
    except ValueError as error:
        wanted = {int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        message = f"{name} is {text!r}, but must be {wanted}."
        raise ConfigError(message, hint="Correct or unset it.") from error
    return value
