"""Which copy is meant: the newest good one, the last one before a moment, or one by its id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone, tzinfo

from standfast.host.backup.faults import Fault, WrongConfiguration
from standfast.host.backup.restic import Snapshot

BEFORE_RESTORE = "before-restore"
"""Tag of the copies that a restore takes of what it replaces: never chosen unless named by their id."""
_ID = re.compile(r"[0-9a-f]{4,64}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def doubtful(copy: Snapshot) -> str:
    """Why a copy is taken only when it is named; empty for a good one."""
    if copy.rejected:
        return "it is not whole, or not of one moment, and could not be removed"
    if copy.suspect:
        return "what is in it looked wrong when it was made"
    return "taken before a restore, of what was replaced" if BEFORE_RESTORE in copy.tags else ""


def choose(every: Sequence[Snapshot], kind: str, name: str, at: str | None, zone: tzinfo) -> Snapshot:
    """
    The copy that is meant.

    + every: copies of this server, the oldest first
    + at: an id, or a moment (``2026-11-22``, ``2026-11-22T03:00``, with an offset or in the server's time
      zone): the last copy that is not younger; ``None``: the newest
    + zone: the server's time zone

    Raises:
        WrongConfiguration: `at` is neither; nothing was done.
        Fault: there is no such copy; nothing was done.
    """
    fitting = [copy for copy in every if copy.subject == (kind, name)]
    if at is not None and _ID.fullmatch(at):
        named = [copy for copy in fitting if copy.id.startswith(at)]
        if len(named) == 1:
            return named[0]
        many = len(named) or "no"
        raise Fault(f"--at {at}: {many} copies of {kind} {name} have such an id. {_known(fitting)}")
    good = [copy for copy in fitting if not doubtful(copy)]
    if at is not None:
        limit = moment(at, zone)
        good = [copy for copy in good if copy.time <= limit]
    if not good:
        when = f" of {at} or before" if at else ""
        raise Fault(f"there is no good copy of {kind} {name}{when}. {_known(fitting)} Nothing was done.")
    return good[-1]


def understood(at: str) -> None:
    """
    Whether `at` is an id or a moment at all.

    Raises:
        WrongConfiguration: it is neither.
    """
    if not _ID.fullmatch(at):
        moment(at, timezone.utc)


def moment(text: str, zone: tzinfo) -> datetime:
    """
    A moment as people write it; a day means its end.

    Raises:
        WrongConfiguration: it is none.
    """
    try:
        found = datetime.fromisoformat(re.sub(r"Z$", "+00:00", text.strip()))
    except ValueError:
        raise WrongConfiguration(
            f"--at: expected the id of a copy, or a moment such as 2026-11-22T03:00, not {text!r}. "
            "Nothing was done."
        ) from None
    if _DAY.fullmatch(text.strip()):
        found += timedelta(days=1, microseconds=-1)
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _known(fitting: Sequence[Snapshot]) -> str:
    if not fitting:
        return "There is no copy at all."
    shown = ", ".join(f"{copy.id[:8]} of {copy.time:%Y-%m-%d %H:%M %z}" for copy in fitting[-3:])
    return f"The newest ones are: {shown}."
