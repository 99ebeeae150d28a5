"""The bench itself: tests run on the database that they name, and servers come back from a crash."""

from __future__ import annotations

import contextlib
import signal
import smtplib
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest
import redis
from django.db import connection

from cutline.server.mail.models import Mail
from tests.server.services.mailbox import Mailbox, link_in
from tests.server.services.objectstore import ObjectStore
from tests.server.services.openid import OpenIdProvider
from tests.server.services.postgresql import PostgreSQL
from tests.server.services.process import ANSWERS_S, accepts, wait_until
from tests.server.services.receiver import Receiver
from tests.server.services.redis import Redis

ROOT = Path(__file__).parents[2]


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


def test_postgresql_keeps_what_was_committed_through_a_crash() -> None:
    with _own_folder() as folder:
        server = PostgreSQL(folder)
        server.start()
        with server.connect() as connection:
            connection.execute("CREATE TABLE things (name text)")
            connection.execute("INSERT INTO things VALUES ('kept')")
        server.kill()
        wait_until(lambda: not accepts(server.port), what="the end of PostgreSQL")  # its children's, too
        server.start()
        with server.connect() as connection:
            assert connection.execute("SELECT name FROM things").fetchall() == [("kept",)]
        server.stop()


def test_redis_forgets_everything_in_a_crash() -> None:
    with _own_folder() as folder:
        server = Redis(folder)
        server.start()
        with contextlib.closing(redis.Redis.from_url(server.url())) as client:
            client.set("name", "kept")
        server.kill()
        server.start()
        with contextlib.closing(redis.Redis.from_url(server.url())) as client:
            assert client.get("name") is None
        server.stop()


def test_the_store_checks_signatures_and_keeps_objects_through_a_crash() -> None:
    with _own_folder() as folder:
        server = ObjectStore(folder)
        server.start()
        server.create("photos")
        server.client.put_object(Bucket="photos", Key="a/b.txt", Body=b"kept")
        assert httpx.get(f"{server.endpoint}/photos/a/b.txt", timeout=ANSWERS_S).status_code == 403
        server.kill()
        server.start()
        assert server.keys("photos") == {"a/b.txt"}
        server.stop()


def test_servers_die_with_the_process_that_started_them(tmp_path: Path) -> None:
    script = f"""
        import os, signal
        from pathlib import Path
        from tests.server.services.redis import Redis
        server = Redis(Path({str(tmp_path)!r}))
        server.start()
        print(server.port, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    wait_until(lambda: not accepts(int(done.stdout)), what="the end of Redis")


def test_the_mailbox_keeps_mails(mailbox: Mailbox) -> None:
    message = EmailMessage()
    message["To"], message["From"], message["Subject"] = "bench@example.org", "x@example.org", "Hi"
    message.set_content("Follow https://example.org/confirm/1.")
    with smtplib.SMTP("127.0.0.1", mailbox.port) as client:
        client.send_message(message)
    found = mailbox.wait_for("bench@example.org")
    assert link_in(found, "confirm") == "https://example.org/confirm/1"


def test_the_receiver_fails_as_often_as_it_is_told(receiver: Receiver) -> None:
    receiver.failures["/bench"] = 1
    with httpx.Client(timeout=ANSWERS_S) as client:
        answers = [client.post(f"{receiver.url}/bench", content=b"x").status_code for _ in range(2)]
    assert answers == [500, 204]
    assert [call.body for call in receiver.wait_for("/bench", count=2)] == [b"x", b"x"]


def test_the_openid_provider_signs_in_a_user_it_was_told_of(openid: OpenIdProvider) -> None:
    openid.add("somebody", email="somebody@example.org")
    found = httpx.get(f"{openid.url}/.well-known/openid-configuration", timeout=ANSWERS_S).json()
    query = {
        "response_type": "code",
        "client_id": openid.client_id,
        "redirect_uri": "http://127.0.0.1/back",
        "scope": "openid email",
        "state": "s",
    }
    authorize = httpx.URL(found["authorization_endpoint"]).copy_merge_params(query)
    back = httpx.URL(openid.consent(str(authorize), "somebody"))
    token = httpx.post(
        found["token_endpoint"],
        data={
            "grant_type": "authorization_code",
            "code": back.params["code"],
            "redirect_uri": query["redirect_uri"],
        },
        auth=(openid.client_id, openid.secret),
        timeout=ANSWERS_S,
    ).json()
    who = httpx.get(
        found["userinfo_endpoint"],
        headers={"Authorization": f"Bearer {token['access_token']}"},
        timeout=ANSWERS_S,
    )
    assert who.json()["email"] == "somebody@example.org"


@contextlib.contextmanager
def _own_folder() -> Iterator[Path]:
    """A folder for a server that the test kills: the session's own are not touched."""
    with tempfile.TemporaryDirectory(prefix="cutline-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)
