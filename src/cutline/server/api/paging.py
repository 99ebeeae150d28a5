"""Pages by opaque cursors: the sort values of the last row, signed, so that no page drifts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from django.core import signing
from django.db.models import Model, Q, QuerySet
from pydantic import Field

from cutline.server.errors import Invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_SALT = "cutline.cursor"

Row = TypeVar("Row", bound=Model)

# Types of the two query parameters: cursor: Cursor = "", limit: Limit = DEFAULT_LIMIT
Cursor = Annotated[
    str, Field(max_length=1000, description="`next` of the page before; empty: the first page.")
]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="How many items a page has at most.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The rows of a page, and the cursor of the next (None at the end)."""

    rows: list[Any]
    next: str | None

    @property
    def items(self) -> list[Any]:
        """The rows, as schemas.Page calls them: an endpoint may give this object as it is."""
        return self.rows


def page(
    rows: QuerySet[Row], *, cursor: str, limit: int, order: Sequence[str] = ("-created_at", "-id")
) -> Slice:
    """Return a page of rows in this order: one query, however deep the page.

    order: field names, with "-" for descending; the last must be unique, none may be null.
    Raises: Invalid where the cursor is not one of this list (422).
    """
    if cursor:
        rows = rows.filter(_after(order, _read(cursor, order)))
    found = list(rows.order_by(*order)[: limit + 1])
    more = len(found) > limit
    found = found[:limit]
    return Slice(rows=found, next=_write(order, found[-1]) if more else None)


def _after(order: Sequence[str], values: Sequence[Any]) -> Q:
    """(a, b) after (x, y), each in its own direction; the comparison in front lets an index serve."""
    names = [name.removeprefix("-") for name in order]
    ways = ["lt" if name.startswith("-") else "gt" for name in order]
    condition = Q()
    for place in range(len(order)):
        equal = Q(**dict(zip(names[:place], values, strict=False)))
        condition |= equal & Q(**{f"{names[place]}__{ways[place]}": values[place]})
    return Q(**{f"{names[0]}__{ways[0]}e": values[0]}) & condition


def _write(order: Sequence[str], row: Model) -> str:
    values = [_to_json(_value(row, name.removeprefix("-"))) for name in order]
    return signing.Signer(salt=_SALT).sign_object([list(order), values], compress=False)


def _value(row: Model, name: str) -> Any:
    value: Any = row
    for part in name.split("__"):
        value = getattr(value, part)
    return value


def _read(cursor: str, order: Sequence[str]) -> list[Any]:
    try:
        of_order, values = signing.Signer(salt=_SALT).unsign_object(cursor)
        if of_order != list(order):
            raise Invalid(
                "The cursor belongs to a list with another order.", hint="Start again without a cursor."
            )
        return [_from_json(value) for value in values]
    except (signing.BadSignature, json.JSONDecodeError, ValueError, TypeError, KeyError) as error:
        raise Invalid("The cursor is invalid.", hint="Start again without a cursor.") from error


def _to_json(value: Any) -> Any:
    match value:
        case datetime():
            return {"at": value.isoformat()}
        case UUID():
            return {"id": value.hex}
        case str() | int() | float():
            return value
        case _:
            raise TypeError(f"Rows cannot be paged by a {type(value).__name__}")


def _from_json(value: Any) -> Any:
    match value:
        case {"at": text}:
            return datetime.fromisoformat(text)
        case {"id": text}:
            return UUID(hex=text)
        case _:
            return value
