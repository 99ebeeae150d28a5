"""The app's name and label."""

from django.apps import AppConfig


class Config(AppConfig):
    """Feedback: what people made of captions, kept for learning."""

    name = "cutline.server.feedback"
    label = "feedback"
    default_auto_field = "django.db.models.BigAutoField"
