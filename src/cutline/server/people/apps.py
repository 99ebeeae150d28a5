"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """People: users, owners (with or without an account), API keys, roles."""

    name = "cutline.server.people"
    label = "people"
    default_auto_field = "django.db.models.BigAutoField"
