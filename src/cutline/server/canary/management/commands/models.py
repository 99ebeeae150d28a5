"""`cutline manage models`: look at the models and decide about them, as the page and the API do."""

from __future__ import annotations

import getpass
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cutline.errors import CutlineError
from cutline.server.canary import operations
from cutline.server.canary.overview import overview
from cutline.strict import dump


class Command(BaseCommand):
    """Promote, roll back, stop, or change the challenger's shares; each with a reason. Prints JSON."""

    help = "Look at the models in use, promote one, go back, stop the challenger, or change its shares."

    def add_arguments(self, parser: CommandParser) -> None:
        """One command for each act."""
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("show", help="How it stands.")
        promote = acts.add_parser("promote", help="Let a version caption.")
        promote.add_argument("version", help="Its id, the beginning of one, or challenger.")
        promote.add_argument("--to", choices=("champion", "challenger"), default="champion")
        roll_back = acts.add_parser("rollback", help="Go back to the champion before.")
        stop = acts.add_parser("stop", help="End the challenger.")
        share = acts.add_parser("share", help="Change how much the challenger gets, in percent.")
        share.add_argument("--canary", type=float)
        share.add_argument("--shadow", type=float)
        for each in (promote, roll_back, stop, share):
            each.add_argument("--why", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and print what became of it."""
        try:
            self.stdout.write(json.dumps(_done(options), indent=2, default=str))
        except CutlineError as error:
            raise CommandError(str(error)) from error


def _done(options: dict[str, Any]) -> dict[str, Any]:
    by = f"command:{getpass.getuser()}"
    match options["act"]:
        case "promote":
            found: object = operations.promote(
                options["version"], to=options["to"], by=by, why=options["why"]
            )
        case "rollback":
            found = operations.roll_back(by=by, why=options["why"])
        case "stop":
            found = operations.stop(by=by, why=options["why"])
        case "share":
            found = operations.set_shares(
                canary_percent=options["canary"], shadow_percent=options["shadow"], by=by, why=options["why"]
            )
        case _:
            found = overview()
    told: dict[str, Any] = dump(found, keep_none=True)
    return told
