"""No change without a backup first: what apply does before it changes a server of production or staging."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
from standfast.engine.before_changes import Upcoming
from standfast.recovery.host_program import HostProgramFailed, NotThere, follow


def safety_copy(upcoming: Upcoming) -> str | None:
    """
    Copy every database of the server that runs; what was copied, in words.

    ``None`` where no backups are declared yet, and on a blank server.

    Raises:
        HostProgramFailed: a database could not be copied; nothing was changed.
    """
    if upcoming.declaration.host.backups is None:
        return None
    try:
        answer = follow(upcoming.ssh, ["safety-copy", "--json"], upcoming.report)
    except NotThere:
        return None
    document = answer.document()
    if answer.code != 0 or document is None or "error" in document:
        error = document.get("error") if document else None
        reason = str(error or "\n".join(answer.errors[-5:]) or f"exit code {answer.code}")
        raise HostProgramFailed(
            f"{reason}\n    If it cannot be copied, and these changes are the repair: --without-copy."
        )
    copied = [
        f"copy {each['snapshot'][:8]} of {each['name']}, {each['rows']:,} rows" for each in document["copied"]
    ]
    return "; ".join([*copied, *document["skipped"]]) or None
