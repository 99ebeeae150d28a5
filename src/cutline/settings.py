"""Reads settings from the environment into a frozen dataclass.

This module does not know which settings exist: each dataclass (such as `images.Limits`) documents its own.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import TypeVar

from cutline.errors import ConfigError

PREFIX = "CUTLINE_"

T = TypeVar("T")


def from_environment(defaults: T, *, environ: Mapping[str, str] | None = None) -> T:
    """A copy of `defaults`, a dataclass instance, with the fields that the environment sets.

    The field max_pixels is CUTLINE_MAX_PIXELS.

    Raises ConfigError for a value that is not of the field's type, or that the dataclass rejects.
    """
    environ = os.environ if environ is None else environ
    given = {
        field.name: _parse(name, environ[name], type(getattr(defaults, field.name)))
        for field in dataclasses.fields(defaults)  # type: ignore[arg-type]
        if (name := PREFIX + field.name.upper()) in environ
    }
    return dataclasses.replace(defaults, **given)  # type: ignore[type-var]


def _parse(name: str, text: str, kind: type) -> int | float | str:
    try:
        value: int | float | str = kind(text)
    except ValueError as error:
        wanted = {int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        message = f"{name} is {text!r}, but must be {wanted}."
        raise ConfigError(message, hint="Correct or unset it.") from error
    return value
