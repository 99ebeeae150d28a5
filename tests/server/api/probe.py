"""A small API behind the real middleware, with endpoints that do what it must cope with. A urlconf."""

from __future__ import annotations

import hashlib
import threading
from typing import Annotated, Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import HttpRequest
from django.urls import path
from ninja import File, Form, Query, Router, Schema, Status, UploadedFile

from cutline.server.api import problems
from cutline.server.api.auth import anyone, needs
from cutline.server.api.openapi import CutlineAPI
from cutline.server.api.parsing import SafeParser
from cutline.server.api.schemas import SchemaIn
from cutline.server.api.wait import when_done
from cutline.server.errors import Conflict, NotFound
from cutline.server.people.models import Owner
from cutline.server.people.viewers import ensure_owner, viewer_of
from tests.server.services.process import ANSWERS_S

api = CutlineAPI(title="Probe", version="1", urls_namespace="probe", auth=anyone, parser=SafeParser())
problems.add_handlers(api)
router = Router()

entered = threading.Event()
go_on = threading.Event()
calls: list[str] = []


class ThingIn(SchemaIn):
    """What is sent."""

    name: str
    more: Any = None


class ThingOut(Schema):
    """What is answered."""

    name: str
    number: int


@router.post("/things", response={201: ThingOut})
def make_thing(request: HttpRequest, thing: ThingIn) -> Status[dict[str, Any]]:
    """Count the calls."""
    calls.append(thing.name)
    if thing.name == "refused":
        raise Conflict("Not now.")
    return Status(201, {"name": thing.name, "number": len(calls)})


@router.post("/slow", response=ThingOut)
def make_slowly(request: HttpRequest, thing: ThingIn) -> dict[str, Any]:
    """Wait until the test says so."""
    entered.set()
    assert go_on.wait(ANSWERS_S)
    return {"name": thing.name, "number": 1}


@router.post("/files")
def take_files(
    request: HttpRequest, files: File[list[UploadedFile]], note: Annotated[str, Form()] = ""
) -> dict[str, Any]:
    """Say what came."""
    calls.append(note)
    return {"note": note, "digests": [hashlib.sha256(each.read()).hexdigest() for each in files]}


@router.get("/owners/{owner_id}")
def read_owner(request: HttpRequest, owner_id: UUID) -> dict[str, Any]:
    """A row."""
    found = Owner.objects.filter(pk=owner_id).first()
    if found is None:
        raise NotFound("No such owner.", hint="Look again.")
    return {"may_train": found.may_train}


@router.patch("/owners/{owner_id}")
def change_owner(request: HttpRequest, owner_id: UUID, may_train: Annotated[bool, Query()]) -> dict[str, Any]:
    """Change the row."""
    Owner.objects.filter(pk=owner_id).update(may_train=may_train)
    return {"may_train": may_train}


@router.post("/waits/{job_id}")
def start_job(request: HttpRequest, job_id: UUID) -> ThingOut:
    """Answer better once the job has ended."""
    owner = ensure_owner(request)
    when_done(request, owner_id=owner.pk, jobs=[job_id], then=lambda: ThingOut(name="done", number=1))
    return ThingOut(name="begun", number=0)


@router.get("/whoami", auth=needs("images:read"))
def whoami(request: HttpRequest) -> dict[str, Any]:
    """Who asks."""
    owner_id = viewer_of(request).owner_id
    return {"owner": str(owner_id) if owner_id else None}


@router.get("/account", auth=needs("account", account=True))
def account(request: HttpRequest) -> dict[str, Any]:
    """For accounts alone."""
    return {}


@router.get("/staff", auth=needs(staff=True))
def staff(request: HttpRequest) -> dict[str, Any]:
    """For staff alone."""
    return {}


@router.get("/raises/{kind}")
def raises(request: HttpRequest, kind: str) -> None:
    """Break."""
    kinds: dict[str, Exception] = {
        "bug": RuntimeError("secret detail"),
        "database": OperationalError("secret detail"),
        "permission": PermissionDenied(),
    }
    raise kinds[kind]


api.add_router("", router)
urlpatterns = [path("api/v1/", api.urls)]
