"""Somebody with a browser, who signs up and in through the accounts' API. Mails are read from the outbox."""

from __future__ import annotations

import json
import re
from typing import Any

from django.test import Client

from cutline.server.mail.models import Mail
from cutline.server.people.models import Owner, User

PASSWORD = "correct horse battery staple"


def mails_to(address: str) -> list[Mail]:
    """What waits in the outbox for somebody, oldest first."""
    return list(Mail.objects.filter(recipient=address).order_by("created_at"))


def link_in(mail: Mail, containing: str) -> str:
    """The link of a mail that contains these words."""
    (link,) = [link for link in re.findall(r"https?://\S+", mail.text) if containing in link]
    return link


class Person:
    """A browser: cookies, CSRF tokens and all."""

    def __init__(self, email: str = "ada@example.org") -> None:
        self.email = email
        self.browser = Client(enforce_csrf_checks=True)

    def account(self, method: str, path: str, **body: Any) -> Any:
        """Call the accounts' API as the web app does; gives the answer."""
        if "csrftoken" not in self.browser.cookies:
            self.browser.get("/_allauth/browser/v1/config")
        token = self.browser.cookies["csrftoken"].value
        return self.browser.generic(
            method,
            f"/_allauth/browser/v1/{path}",
            data=json.dumps(body),
            content_type="application/json",
            headers={"X-CSRFToken": token},
        )

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Call our API; gives the answer."""
        data = json.dumps(body) if body is not None else ""
        return self.browser.generic(
            method, f"/api/v1{path}", data=data, content_type="application/json", headers=headers
        )

    def sign_up(self) -> User:
        """Make an account and follow the link of the mail: signed in, then."""
        answer = self.account("POST", "auth/signup", email=self.email, password=PASSWORD)
        assert answer.status_code == 401, answer.content
        key = link_in(mails_to(self.email)[-1], "/account/verify-email/").rpartition("/")[2]
        answer = self.account("POST", "auth/email/verify", key=key)
        assert answer.status_code == 200, answer.content
        return self.user

    def log_in(self, password: str = PASSWORD) -> Any:
        """Sign in by password; gives the answer."""
        return self.account("POST", "auth/login", email=self.email, password=password)

    def log_out(self) -> None:
        """Sign out."""
        assert self.account("DELETE", "auth/session").status_code == 401

    @property
    def user(self) -> User:
        """The account of the address."""
        return User.objects.get(email=self.email)

    @property
    def owner_id(self) -> str | None:
        """Whom the service takes this browser for."""
        owner: str | None = self.api("GET", "/session").json()["viewer"]["owner"]
        return owner

    @property
    def owner(self) -> Owner:
        """Its owner."""
        return Owner.objects.get(pk=self.owner_id)

    def write_something(self) -> Owner:
        """Make the first write of an anonymous session; gives its owner."""
        assert self.api("PATCH", "/me", {"may_train": False}).status_code == 200
        return self.owner
