"""The app's name and label."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class Config(AppConfig):
    """Images: photos, their renditions and files, tags, moderation."""

    name = "cutline.server.images"
    label = "images"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Bound the memory of all decoders; keep the search index in place after every migration."""
        from cutline.server import decoding
        from cutline.server.images.search import install

        decoding.install()
        post_migrate.connect(install, sender=self)
