"""Django's settings, all of them derived from `config.settings`."""

from __future__ import annotations

from cutline.server.config import development_secret, settings

_settings = settings()

SECRET_KEY = _settings.secret_key.get_secret_value() or development_secret(_settings.data_dir)
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "cutline.server.people.apps.Config",
    "cutline.server.images.apps.Config",
    "cutline.server.jobs.apps.Config",
    "cutline.server.captions.apps.Config",
    "cutline.server.feedback.apps.Config",
    "cutline.server.bulk.apps.Config",
    "cutline.server.events.apps.Config",
    "cutline.server.webhooks.apps.Config",
    "cutline.server.mail.apps.Config",
    "cutline.server.api.apps.Config",
]
AUTH_USER_MODEL = "people.User"
USE_TZ = True
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": _settings.data_dir / "cutline.sqlite3"}
}
