"""Pages by cursor: nothing twice, nothing skipped, one query each, whatever happens between."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import signing
from django.db.models import QuerySet
from django.utils import timezone

from cutline.server.api.paging import page
from cutline.server.errors import Invalid
from cutline.server.jobs.models import Job
from cutline.server.people.models import Owner

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Owner:
    return Owner.objects.create()


@pytest.fixture
def jobs(owner: Owner) -> list[Job]:
    """Ten, of which each three have the same time."""
    now = timezone.now()
    return Job.objects.bulk_create(
        Job(owner=owner, created_at=now - timedelta(seconds=number // 3)) for number in range(10)
    )


def _all(rows: QuerySet[Job], limit: int, order: tuple[str, ...]) -> list[Job]:
    found: list[Job] = []
    cursor: str | None = ""
    while cursor is not None:
        part = page(rows, cursor=cursor, limit=limit, order=order)
        assert len(part.rows) <= limit
        found += part.rows
        cursor = part.next
    return found


@pytest.mark.both_databases
@pytest.mark.parametrize("order", [("-created_at", "-id"), ("created_at", "id"), ("-created_at", "id")])
@pytest.mark.parametrize("limit", [1, 3, 4, 10, 50])
def test_every_row_comes_once_in_its_order(
    jobs: list[Job], owner: Owner, limit: int, order: tuple[str, ...]
) -> None:
    rows = Job.objects.filter(owner=owner)
    assert [each.pk for each in _all(rows, limit, order)] == list(
        rows.order_by(*order).values_list("pk", flat=True)
    )


def test_what_is_added_or_deleted_between_moves_no_page(jobs: list[Job], owner: Owner) -> None:
    rows = Job.objects.filter(owner=owner)
    order = ("-created_at", "-id")
    wanted = list(rows.order_by(*order).values_list("pk", flat=True))
    first = page(rows, cursor="", limit=4, order=order)
    assert first.next
    Job.objects.create(owner=owner)  # newer than all
    Job.objects.filter(pk=wanted[3]).delete()  # the one that the cursor names
    second = page(rows, cursor=first.next, limit=4, order=order)
    assert [each.pk for each in second.rows] == wanted[4:8]


def test_a_page_is_one_query(jobs: list[Job], owner: Owner, django_assert_num_queries: object) -> None:
    first = page(Job.objects.filter(owner=owner), cursor="", limit=2)
    assert first.next
    with django_assert_num_queries(1):  # type: ignore[operator]
        page(Job.objects.filter(owner=owner), cursor=first.next, limit=2)


def test_the_last_page_says_so(jobs: list[Job], owner: Owner) -> None:
    assert page(Job.objects.filter(owner=owner), cursor="", limit=10).next is None
    assert page(Job.objects.none(), cursor="", limit=10).next is None


@pytest.mark.parametrize("change", ["x", "truncated", "other order", "other signature", "\0"])
def test_a_cursor_that_is_not_ours_is_invalid(jobs: list[Job], owner: Owner, change: str) -> None:
    rows = Job.objects.filter(owner=owner)
    cursor = page(rows, cursor="", limit=2).next or ""
    wrong = {
        "x": "x",
        "truncated": cursor[:-3],
        "other order": page(rows, cursor="", limit=2, order=("created_at", "id")).next or "",
        "other signature": signing.Signer(salt="another").sign_object(["a"]),
        "\0": "\0",
    }[change]
    with pytest.raises(Invalid):
        page(rows, cursor=wrong, limit=2)
