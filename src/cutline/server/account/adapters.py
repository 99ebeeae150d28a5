"""Where allauth asks us: addresses, mails, names, and how its secrets are kept."""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from allauth.account import app_settings as account_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.headless.adapter import DefaultHeadlessAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseRedirect

from cutline.server.account import keys
from cutline.server.people.models import User
from cutline.server.people.viewers import address_of, owner_of, public_url
from cutline.server.rates import network_of

if TYPE_CHECKING:
    from allauth.socialaccount.models import SocialLogin


log = logging.getLogger(__name__)

SIGNED_IN_AT = "signed_in_at"  # in the session, in seconds since the epoch


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """E-mail addresses are kept in lower case; the client's address is the one that rate limits use, too."""

    def clean_email(self, email: str) -> str:
        """One spelling of each address. Raises ValidationError for one that is too long to be kept."""
        cleaned = str(super().clean_email(email)).lower()
        if len(cleaned) > (User._meta.get_field("email").max_length or 0):
            raise ValidationError("Enter a valid email address.", code="invalid")
        return cleaned

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a mail that names the service by its public address."""
        site = {"name": "Cutline", "domain": public_url(self.request)}
        super().send_mail(template_prefix, email, {"current_site": site, **context})

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """Tell somebody of a change of their account, and how many keys and webhooks it has."""
        owner = owner_of(user)
        counts = {
            "key_count": keys.working(owner).count(),
            "webhook_count": owner.webhooks.filter(is_active=True).count(),
        }
        super().send_notification_mail(template_prefix, user, counts | (context or {}), email)

    def send_account_already_exists_mail(self, email: str) -> None:
        """Tell whoever has the account; takes as long as making one, or the time would tell the asker too."""
        make_password(email)
        super().send_account_already_exists_mail(email)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """What wrong passwords are counted by: the account and the network they come from.

        By the account alone, anybody who knows an address could lock its owner out.
        """
        key: str = super()._get_login_attempts_cache_key(request, **credentials)
        return f"{key}:{network_of(self.get_client_ip(request))}"

    def is_reauthentication_required(self, *, app: str) -> bool:
        """Whether a change of what opens the account wants another proof: not minutes after signing in."""
        signed_in_at = float(self.request.session.get(SIGNED_IN_AT, 0))
        return bool(time.time() - signed_in_at > account_settings.REAUTHENTICATION_TIMEOUT)

    def get_client_ip(self, request: HttpRequest) -> str:
        """The client's address, as everything else in the service sees it."""
        return address_of(request.META) or "0.0.0.0"


class HeadlessAdapter(DefaultHeadlessAdapter):  # type: ignore[misc]  # allauth has no types
    """Links lead to our public address, and stay readable.

    A path may hold colons, so programs that cut the key out of a mail get it right.
    """

    def get_frontend_url(self, urlname: str, **kwargs: str) -> str | None:
        """The address of a page of the web app."""
        url: str | None = super().get_frontend_url(urlname, **kwargs)
        path = url and urlsplit(url).path.replace("%3A", ":")
        return path and f"{public_url(self.request)}{path}"


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Takes the name that a provider tells; leads back to the web app whatever goes wrong there."""

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """Log what went wrong, and go to the web app where allauth does not know that it came from there."""
        log.warning("signing in by %s failed: %s", provider, error, exc_info=exception)
        context = extra_context or {}
        if not (context.get("state") or context.get("state_id")):
            raise ImmediateHttpResponse(HttpResponseRedirect(failed_url(str(error or "unknown"))))

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
        """Encrypt a secret before it goes into the database."""
        return _fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Decrypt it. Raises cryptography's InvalidToken after a change of the secret key."""
        return _fernet().decrypt(encrypted_text.encode()).decode()

    def _get_site_name(self) -> str:
        return "Cutline"


def failed_url(error: str) -> str:
    """The page of the web app that tells why signing in by a provider failed."""
    url = django_settings.HEADLESS_FRONTEND_URLS["socialaccount_login_error"]
    return f"{url}?{urlencode({'error': error, 'error_process': 'login'})}"


def _fernet() -> Fernet:
    key = hashlib.sha256(b"cutline.mfa:" + django_settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))
