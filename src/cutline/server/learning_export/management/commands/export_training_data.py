"""`cutline manage export_training_data FOLDER`: what people taught us, as a data set."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cutline.errors import CutlineError
from cutline.server import security_log
from cutline.server.learning_export.dataset import export
from cutline.server.security_log import Event


class Command(BaseCommand):
    """Write captions that people wrote, picked or rated up, with their images, where the owner consented."""

    help = "Write a data set for `cutline train`: captions.jsonl, feedback.jsonl, styles.jsonl and images/."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the folder argument."""
        parser.add_argument("folder", type=Path, help="A folder that is not there yet.")

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        """Export, and print what was written."""
        try:
            exported = export(folder)
        except CutlineError as error:
            raise CommandError(str(error)) from error
        security_log.write(Event.DATA_EXPORTED, what="training data", number=exported.images)
        self.stdout.write(
            f"wrote {exported.images} images with {exported.captions} captions and {exported.events} events"
            f" to {folder}"
        )
        if exported.styles:
            self.stdout.write(f"wrote {exported.styles} events of captions in a voice")
        if exported.skipped:
            self.stdout.write(f"left out {exported.skipped} images whose files are gone")
