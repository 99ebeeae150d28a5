"""A mail server that keeps what it receives."""

from __future__ import annotations

import email
import email.policy
import logging
import re
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope, Session

from tests.server.services.process import ANSWERS_S, free_ports, wait_until


class Mailbox:
    """SMTP on 127.0.0.1, in a thread of this process."""

    def __init__(self) -> None:
        logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd tells every line it reads
        self.messages: list[EmailMessage] = []
        self.port = free_ports(1)[0]
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, ready_timeout=ANSWERS_S)

    @property
    def url(self) -> str:
        """For CUTLINE_MAIL_URL."""
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen."""
        self._controller.start()

    def stop(self) -> None:
        """Listen no more."""
        self._controller.stop()

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a message; aiosmtpd calls this."""
        parsed = email.message_from_bytes(cast(bytes, envelope.content), policy=email.policy.default)
        self.messages.append(parsed)
        return "250 kept"

    def to(self, address: str) -> list[EmailMessage]:
        """What has come for somebody so far."""
        return [message for message in self.messages if address in str(message["To"])]

    def wait_for(self, address: str, *, count: int = 1, timeout_s: float = ANSWERS_S) -> EmailMessage:
        """Wait for somebody's count-th message. Raises TimeoutError."""
        wait_until(
            lambda: len(self.to(address)) >= count, timeout_s=timeout_s, what=f"mail {count} to {address}"
        )
        return self.to(address)[count - 1]


def text_of(message: EmailMessage) -> str:
    """A message's plain text."""
    body = message.get_body(("plain", "html"))
    return "" if body is None else str(body.get_content())


def link_in(message: EmailMessage, containing: str = "") -> str:
    """The first link of a message that contains these words. Raises AssertionError where there is none."""
    links: list[str] = [link.rstrip(".,)>") for link in re.findall(r"https?://\S+", text_of(message))]
    for link in links:
        if containing in link:
            return link
    raise AssertionError(f"no link with {containing!r} in {text_of(message)!r}")
