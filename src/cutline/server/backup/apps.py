"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """The commands `backup` and `restore`; no tables."""

    name = "cutline.server.backup"
    label = "backup"
