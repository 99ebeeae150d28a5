"""Signing in to the admin: as strict as signing in to the site, second factor and rate limits included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.models import Authenticator
from django import forms
from django.core.exceptions import ValidationError

from cutline.server.config import settings
from cutline.server.people.models import User
from cutline.server.people.roles import has_second_factor

if TYPE_CHECKING:
    from django.contrib.admin.forms import AdminAuthenticationForm as AuthenticationForm
else:
    from unfold.forms import AuthenticationForm
    from unfold.widgets import UnfoldAdminTextInputWidget


class StaffLoginForm(AuthenticationForm):
    """Asks for a code as well where the account has a second factor."""

    code = forms.CharField(required=False, label="Code of your second factor, if you have one")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not TYPE_CHECKING:
            self.fields["code"].widget = UnfoldAdminTextInputWidget(attrs={"autocomplete": "one-time-code"})

    def clean(self) -> dict[str, Any]:
        """Check address and password, then the code. Raises ValidationError."""
        email, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if email and password:
            # allauth counts the failures of an address, whichever form they come from.
            user = get_adapter().authenticate(self.request, email=email.lower(), password=password)
            if not isinstance(user, User):
                raise self.get_invalid_login_error()
            self.confirm_login_allowed(user)
            self._check_second_factor(user)
            self.user_cache = user
        return self.cleaned_data

    def _check_second_factor(self, user: User) -> None:
        kinds = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
        if settings().staff_needs_second_factor and not has_second_factor(user):
            raise ValidationError(
                "Staff need a second factor: sign in on the site, and set one up on your account page.",
                code="no_second_factor",
            )
        if not kinds:
            return
        if kinds <= {Authenticator.Type.WEBAUTHN}:
            raise ValidationError(
                "Sign in with your passkey on the site; then the admin opens.", code="passkey"
            )
        form = AuthenticateForm({"code": self.cleaned_data.get("code", "")}, user=user)
        if not form.is_valid():
            raise ValidationError("The code of your second factor is missing or wrong.", code="code")
