"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """Mail: an outbox, sent by the worker."""

    name = "cutline.server.mail"
    label = "mail"
    default_auto_field = "django.db.models.BigAutoField"
