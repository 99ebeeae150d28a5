"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """The challenger's shares, which operators change; failures of models; comparisons in the shadow."""

    name = "cutline.server.steering"
    label = "steering"
    default_auto_field = "django.db.models.BigAutoField"
