"""The bench itself: tests run on the database that they name, and servers come back from a crash."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from cutline.server.mail.models import Mail


def _vendor_in_a_thread() -> str:
    found: list[str] = []

    def look() -> None:
        found.append(connection.vendor)
        connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.django_db
def test_a_test_runs_on_sqlite() -> None:
    assert connection.vendor == "sqlite"
    assert not Mail.objects.exists()
    Mail.objects.create()


@pytest.mark.postgresql
@pytest.mark.django_db
def test_a_marked_test_runs_on_postgresql() -> None:
    assert connection.vendor == "postgresql"
    assert not Mail.objects.exists()
    Mail.objects.create()


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_a_test_marked_for_both_finds_each_empty_and_shares_it_with_threads(request) -> None:
    assert connection.vendor == request.node.callspec.params["_database"]
    assert _vendor_in_a_thread() == connection.vendor
    assert not Mail.objects.exists()
    Mail.objects.create()


@pytest.mark.django_db
def test_a_test_after_postgresql_runs_on_sqlite_again() -> None:
    assert connection.vendor == "sqlite"
    assert not Mail.objects.exists()
