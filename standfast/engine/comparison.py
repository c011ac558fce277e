"""What was predicted and what was performed, held against each other after every apply."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from standfast.engine.connector import ConnectionLost, LockLost
from standfast.engine.plan import HostPlan, PlannedOperation
from standfast.errors import StandfastError
from standfast.operations.change import Change

NOT_MADE = "this apply said that it does this, and it is not so"
UNDONE = "it was as declared before this apply, which did not say that it touches it"


class NotConverged(StandfastError):
    """All commands succeeded, and the server still differs from its declaration."""


class NotCompared(StandfastError):
    """All commands succeeded; whether the server is as declared could not be seen."""


def compare(before: HostPlan, after: HostPlan, own: Collection[str], environment: str) -> Exception | None:
    """
    Why a server is not what the plan had promised; ``None`` when it is.

    A plan of which everything was done must leave an empty one.

    + before: the plan that was performed
    + after: the plan made right afterwards
    + own: subjects whose deploys are the user's
    + environment: the inventory's name, for the remedy
    """
    if isinstance(after.error, StandfastError):
        kind = type(after.error) if isinstance(after.error, (ConnectionLost, LockLost)) else NotCompared
        return kind(
            f"{after.name}: all {len(before.changes)} changes were made. Whether they hold is not known, "
            f"because the server could not be compared again: {after.error}\n"
            f"  Repair the cause, then run `standfast plan {environment}`."
        )
    if after.error is not None or not after.operations:
        return after.error
    left = "\n".join(line for each in after.operations for line in _lines(before, each))
    theirs = sorted({each.subject for each in after.operations} & {*own})
    return NotConverged(
        f"{after.name}: everything was done, and yet a second plan is not empty:\n{left}\n"
        "  The plan was not the truth. Does somebody else change this server at the same time? "
        f"{_whose(theirs)} Please report it with this message and with what "
        f"`standfast plan {environment} --json` and `standfast audit {environment} --json --since 1h` print."
    )


def _lines(before: HostPlan, left: PlannedOperation) -> list[str]:
    promised = {(subject, change.target) for subject, change in before.changes}
    return [
        f"    {left.subject}: {left.name}: {_shown(change)}\n"
        f"      {NOT_MADE if (left.subject, change.target) in promised else UNDONE}"
        for change in left.changes
    ]


def _shown(change: Change) -> str:
    return f"{change.action} {change.target} {change.detail}".rstrip()


def _whose(theirs: list[str]) -> str:
    if not theirs:
        return "If not, this is a bug in standfast."
    files = ", ".join(str(Path("deploys", f"{subject}.py")) for subject in theirs)
    return (
        f"If not, look at your own {files}: an operation there may do more or less than it says. "
        "If the operation is ours, this is a bug in standfast."
    )
