"""
What an operation yields: shell commands that say what they change.

The plan shows the changes, apply runs the very same commands: so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra.api import StringCommand

from standfast.documents import Action, ChangeDocument, SubjectChange


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that will be different on the server."""

    action: Action
    target: str
    """What changes, in words that a person knows: a path, ``caddy.service``, ``volume toybox_pgdata``."""
    detail: str = ""
    """What it means: for how long something is away, what happens to data."""
    diff: str = ""
    """Unified diff without its two header lines; secrets are hidden."""

    def as_json(self) -> ChangeDocument:
        """The change as it stands in ``--json`` and in saved plans."""
        return {"action": self.action, "target": self.target, "detail": self.detail, "diff": self.diff}

    def of(self, subject: str) -> SubjectChange:
        """The change in ``--json`` and in saved plans, with the subject that it belongs to."""
        return {"subject": subject, **self.as_json()}


class Step(StringCommand):
    """
    A shell command and the changes that it makes.

    It either does all of them or, when it fails or is cut off, can be run again from the start.
    """

    def __init__(
        self,
        *bits: object,
        changes: Sequence[Change],
        stdin: str | None = None,
        timeout: int | None = None,
    ) -> None:
        """
        + bits: as for pyinfra's ``StringCommand``; wrap every value in ``QuoteString``
        + changes: what this command changes, at least one
        + stdin: text for standard input; the place for secrets, which never stand in a command line
        + timeout: seconds after which the command counts as failed
        """
        arguments: dict[str, Any] = {}
        if stdin is not None:
            arguments["_stdin"] = stdin
        if timeout is not None:
            arguments["_timeout"] = timeout
        super().__init__(*bits, **arguments)
        self.changes = tuple(changes)
