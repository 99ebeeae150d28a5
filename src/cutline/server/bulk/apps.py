"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """Bulk: many photos from one archive or list, with progress and a result."""

    name = "cutline.server.bulk"
    label = "bulk"
    default_auto_field = "django.db.models.BigAutoField"
