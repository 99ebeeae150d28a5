"""What operators decide about models: promote, go back, stop, and how much the challenger gets.

One layer for the page, the API and the command. Each act says who and why; the registry keeps moves with
both in its history, the database the shares. The security log has a line on each, and the admin's log of what
staff did.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

from django.contrib.admin.models import CHANGE, LogEntry

from cutline.errors import AliasMoved
from cutline.registry import CHALLENGER, Move
from cutline.registry.registry import gates_not_passed
from cutline.server import security_log
from cutline.server.canary import past
from cutline.server.canary.actors import account_of
from cutline.server.canary.source import NOTHING_CHANGED, followed
from cutline.server.errors import Conflict, Invalid
from cutline.server.security_log import Event
from cutline.server.steering import shares
from cutline.texts import is_readable

LONGEST_REASON = 1000


def promote(
    version: str,
    *,
    to: Literal["champion", "challenger"] = "champion",
    by: str,
    why: str,
    expected: str | None = None,
) -> Move:
    """Let a version caption for everybody (champion), or for the challenger's share.

    ``expected`` is the id that the alias must stand for until now ("" for nothing). Only what has passed its
    gates is promoted. Raises Conflict, Invalid without a reason, RegistryError.
    """
    why = _checked(why)
    source = followed()
    alias = CHALLENGER if to == "challenger" else source.alias
    found = source.registry.find(version)
    if not found.has_passed:  # whatever the alias is called that the service follows
        raise gates_not_passed(found, to)
    move = source.registry.promote(found.id, to=alias, by=by, why=why, expected=expected)
    _log(Event.MODEL_PROMOTED, move)
    if to == "champion" and source.registry.alias(CHALLENGER).version == move.version:
        with suppress(AliasMoved):  # another challenger came meanwhile
            source.registry.clear(CHALLENGER, by=by, why=f"It was promoted. {why}", expected=move.version)
    return move


def roll_back(*, by: str, why: str, expected: str | None = None) -> Move:
    """Go back to the champion before this one; again, and it goes back further. Raises as promote."""
    why = _checked(why)
    source = followed()
    move = source.registry.rollback(source.alias, by=by, why=why, expected=expected)
    _log(Event.MODEL_ROLLED_BACK, move)
    return move


def stop(*, by: str, why: str, expected: str | None = None) -> Move:
    """End the challenger: nobody gets its captions any more. Raises as promote."""
    why = _checked(why)
    registry = followed().registry
    if not registry.alias(CHALLENGER).version:
        raise Conflict("There is no challenger to stop.", kept=NOTHING_CHANGED)
    move = registry.clear(CHALLENGER, by=by, why=why, expected=expected)
    _log(Event.MODEL_STOPPED, move)
    return move


def set_shares(
    *, canary_percent: float | None, shadow_percent: float | None, by: str, why: str
) -> shares.Shares:
    """Change how much the challenger gets, from the next job on. Raises Invalid."""
    changed = shares.change(
        canary_percent=canary_percent, shadow_percent=shadow_percent, by=by, why=_checked(why)
    )
    figures = f"canary {changed.canary_percent:g}%, shadow {changed.shadow_percent:g}%"
    _log_of_staff(by, "shares", f"{figures}: {changed.why}")
    security_log.write(
        Event.MODEL_SHARES_CHANGED,
        canary_percent=changed.canary_percent,
        shadow_percent=changed.shadow_percent,
        by=by,
    )
    return changed


def _checked(why: str) -> str:
    text = " ".join(why.split())
    if not text or not is_readable(text):
        raise Invalid("This needs a reason.", kept=NOTHING_CHANGED, hint="Say why, in a few plain words.")
    if len(text) > LONGEST_REASON:
        raise Invalid(f"A reason has up to {LONGEST_REASON:,} characters.", kept=NOTHING_CHANGED)
    return text


def _log(event: Event, move: Move) -> None:
    past.forget()
    _log_of_staff(move.by, move.version[:12], f"{event} as {move.alias}: {move.why}")
    security_log.write(event, alias=move.alias, version=move.version, before=move.previous, by=move.by)


def _log_of_staff(by: str, what: str, message: str) -> None:
    """Write it down where all that staff does stands; commands and the service itself are no staff."""
    if (user_id := account_of(by)) is not None:
        LogEntry.objects.create(
            user_id=user_id,
            object_id=what,
            object_repr=f"model {what}",
            action_flag=CHANGE,
            change_message=message,
        )
