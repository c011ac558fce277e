"""No change without a copy first: what apply does before it changes a server."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
from typing import Any

from standfast.engine.before_changes import PRECIOUS, Upcoming
from standfast.recovery.host_program import HostProgramFailed, NotThere, follow

OLDER = "no command 'snapshots'"
"""What a program says that knows no snapshots yet: this apply brings the one that does."""
NOT_YET = "there is none. Declare `snapshots`"
"""What the program says before this apply has brought its configuration."""


def safety_copy(upcoming: Upcoming) -> str | None:
    """
    Copy every database of a precious server, then take a snapshot where they are declared; in words.

    ``None`` where neither is declared yet, and on a blank server.

    Raises:
        HostProgramFailed: a database could not be copied, or no snapshot be taken; nothing was changed.
    """
    said = [*_databases(upcoming), *_snapshot(upcoming)]
    return "; ".join(said) or None


def _databases(upcoming: Upcoming) -> list[str]:
    declaration = upcoming.declaration
    if declaration.environment not in PRECIOUS or declaration.host.backups is None:
        return []
    document = _asked(upcoming, ["safety-copy", "--json"])
    if document is None:
        return []
    copied = [
        f"copy {each['snapshot'][:8]} of {each['name']}, {each['rows']:,} rows" for each in document["copied"]
    ]
    return [*copied, *document["skipped"]]


def _snapshot(upcoming: Upcoming) -> list[str]:
    """Last, so that it is of the moment right before the first change."""
    wanted = upcoming.declaration.host.snapshots
    if wanted is None or not wanted.before_apply:
        return []
    upcoming.report("taking a snapshot of the volumes")
    document = _asked(upcoming, ["snapshots", "take", "--before-apply", "--json"], unless=(OLDER, NOT_YET))
    if document is None:
        return []
    one = document["snapshot"]
    if one is None:
        return ["no snapshot was taken, because Docker knows none of the volumes"]
    said = [f"snapshot {one['id']} of {', '.join(one['volumes'])}"]
    said += [f"volume {name} is in no snapshot: {why}" for name, why in document["uncovered"].items()]
    return [*said, *([document["problem"]] if document["problem"] else [])]


def _asked(
    upcoming: Upcoming, arguments: list[str], *, unless: tuple[str, ...] = ()
) -> dict[str, Any] | None:
    """
    What the program has done; ``None`` when it is not there, or says one of `unless`.

    Raises:
        HostProgramFailed: it has failed.
    """
    try:
        answer = follow(upcoming.ssh, arguments, upcoming.report)
    except NotThere:
        return None
    document = answer.document()
    if document is not None and "snapshot" in document:
        return document  # taken, whatever retention has said afterwards
    if answer.code == 0 and document is not None and "error" not in document:
        return document
    error = document.get("error") if document else None
    reason = str(error or "\n".join(answer.errors[-5:]) or f"exit code {answer.code}")
    if any(each in reason for each in unless):
        return None
    raise HostProgramFailed(
        f"{reason}\n    If it cannot be copied, and these changes are the repair: --without-copy."
    )
