"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """Voices that people keep: those that they named, and the one that they used last."""

    name = "cutline.server.voices"
    label = "voices"
    default_auto_field = "django.db.models.BigAutoField"
