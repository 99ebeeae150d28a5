"""Where people can sign in besides here: Google, GitHub, and any OpenID Connect provider of the settings."""

from __future__ import annotations

from typing import Any

from cutline.server.config import ServerSettings


def provider_names(settings: ServerSettings) -> dict[str, str]:
    """The providers that are set up: id -> name."""
    names = {}
    if settings.google_client_id:
        names["google"] = "Google"
    if settings.github_client_id:
        names["github"] = "GitHub"
    return names | {provider.id: provider.name for provider in settings.openid_providers}


def social_providers(settings: ServerSettings) -> dict[str, Any]:
    """What allauth wants to be told, as SOCIALACCOUNT_PROVIDERS."""
    providers: dict[str, Any] = {}
    if settings.google_client_id:
        providers["google"] = {
            "APPS": [_app(settings.google_client_id, settings.google_secret.get_secret_value())],
            "SCOPE": ["openid", "profile", "email"],
            "OAUTH_PKCE_ENABLED": True,
            # Both verify addresses themselves, so one that is verified there signs in to the account here.
            "EMAIL_AUTHENTICATION": True,
        }
    if settings.github_client_id:
        providers["github"] = {
            "APPS": [_app(settings.github_client_id, settings.github_secret.get_secret_value())],
            "SCOPE": ["user:email"],
            "OAUTH_PKCE_ENABLED": True,
            "EMAIL_AUTHENTICATION": True,
        }
    if settings.openid_providers:
        providers["openid_connect"] = {
            "OAUTH_PKCE_ENABLED": True,
            "APPS": [
                {
                    **_app(provider.client_id, provider.secret.get_secret_value()),
                    "provider_id": provider.id,
                    "name": provider.name,
                    "settings": {"server_url": provider.server_url, "oauth_pkce_enabled": True},
                }
                for provider in settings.openid_providers
            ],
        }
    return providers


def _app(client_id: str, secret: str) -> dict[str, str]:
    return {"client_id": client_id, "secret": secret, "key": ""}
