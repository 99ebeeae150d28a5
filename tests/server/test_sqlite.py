"""The line before SQLite's lock: whoever came first writes first, and no failure keeps it closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from cutline.server.people.models import Owner
from cutline.server.sqlite.line import Line
from tests.server.services.process import wait_until

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads whose connections are closed at the end."""
    with ThreadPoolExecutor(3) as pool:
        yield pool


def in_line() -> int:
    """How many threads wait to write."""
    return len(connection._line._waiting)  # type: ignore[attr-defined]


def write() -> None:
    try:
        Owner.objects.create()
    finally:
        connection.close()


def test_whoever_waits_writes_before_whoever_comes_back(threads: ThreadPoolExecutor) -> None:
    with transaction.atomic():
        waiting = threads.submit(write)
        wait_until(in_line, what="the other thread")
    with transaction.atomic():
        assert Owner.objects.count() == 1
    waiting.result()


@pytest.mark.parametrize("kind", ["an error", "an error at the commit", "a closed connection"])
def test_a_transaction_that_fails_lets_the_next_one_write(kind: str, threads: ThreadPoolExecutor) -> None:
    def fail() -> None:
        with transaction.atomic():
            if kind == "an error at the commit":
                Owner.objects.create(merged_into_id=uuid4())  # whether it is there is checked at the end
                return
            if kind == "a closed connection":
                connection.close()
            raise IntegrityError

    with pytest.raises(IntegrityError):
        fail()
    threads.submit(write).result()
    assert Owner.objects.count() == 1


def test_a_single_write_that_fails_lets_the_next_one_write(threads: ThreadPoolExecutor) -> None:
    owner = Owner.objects.create()
    with pytest.raises(IntegrityError):
        Owner.objects.bulk_create([owner])
    with pytest.raises(IntegrityError), connection.cursor() as cursor:
        cursor.execute("INSERT INTO people_owner (id) VALUES (%s)", [owner.pk.hex])
    threads.submit(write).result()
    assert Owner.objects.count() == 2


def test_whoever_waits_too_long_is_told(threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.0)
    with transaction.atomic(), pytest.raises(OperationalError, match="locked"):
        threads.submit(write).result()


def test_a_fork_does_not_wait_for_threads_that_it_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction.atomic():
        monkeypatch.setattr("os.getpid", lambda: -1)
        line = connection._line  # type: ignore[attr-defined]
        assert line.enter(0)
        line.leave()
        monkeypatch.undo()


def test_a_line_is_served_in_its_order() -> None:
    line = Line()
    order: list[int] = []

    def stand(number: int) -> None:
        assert line.enter(60)
        order.append(number)
        line.leave()

    def is_as_long(number: int) -> bool:
        return len(line._waiting) > number

    assert line.enter(0)
    people = [threading.Thread(target=stand, args=(number,)) for number in range(4)]
    for number, each in enumerate(people):
        each.start()
        wait_until(partial(is_as_long, number), what="the next in line")
    line.leave()
    for each in people:
        each.join()
    assert order == [0, 1, 2, 3]
    assert line.enter(0)
    assert not line.enter(0)
