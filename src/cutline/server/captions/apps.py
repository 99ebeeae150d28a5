"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """Captions: what models proposed, where they looked, and every version that was shown."""

    name = "cutline.server.captions"
    label = "captions"
    default_auto_field = "django.db.models.BigAutoField"
