"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """The command `canary`; no tables."""

    name = "cutline.server.canary"
    label = "canary"
