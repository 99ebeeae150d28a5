"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """Events: what happened, for the page that watches and the one that comes back."""

    name = "cutline.server.events"
    label = "events"
    default_auto_field = "django.db.models.BigAutoField"
