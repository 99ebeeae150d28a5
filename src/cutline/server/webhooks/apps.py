"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """Webhooks: signed calls to other people's servers."""

    name = "cutline.server.webhooks"
    label = "webhooks"
    default_auto_field = "django.db.models.BigAutoField"
