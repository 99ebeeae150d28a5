"""The names by which lower rooms reach upper ones."""

from __future__ import annotations

import inspect

import pytest
from django.utils.module_loading import import_string

from cutline.server import wiring

LISTS = {name: value for name, value in vars(wiring).items() if name.isupper()}


# How many arguments `wiring.call` passes on, where it is not one.
ARGUMENTS = {"EVENTS_WRITTEN": 2}


@pytest.mark.parametrize("name", LISTS)
def test_every_name_is_a_function_of_what_it_is_called_with(name: str) -> None:
    for function in LISTS[name]:
        assert len(inspect.signature(import_string(function)).parameters) == ARGUMENTS.get(name, 1)
