"""What somebody's role is worth: staff must have a second factor, where the settings say so."""

from __future__ import annotations

from cutline.server.config import settings
from cutline.server.people.models import Role, User


def role_of(user: User) -> Role:
    """The role that a user may act in now."""
    role = Role(user.role)
    if role == Role.USER or not settings().staff_needs_second_factor or has_second_factor(user):
        return role
    return Role.USER


def has_second_factor(user: User) -> bool:
    """Whether signing in asks more than a password; recovery codes alone are none."""
    from allauth.mfa.models import Authenticator  # its models need ours

    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    return bool(Authenticator.objects.filter(user=user, type__in=kinds).exists())
