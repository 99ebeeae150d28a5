"""The strict parser of bundle.json and of recipes, and the JSON Schema of the classes that it fills.

The frozen dataclasses are the only definition of what a file may say. A value of the wrong type, a number out
of range, a missing or an unknown key is a MismatchError that says where it stands, what it is and what is
allowed; where a name was probably mistyped, its ``hint`` suggests the right one.

pydantic and msgspec were considered. Their messages neither list what is allowed nor suggest a name, and what
YAML misreads would still need code of ours: most of this module would stay, plus a dependency.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import math
import re
import types
import typing
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin

from cutline.errors import CutlineError

T = TypeVar("T")
Json: TypeAlias = dict[str, Any]


class MismatchError(ValueError):
    """A value that its class does not allow. ``hint`` suggests what was meant, where that can be guessed."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Between:
    """A number from ``least`` to ``most``, both allowed (``least`` is not where ``open_low``)."""

    least: float
    most: float | None = None
    open_low: bool = False

    def holds(self, value: float) -> bool:
        """Whether the number is in range (nan never is)."""
        enough = value > self.least if self.open_low else value >= self.least
        return enough and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        if self.open_low:
            return f"more than {self.least}" + ("" if self.most is None else f" and at most {self.most}")
        return f"at least {self.least}" if self.most is None else f"from {self.least} to {self.most}"

    def schema(self) -> Json:
        """The same bounds in JSON Schema."""
        lower = {"exclusiveMinimum" if self.open_low else "minimum": self.least}
        return lower if self.most is None else lower | {"maximum": self.most}


@dataclass(frozen=True, slots=True)
class Like:
    """A text that a regular expression matches from start to end."""

    pattern: str

    def schema(self) -> Json:
        """The same pattern in JSON Schema."""
        return {"pattern": f"^(?:{self.pattern})$"}


