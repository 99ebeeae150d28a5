"""JSON to frozen dataclasses and back, strictly, and the JSON Schema of the same classes.

One source for three things: the class. A value of the wrong type, a missing or an unknown field is a
MismatchError that says where.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

T = TypeVar("T")
Json = dict[str, Any]


class MismatchError(ValueError):
    """A value that is not of its class."""


@dataclass(frozen=True, slots=True)
class Between:
    """A number from ``least`` to ``most``, both allowed."""

    least: float
    most: float | None = None

    def holds(self, value: float) -> bool:
        """Say whether the number is in range."""
        return value >= self.least and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        """Name the range as an error does."""
        return f"at least {self.least}" if self.most is None else f"from {self.least} to {self.most}"


@dataclass(frozen=True, slots=True)
class Like:
    """A text that a regular expression matches from start to end."""

    pattern: str


def parse(kind: type[T], value: object, where: str) -> T:
    """Make a ``kind`` of a JSON value. ``where`` names the value in a MismatchError."""
    return cast("T", _parse(kind, value, where))


def dump(value: object) -> Any:
    """Make JSON of what ``parse`` gave: fields that are None are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: dump(each) for name, each in pairs if each is not None}
    if isinstance(value, Mapping):
        return {key: dump(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [dump(each) for each in value]
    return str(value) if isinstance(value, StrEnum) else value


def out_of_range(value: Hashable) -> str:
    """Say which number of a dataclass is none, or outside the range that its annotation sets; else ""."""
    for name, (type_, bounds) in _ranges(type(value)).items():
        number = getattr(value, name)
        if number is None:
            continue
        if not isinstance(number, Real) or not bounds.holds(float(number)):
            return f"{name} is {number!r:.60}, but must be {bounds}"
        if type_ is int and not isinstance(number, Integral):
            return f"{name} is {number!r:.60}, but must be a whole number"
    return ""


@functools.cache
def _ranges(kind: type) -> Mapping[str, tuple[object, Between]]:
    found: dict[str, tuple[object, Between]] = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        for part in (hint, *get_args(hint)):
            if get_origin(part) is Annotated and isinstance(get_args(part)[1], Between):
                found[name] = (get_args(part)[0], get_args(part)[1])
    return found


def schema(kind: object) -> Json:
    """Give the JSON Schema (draft 2020-12) of what ``parse`` accepts."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return schema(args[0]) | _limits(args[1])
    if origin in (Union, types.UnionType):
        return schema(_without_none(args))
    if origin is Literal:
        return {"enum": list(args)}
    if origin is tuple:
        if args[-1] is Ellipsis:
            return {"type": "array", "items": schema(args[0])}
        return {
            "type": "array",
            "prefixItems": [schema(each) for each in args],
            "minItems": len(args),
            "maxItems": len(args),
        }
    if origin is Mapping:
        return {"type": "object", "additionalProperties": schema(args[1])}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": [str(each) for each in kind]}
    if dataclasses.is_dataclass(kind):
        return _object_schema(cast("type", kind))
    return dict(PLAIN_SCHEMAS[kind])


PLAIN_SCHEMAS: Mapping[object, Json] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    object: {},
}


def _object_schema(kind: type) -> Json:
    hints = typing.get_type_hints(kind, include_extras=True)
    needed = [f.name for f in dataclasses.fields(kind) if _required(f)]
    return {
        "type": "object",
        "description": (kind.__doc__ or "").strip().split("\n")[0],
        "properties": {f.name: schema(hints[f.name]) for f in dataclasses.fields(kind)},
        "required": needed,
        "additionalProperties": False,
    }


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _limits(limit: Between | Like) -> Json:
    if isinstance(limit, Like):
        return {"pattern": f"^(?:{limit.pattern})$"}
    most = {} if limit.most is None else {"maximum": limit.most}
    return {"minimum": limit.least} | most


def _without_none(args: tuple[object, ...]) -> object:
    (kind,) = (each for each in args if each is not type(None))
    return kind


def _parse(kind: object, value: object, where: str) -> object:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _limited(_parse(args[0], value, where), args[1], where)
    if origin in (Union, types.UnionType):
        return _parse(_without_none(args), value, where)
    if origin is Literal:
        return _one_of(args, value, where)
    if origin is tuple:
        return _parse_tuple(args, value, where)
    if origin is Mapping:
        given = _expect(dict, value, where)
        return {key: _parse(args[1], each, f"{where}.{key}") for key, each in given.items()}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(_one_of(tuple(str(each) for each in kind), value, where))
    if dataclasses.is_dataclass(kind):
        return _parse_object(cast("type", kind), value, where)
    return value if kind is object else _parse_plain(cast("type", kind), value, where)


def _parse_plain(kind: type, value: object, where: str) -> object:
    if kind is float and type(value) in (int, float) and math.isfinite(cast("float", value)):
        return float(cast("float", value))
    if type(value) is kind and kind is not float:
        return value
    raise MismatchError(f"{where} is {value!r:.60}, but must be {NAMES[kind]}")


NAMES: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    dict: "an object",
    list: "a list",
}


def _parse_tuple(args: tuple[Any, ...], value: object, where: str) -> tuple[object, ...]:
    given = _expect(list, value, where)
    kinds = [args[0]] * len(given) if args[-1] is Ellipsis else list(args)
    if len(kinds) != len(given):
        raise MismatchError(f"{where} has {len(given)} entries, but must have {len(kinds)}")
    pairs = enumerate(zip(kinds, given, strict=True))
    return tuple(_parse(kind, each, f"{where}[{i}]") for i, (kind, each) in pairs)


def _parse_object(kind: type, value: object, where: str) -> object:
    given = _expect(dict, value, where)
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(given) - set(fields))
    missing = sorted(name for name, f in fields.items() if _required(f) and name not in given)
    if unknown or missing:
        trouble = f"lacks {', '.join(missing)}" if missing else f"has unknown fields: {', '.join(unknown)}"
        raise MismatchError(f"{where} {trouble:.300}")
    parsed = {name: _parse(hints[name], each, f"{where}.{name}") for name, each in given.items()}
    return kind(**parsed)


def _expect(kind: type[T], value: object, where: str) -> T:
    if not isinstance(value, kind):
        raise MismatchError(f"{where} is {value!r:.60}, but must be {NAMES[kind]}")
    return value


def _one_of(allowed: tuple[Any, ...], value: object, where: str) -> Any:
    if not any(value == each and type(value) is type(each) for each in allowed):
        raise MismatchError(f"{where} is {value!r:.60}, but must be one of {', '.join(map(str, allowed))}")
    return value


def _limited(value: object, limit: Between | Like, where: str) -> object:
    if isinstance(limit, Like):
        if re.fullmatch(limit.pattern, cast("str", value)) is None:
            raise MismatchError(f"{where} is {value!r:.80}, which is not of the form {limit.pattern}")
    elif not limit.holds(cast("float", value)):
        raise MismatchError(f"{where} is {value}, but must be {limit}")
    return value
