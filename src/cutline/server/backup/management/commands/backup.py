"""`cutline manage backup [PLACE]`: the database and the files of one moment, as one archive."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from cutline.errors import CutlineError
from cutline.server import security_log
from cutline.server.backup.services import back_up, total_bytes
from cutline.server.config import settings
from cutline.server.security_log import Event
from cutline.terminal import bar_size


class Command(BaseCommand):
    """Write a backup, read it back, and keep it if it is whole. The service may run meanwhile."""

    help = "Back up the database and the files of one moment, encrypted where CUTLINE_BACKUP_KEY is set."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the place."""
        parser.add_argument(
            "place",
            nargs="?",
            default=settings().backup_url,
            help="A folder, or s3://BUCKET/PREFIX?endpoint=URL; CUTLINE_BACKUP_URL where it is left out.",
        )

    def handle(self, *args: Any, place: str, **options: Any) -> None:
        """Back up, and print what was written."""
        if not place:
            raise CommandError("Say where the backup shall lie, or set CUTLINE_BACKUP_URL.")
        try:
            with tqdm(total=total_bytes(), unit="B", unit_scale=True, disable=None, **bar_size()) as bar:
                made = back_up(place, progress=bar.update)
        except CutlineError as error:
            raise CommandError(str(error)) from error
        security_log.write(Event.DATA_EXPORTED, what="backup", number=made.about.files)
        rows = sum(made.about.rows.values())
        how = "encrypted" if made.encrypted else "not encrypted: CUTLINE_BACKUP_KEY is not set"
        self.stdout.write(f"wrote and checked {made.name}: {rows} rows, {made.about.files} files ({how})")
        for key in made.about.missing:
            self.stderr.write(f"missing in the store, and so in the backup: {key}")
