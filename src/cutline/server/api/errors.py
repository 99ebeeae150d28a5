"""What each error code means: the address in a problem's `type` leads here."""

from __future__ import annotations

import inspect

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from cutline.errors import CutlineError
from cutline.server.api.auth import anyone
from cutline.server.api.problems import error_kinds
from cutline.server.api.schemas import problems
from cutline.server.errors import NotFound

router = Router(tags=["errors"], auth=anyone)


class ErrorOut(Schema):
    """A stable code, and when it is given."""

    code: str
    status: int = Field(description="The HTTP status it usually comes with.")
    meaning: str


class ErrorsOut(Schema):
    """All of them."""

    items: list[ErrorOut]


@router.get("/errors", response=ErrorsOut)
def list_errors(request: HttpRequest) -> ErrorsOut:
    """Every error code that an answer can name."""
    return ErrorsOut(items=[_as_out(kind) for kind in error_kinds()])


@router.get("/errors/{code}", response={200: ErrorOut, **problems(404)})
def read_error(request: HttpRequest, code: str) -> ErrorOut:
    """What one error code means."""
    for kind in error_kinds():
        if kind.code == code:
            return _as_out(kind)
    raise NotFound("No error has this code.")


def _as_out(kind: type[CutlineError]) -> ErrorOut:
    meaning = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
    return ErrorOut(code=kind.code, status=kind.http_status, meaning=meaning)
