"""`cutline manage restore BACKUP`: check a backup, then put the database and the files back."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from cutline.errors import CutlineError
from cutline.server.backup import contents, restoring
from cutline.terminal import bar_size


class Command(BaseCommand):
    """Restore a backup. Stop the service before: nothing else may write meanwhile."""

    help = "Check a backup, then restore it into an empty database and an empty store."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the backup, and what may be done with it."""
        parser.add_argument("backup", help="Its file, or s3://BUCKET/KEY?endpoint=URL.")
        parser.add_argument("--check", action="store_true", help="Read and check it all, and change nothing.")
        parser.add_argument(
            "--replace", action="store_true", help="Let what is in the database and the store now go."
        )

    def handle(self, *args: Any, backup: str, check: bool, replace: bool, **options: Any) -> None:
        """Restore, and print what there is now."""
        try:
            with tqdm(unit="B", unit_scale=True, disable=None, **bar_size()) as bar:
                if check:
                    about = contents.check(backup, progress=bar.update)
                else:
                    about = restoring.restore(backup, replace=replace, progress=bar.update)
        except CutlineError as error:
            raise CommandError(str(error)) from error
        what = f"{sum(about.rows.values())} rows and {about.files - len(about.deleted)} files"
        self.stdout.write(f"{'checked' if check else 'restored'} {what} of {about.made_at}")
        if not contents.has_same_secret_key(about):
            self.stderr.write(
                "CUTLINE_SECRET_KEY is another one than when the backup was made: sessions, links and second"
                " factors of that time do not work."
            )
