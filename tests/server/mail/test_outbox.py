"""The outbox: a mail is a row with what wants it sent, and leaves from a worker, once."""

from __future__ import annotations

import email
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, send_mail
from django.db import transaction
from django.utils import timezone

from cutline.server.config import ServerSettings
from cutline.server.mail import services
from cutline.server.mail.models import Mail
from cutline.server.mail.transport import transport
from tests.server.services.mailbox import Mailbox

Configure = Callable[..., ServerSettings]
NOBODY = "smtp://127.0.0.1:9"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mails are queued as outside of tests; hints go nowhere: these tests call what a worker would."""
    monkeypatch.setattr(settings, "EMAIL_BACKEND", "cutline.server.mail.backend.OutboxBackend")
    monkeypatch.setattr(services, "enqueue", lambda *arguments, **options: None)


def write(subject: str = "Hello", text: str = "Some words") -> None:
    send_mail(subject, text, "us@example.com", ["a@example.com"])


def make_due() -> None:
    Mail.objects.update(run_after=timezone.now())


def test_a_mail_leaves_and_its_words_are_forgotten(configure: Configure, mailbox: Mailbox) -> None:
    configure(mail_url=mailbox.url, mail_from="Cutline <us@example.com>")
    message = EmailMultiAlternatives("Verify", "plain", "us@example.com", ["verify@example.com"])
    message.attach_alternative("<p>rich</p>", "text/html")
    message.send()
    assert services.send_due() == 1
    received = mailbox.wait_for("verify@example.com")
    assert {part.get_content_type() for part in received.walk()} >= {"text/plain", "text/html"}
    mail = Mail.objects.get()
    assert (mail.state, mail.text, mail.html) == (Mail.State.SENT, "", "")
    assert received["Message-ID"] == f"<{mail.id}@example.com>"


def test_each_recipient_gets_a_mail_of_their_own() -> None:
    send_mail("Hello", "Words", "us@example.com", ["a@example.com", "b@example.com"])
    assert sorted(Mail.objects.values_list("recipient", flat=True)) == ["a@example.com", "b@example.com"]


def test_what_is_rolled_back_sends_no_mail() -> None:
    def fail_after_writing() -> None:
        with transaction.atomic():
            write()
            raise LookupError

    with pytest.raises(LookupError):
        fail_after_writing()
    assert services.send_due() == 0


def test_without_a_mail_server_mails_are_files(configure: Configure, tmp_path: Path) -> None:
    configure(data_dir=tmp_path)
    write("A link", "https://example.com/key")
    services.send_due()
    (file,) = (tmp_path / "mail").iterdir()
    message = email.message_from_bytes(file.read_bytes())
    assert message["Subject"] == "A link"
    assert "https://example.com/key" in file.read_text()


def test_a_server_that_is_away_is_tried_again_later(configure: Configure, mailbox: Mailbox) -> None:
    configure(mail_url=NOBODY, retry_base_s=3600)
    write()
    assert services.send_due() == 1
    mail = Mail.objects.get()
    assert mail.state == Mail.State.WAITING
    assert mail.run_after > timezone.now()
    assert services.send_due() == 0  # not yet
    configure(mail_url=mailbox.url)
    make_due()
    services.send_due()
    assert Mail.objects.get().state == Mail.State.SENT


def test_a_mail_fails_for_good_after_its_tries(configure: Configure) -> None:
    configure(mail_url=NOBODY, max_attempts=2)
    write()
    for _ in range(2):
        services.send_due()
        make_due()
    mail = Mail.objects.get()
    assert (mail.state, mail.text) == (Mail.State.FAILED, "")
    assert mail.error
    assert services.send_due() == 0


@pytest.mark.both_databases
def test_a_mail_is_one_workers_until_its_lease_ends() -> None:
    write()
    first = services.claim()
    assert first is not None
    assert services.claim() is None
    Mail.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    second = services.claim()
    assert second is not None
    assert second.lease_token != first.lease_token


def test_a_worker_that_lost_its_lease_records_nothing(configure: Configure) -> None:
    configure(mail_url=NOBODY)
    write()
    late = services.claim()
    assert late is not None
    Mail.objects.update(state=Mail.State.SENT, lease_token=None)
    services.send(late)
    assert Mail.objects.get().state == Mail.State.SENT


def test_addresses_are_forgotten() -> None:
    write()
    send_mail("Hello", "Words", "us@example.com", ["B@example.com"])
    services.forget("b@example.com")
    assert list(Mail.objects.values_list("recipient", flat=True)) == ["a@example.com"]
    Mail.objects.update(state=Mail.State.SENT, created_at=timezone.now() - services.KEEP)
    services.sweep()
    assert not Mail.objects.exists()


@pytest.mark.parametrize(
    ("url", "port", "tls", "ssl"),
    [
        ("smtp://u%40x:p%3A@mail.example.com", 25, False, False),
        ("smtp://u%40x:p%3A@mail.example.com:587", 587, True, False),
        ("smtp://u%40x:p%3A@mail.example.com:2525?starttls=1", 2525, True, False),
        ("smtps://u%40x:p%3A@mail.example.com", 465, False, True),
    ],
)
def test_the_url_says_how_mails_leave(
    configure: Configure, url: str, port: int, tls: bool, ssl: bool
) -> None:
    configure(mail_url=url)
    _, options = transport()
    assert (options["port"], options["use_tls"], options["use_ssl"]) == (port, tls, ssl)
    assert (options["username"], options["password"]) == ("u@x", "p:")
