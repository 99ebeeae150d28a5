"""Where allauth asks us: addresses, mails, names, and how its secrets are kept."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.headless.adapter import DefaultHeadlessAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.http import HttpRequest

from cutline.server.people.models import User
from cutline.server.people.viewers import address_of

if TYPE_CHECKING:
    from allauth.socialaccount.models import SocialLogin


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """E-mail addresses are kept in lower case; the client's address is the one that rate limits use, too."""

    def clean_email(self, email: str) -> str:
        """One spelling of each address."""
        return str(super().clean_email(email)).lower()

    def get_client_ip(self, request: HttpRequest) -> str:
        """The client's address, as everything else in the service sees it."""
        return address_of(request.META) or "0.0.0.0"


class HeadlessAdapter(DefaultHeadlessAdapter):  # type: ignore[misc]  # allauth has no types
    """Links in mails stay readable: a path may hold colons, so programs that cut out the key get it right."""

    def get_frontend_url(self, urlname: str, **kwargs: str) -> str | None:
        """The address of a page of the web app."""
        url: str | None = super().get_frontend_url(urlname, **kwargs)
        return url and url.replace("%3A", ":")


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Takes the name that a provider tells."""

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        """Fill in a new user from what the provider says of them."""
        user: User = super().populate_user(request, sociallogin, data)
        parts = (data.get("first_name"), data.get("last_name"))
        name = data.get("name") or " ".join(part for part in parts if part)
        user.name = str(name)[: User._meta.get_field("name").max_length]
        user.email = user.email.lower()
        return user


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Keeps the secrets of second factors encrypted: who reads the database alone cannot make codes."""

    def encrypt(self, text: str) -> str:
        """What is written to the database."""
        return _fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """And read from it. Raises cryptography's InvalidToken where the secret key was changed."""
        return _fernet().decrypt(encrypted_text.encode()).decode()

    def _get_site_name(self) -> str:
        return "Cutline"


def _fernet() -> Fernet:
    key = hashlib.sha256(b"cutline.mfa:" + django_settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))
