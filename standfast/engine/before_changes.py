"""
The safety copy's place in a run: after the question, before the first change on each server.

The engine knows when, and what a failure means; what is copied, and how, is not its subject.
"""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
from collections.abc import Callable
from dataclasses import dataclass

from standfast.declaration import Declaration
from standfast.engine.caller import Caller
from standfast.engine.connector import ConnectionLost, LockLost, StandfastConnector
from standfast.engine.plan import HostPlan
from standfast.errors import Refused, StandfastError
from standfast.inventory.schema import Environment

PRECIOUS = (Environment.production, Environment.staging)
"""Environments of which a copy is taken; the others are there to be broken, unless they declare snapshots."""


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A server whose changes are about to begin: this run holds it, and nothing has been changed there."""

    declaration: Declaration
    ssh: StandfastConnector
    """Its connection; `exchange` runs a command without keeping the other servers waiting."""
    plan: HostPlan
    """What is going to be changed there, at least one thing."""
    by: Caller
    report: Callable[[str], None]
    """Progress, in a few words: for whoever waits, and for those who come second on this server."""


BeforeChanges = Callable[[Upcoming], "str | None"]
"""
Makes what must be there before a server is changed, and returns its name in words, for the records and for
people (``copy 4f1c09ab of toybox, 1204311 rows``); ``None`` when the server has nothing to copy.

It runs once for each server, in parallel for those that are changed together. It raises a `StandfastError`
when the copy could not be made or verified: then nothing is changed on that server, exit code 6.
"""


def before_changes(hook: BeforeChanges | None, upcoming: Upcoming) -> str | None:
    """
    Call the hook when this server is one of those that it is for.

    Raises:
        Refused: the hook failed; nothing was changed on this server.
        ConnectionLost, LockLost: the server is gone, or not held any more; nothing was changed there.
    """
    if hook is None or not _wanted(upcoming.declaration):
        return None
    name = upcoming.declaration.name
    try:
        return hook(upcoming)
    except (ConnectionLost, LockLost) as error:
        kind = type(error)
        raise kind(f"{error} It happened during the safety copy. Nothing was changed there.") from error
    except StandfastError as error:
        raise Refused(
            f"{name}: the safety copy before the changes failed, so nothing was changed there:\n    {error}"
        ) from error


def _wanted(declaration: Declaration) -> bool:
    snapshots = declaration.host.snapshots
    return declaration.environment in PRECIOUS or (snapshots is not None and snapshots.before_apply)
