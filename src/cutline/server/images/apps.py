"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """Images: photos, their renditions and files, tags, moderation."""

    name = "cutline.server.images"
    label = "images"
    default_auto_field = "django.db.models.BigAutoField"
