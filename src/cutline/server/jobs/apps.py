"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """Jobs: rows that say what is to be done; the queue is only a hint."""

    name = "cutline.server.jobs"
    label = "jobs"
    default_auto_field = "django.db.models.BigAutoField"
