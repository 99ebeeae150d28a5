"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """The command `export_training_data`; no tables."""

    name = "cutline.server.learning_export"
    label = "learning_export"
