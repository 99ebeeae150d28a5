"""The app's name and label."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class Config(AppConfig):
    """Likeness: where photos lie among others."""

    name = "cutline.server.likeness"
    label = "likeness"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Use pgvector where the database has it, after every migration."""
        from cutline.server.likeness.pgvector import install

        post_migrate.connect(install, sender=self)