def load_json(data: bytes) -> object:
    """Load JSON of which no two parsers can think differently. Raises ValueError.

    Refused are an object with a duplicate key, NaN and Infinity (which Python accepts but JSON does not
    have), numbers too large for a float, half characters, and depths beyond Python's.
    """
    try:
        content = json.loads(data, object_pairs_hook=_unique_keys, parse_constant=_no_nan)
        json.dumps(content, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is too deep") from error
    return content


def parse_json(kind: type[T], value: object, where: str = "") -> T:
    """Parse a JSON value as ``kind``: a dataclass, or the type of one of its fields.

    Nothing is converted: "3" is not a number, and null stands for nothing. ``where`` is the value's place in
    its file, for messages; "" is the file itself. Raises MismatchError.
    """
    return cast("T", _Parser(yaml=False).parse(kind, value, where))


def parse_file(kind: type[T], data: bytes, where: str, refusal: type[CutlineError]) -> T:
    """Parse a JSON file as ``kind``. ``where`` is what it is called, for messages. Raises ``refusal``."""
    try:
        return parse_json(kind, load_json(data))
    except MismatchError as error:
        raise refusal(f"{where}: {error}.", hint=error.hint) from error
    except ValueError as error:
        raise refusal(f"{where} is not JSON: {error}.") from error


def parse_yaml_values(kind: type[T], value: object, where: str = "") -> T:
    """Parse values that a YAML loader returned as ``kind``; otherwise as ``parse_json``.

    What YAML 1.1 misreads is taken as meant: ``1e-3`` is a number, ``version: 1.0`` a text, ``off`` a name.
    Null is allowed where a field may be None, and a text is taken for a Path. Raises MismatchError.
    """
    return cast("T", _Parser(yaml=True).parse(kind, value, where))


def dump(value: object, *, keep_none: bool = False) -> Any:
    """The inverse of parsing: dicts, lists and plain values.

    Fields that are None are left out, as bundle.json has no null; YAML keeps them with ``keep_none``.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {
            name: dump(each, keep_none=keep_none) for name, each in pairs if keep_none or each is not None
        }
    if isinstance(value, Mapping):
        return {str(key): dump(each, keep_none=keep_none) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [dump(each, keep_none=keep_none) for each in value]
    return str(value) if isinstance(value, (StrEnum, Path)) else value


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """A sentence that suggests the nearest known name, or lists all; "" where none is known."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"Did you mean {near[0]}?"
    return f"Known: {', '.join(known)}." if known else ""


def out_of_range(value: Hashable) -> str:
    """Describe the first field that is not a number in the range of its annotation; "" if all are."""
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
    for name, hint in _hints(kind).items():
        for part in (hint, *get_args(hint)):
            for limit in _limits(part):
                if isinstance(limit, Between):
                    found[name] = (get_args(part)[0], limit)
    return found


@functools.cache
def _hints(kind: type) -> Mapping[str, Any]:
    """The annotations of a dataclass's fields, in their order."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {each.name: hints[each.name] for each in dataclasses.fields(kind)}


def _limits(hint: object) -> Iterator[Between | Like]:
    if get_origin(hint) is Annotated:
        yield from (each for each in get_args(hint)[1:] if isinstance(each, (Between, Like)))


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _without_none(args: tuple[object, ...]) -> object:
    (kind,) = (each for each in args if each is not type(None))
    return kind


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a JSON object with a duplicate key: parsers differ over which one counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_nan(name: str) -> object:
    """Refuse NaN and Infinity, which Python accepts but JSON does not have."""
    raise ValueError(f"{name} is not a JSON number")


# JSON Schema


def schema(kind: object) -> Json:
    """The JSON Schema (draft 2020-12) of what ``parse_json`` accepts."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return functools.reduce(lambda made, limit: made | limit.schema(), _limits(kind), schema(args[0]))
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
    return {
        "type": "object",
        "description": (kind.__doc__ or "").strip().split("\n")[0],
        "properties": {name: schema(hint) for name, hint in _hints(kind).items()},
        "required": [f.name for f in dataclasses.fields(kind) if _required(f)],
        "additionalProperties": False,
    }


# Parsing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parser:
    """One parser for both kinds of file; ``yaml`` also takes what YAML misreads (``parse_yaml_values``)."""

    yaml: bool

    def parse(self, kind: Any, value: object, where: str) -> object:
        origin, args = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self._within(kind, self.parse(args[0], value, where), where)
        if origin in (Union, types.UnionType):
            if value is None and self.yaml:
                return None
            return self.parse(_without_none(args), value, where)
        if origin is Literal:
            return self._one_of(args, value, where)
        if origin is tuple:
            return self._tuple(args, value, where)
        if origin is Mapping:
            given = self._object(value, where)
            return {str(key): self.parse(args[1], each, _below(where, key)) for key, each in given.items()}
        if dataclasses.is_dataclass(kind):
            return self._dataclass(cast("type", kind), value, where)
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return kind(self._one_of(tuple(map(str, kind)), value, where))
        return self._plain(kind, value, where)

    def _dataclass(self, kind: type, value: object, where: str) -> object:
        if isinstance(value, kind):
            return value
        given, hints = self._object(value, where), _hints(kind)
        for key in given:
            if key not in hints:
                hint = did_you_mean(str(key), list(hints))
                raise MismatchError(f"Unknown key {_below(where, key)!s:.200}", hint=hint)
        parsed = {key: self.parse(hints[key], each, _below(where, key)) for key, each in given.items()}
        for each in dataclasses.fields(kind):
            if _required(each) and each.name not in given:
                raise MismatchError(f"{_below(where, each.name)} is missing, and has no default")
        return kind(**parsed)

    def _tuple(self, args: tuple[Any, ...], value: object, where: str) -> tuple[object, ...]:
        if not isinstance(value, list) and not (self.yaml and isinstance(value, tuple)):
            raise _wrong(value, "a list", where)
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(value):
            raise MismatchError(f"{where} has {len(value)} values, but must have {len(kinds)}")
        pairs = enumerate(zip(kinds, value, strict=True))
        return tuple(self.parse(kind, each, _below(where, place)) for place, (kind, each) in pairs)

    def _object(self, value: object, where: str) -> Mapping[Any, object]:
        if not isinstance(value, dict):
            raise _wrong(value, "a mapping" if self.yaml else "an object", where)
        return value

    def _one_of(self, allowed: tuple[Any, ...], value: object, where: str) -> Any:
        if self.yaml and value is False and "off" in allowed:
            return "off"  # YAML 1.1 reads a bare off as False
        if not any(value == each and type(value) is type(each) for each in allowed):
            raise MismatchError(
                f"{where} is {value!r:.60}, but must be one of {', '.join(map(str, allowed))}",
                hint=did_you_mean(str(value), list(map(str, allowed))),
            )
        return value

    def _within(self, kind: object, value: Any, where: str) -> object:
        for limit in _limits(kind):
            if isinstance(limit, Like):
                if re.fullmatch(limit.pattern, value) is None:
                    raise MismatchError(f"{where} is {value!r:.80}, which is not of the form {limit.pattern}")
            elif not limit.holds(value):
                shown = f"{value:g}" if isinstance(value, float) else value
                raise MismatchError(f"{where} is {shown}, but must be {limit}")
        return value

    def _plain(self, kind: Any, value: object, where: str) -> object:
        if kind in (object, Any):
            return value
        if self.yaml:
            value = _as_meant(kind, value)
        if kind is float and type(value) in (int, float) and math.isfinite(cast("float", value)):
            return float(cast("float", value))
        fits = isinstance(value, Path) if kind is Path else type(value) is kind and kind is not float
        if not fits:
            raise _wrong(value, NAMES[kind], where)
        return value


NAMES: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
}


def _as_meant(kind: object, value: object) -> object:
    """Undo what YAML 1.1 does to numbers and texts, and make paths of texts."""
    if kind is str and type(value) in (int, float):
        return str(value)  # `version: 1.0` and `name: 7`
    if kind is float and isinstance(value, str):
        try:
            return float(value)  # `1e-3`
        except ValueError:
            return value
    if kind is Path and isinstance(value, str) and value:
        return Path(value).expanduser()
    return value


def _below(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _wrong(value: object, wanted: str, where: str) -> MismatchError:
    return MismatchError(f"{where or 'The content'} is {value!r:.60}, but must be {wanted}")
