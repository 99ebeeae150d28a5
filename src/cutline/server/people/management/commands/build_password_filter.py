"""`cutline manage build_password_filter`: what sign-up refuses, of lists of leaked passwords."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cutline.server.people.breached import BloomFilter, plain

LONG = 10  # characters that a password needs here; shorter ones are only words that people lengthen
BITS_EACH = 20  # about 1 in 10,000 passwords that are in no list is refused


class Command(BaseCommand):
    """Build a Bloom filter of lists, one password a line, the most frequent first.

    All that are long enough to be used here are taken, and of the others as many as fit.
    """

    help = "Build a filter of leaked passwords from lists (one a line, the most frequent first)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What the command takes."""
        parser.add_argument("lists", nargs="+", type=Path, metavar="LIST")
        parser.add_argument("--output", type=Path, required=True, help="The file to write.")
        parser.add_argument("--mebibytes", type=float, default=1.0, help="Its size (default: 1).")

    def handle(self, *, lists: list[Path], output: Path, mebibytes: float, **options: Any) -> None:
        """Read the lists and write the filter. Raises CommandError."""
        size_bytes = int(mebibytes * 2**20)
        most = 8 * size_bytes // BITS_EACH
        found: dict[str, None] = {}
        try:
            for path in lists:
                lines = path.read_bytes().decode("utf-8", "replace").split("\n")
                found |= dict.fromkeys(map(plain, lines))
        except OSError as error:
            raise CommandError(f"{error.filename} cannot be read: {error.strerror}") from error
        long = [text for text in found if len(text) >= LONG]
        if len(long) > most:
            raise CommandError(
                f"{len(long):,} passwords need --mebibytes {len(long) * BITS_EACH / 2**23:.1f}."
            )
        short = [text for text in found if 4 <= len(text) < LONG]
        texts = [*long, *short[: most - len(long)]]
        if not texts:
            raise CommandError("There are no passwords in these lists.")
        BloomFilter.of(texts, size_bytes=size_bytes).write(output)
        self.stdout.write(
            f"{output}: {len(texts):,} passwords, {len(long):,} of them of {LONG} characters or more"
        )
