"""What the service keeps with a request while it is answered, as one typed attribute.

    context_of(request).put(viewer)
    context_of(request).get(Viewer)  # the viewer, or None

Each thing is found by its type, so that every room keeps its own and knows no other's.
"""

from __future__ import annotations

from typing import TypeVar

from django.http import HttpRequest

T = TypeVar("T")

_ATTRIBUTE = "context"


class RequestContext:
    """At most one thing of each type."""

    def __init__(self) -> None:
        self._kept: dict[type, object] = {}

    def get(self, kind: type[T]) -> T | None:
        """What was kept of this type; None where nothing was."""
        found = self._kept.get(kind)
        return found if isinstance(found, kind) else None

    def put(self, thing: object) -> None:
        """Keep a thing, in place of an earlier one of its type."""
        self._kept[type(thing)] = thing

    def copy(self) -> RequestContext:
        """A context of its own that begins with the same things."""
        other = RequestContext()
        other._kept.update(self._kept)
        return other


def context_of(request: HttpRequest) -> RequestContext:
    """The request's context, made when first asked for."""
    found = vars(request).setdefault(_ATTRIBUTE, RequestContext())
    assert isinstance(found, RequestContext)
    return found


def set_context(request: HttpRequest, context: RequestContext) -> None:
    """Give a request another context, as a copied request needs."""
    vars(request)[_ATTRIBUTE] = context
