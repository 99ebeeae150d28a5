"""Below /account: the pages that mails and sign-in lead to, as the server itself draws them.

They are the web app's paths. Where the web app is built in, it answers them before this file is asked.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseRedirect
from django.urls import path, reverse


def _to(request: HttpRequest, name: str, **words: str) -> HttpResponseRedirect:
    query = request.META.get("QUERY_STRING", "")
    return HttpResponseRedirect(reverse(name, kwargs=words) + (f"?{query}" if query else ""))


def login(request: HttpRequest) -> HttpResponseRedirect:
    """Redirect to the sign-in page; the admin leads here, too."""
    return _to(request, "account_login")


def signup(request: HttpRequest) -> HttpResponseRedirect:
    """Redirect to the sign-up page."""
    return _to(request, "account_signup")


def verify_email(request: HttpRequest, key: str) -> HttpResponseRedirect:
    """Redirect from the link in a verification mail."""
    return _to(request, "account_confirm_email", key=key)


def forgotten(request: HttpRequest) -> HttpResponseRedirect:
    """Redirect to the page that asks for a password reset link."""
    return _to(request, "account_reset_password")


def reset(request: HttpRequest, key: str) -> HttpResponseRedirect:
    """Redirect from the link in a password reset mail."""
    user, _, key = key.partition("-")
    if not (user.isalnum() and key):
        return forgotten(request)
    return _to(request, "account_reset_password_from_key", uidb36=user, key=key)


urlpatterns = [
    path("login", login),
    path("signup", signup),
    path("verify-email/<str:key>", verify_email),
    path("password/reset", forgotten),
    path("password/reset/<str:key>", reset),
    path("provider/callback", login),
]
