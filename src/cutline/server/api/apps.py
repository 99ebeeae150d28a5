"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """The API: routers, errors, pagination, limits."""

    name = "cutline.server.api"
    label = "api"
    default_auto_field = "django.db.models.BigAutoField"
