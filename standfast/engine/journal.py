"""
The journal that a server keeps of the run at work on it: what was begun, what has ended.

The server writes it itself, around each command, so it is right even when the controller has gone.
``journal.sh`` and ``step.sh`` write it; here it is prepared, read and told.
"""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pyinfra.api.command import PyinfraCommand

from standfast.engine.plan import HostPlan, PlannedOperation
from standfast.engine.shell import shell
from standfast.operations.change import Step

SHOWN = 5  # changes in one sentence


def steps(plan: HostPlan) -> list[list[str]]:
    """
    For each command of a plan, in order, what it changes: targets only, never contents.

    A command that does not say what it changes is named, not shown: it may hold a secret.
    """
    return [_shown(operation, command) for operation in plan.operations for command in operation.commands]


def step_command(run: str, number: int, command: str) -> str:
    """
    A command line, for root, that runs `command` and writes its begin and end into the journal.

    + number: index of the command among all commands of the run
    """
    script = shell("journal", "step")
    return f"bash -c {shlex.quote(script)} standfast {shlex.quote(run)} {number} {shlex.quote(command)}"


@dataclass(frozen=True, slots=True)
class LastRun:
    """What a journal tells of the last run that has left something open."""

    action: str
    """The command of the run: ``apply``, ``restore``, …"""
    who: str
    started: str
    steps: list[list[str]]
    begun: int | None = None
    """Index of the last command that was begun."""
    pid: int | None = None
    """Its process."""
    statuses: dict[int, int] = field(default_factory=dict)
    """Exit status by index, of the commands that have ended."""
    outcome: str | None = None
    """How the run ended; ``None`` when it was cut off."""

    @property
    def running(self) -> str:
        """The command that was begun last."""
        return _listed(self.steps[self.begun : self.begun + 1]) if self.begun is not None else "nothing"

    def told(self) -> str | None:
        """What was left half-way, in one sentence; ``None`` when nothing was."""
        head = f"the last {self.action} ({self.who}, {moment(self.started)})"
        status = self.statuses.get(self.begun) if self.begun is not None else None
        if self.begun is None:
            how = "was cut off before its first change" if self.outcome is None else f"was {self.outcome}"
        elif status is None:
            how = f"was cut off while: {self.running}"
        elif status != 0 and self.outcome is None:
            how = f"was cut off while: {self.running} (which the server then ended with an error)"
        elif self.outcome == "undone":
            how = f"was undone at: {self.running}"
        elif status != 0:
            how = f"failed at: {self.running}"
        else:
            how = f"was {self.outcome or 'cut off'} after: {self.running}"
        left = self.steps[self.begun + 1 :] if self.begun is not None else self.steps
        if not left and status == 0:
            return self._ended_alone(head)
        rest = f"; not begun: {_listed(left)}" if left else ""
        on = " This apply goes on from there." if self.action == "apply" else ""
        return f"{head} {how}{rest}.{on}"

    def _ended_alone(self, head: str) -> str | None:
        # Only apply has a check after its last change.
        if self.outcome == "interrupted" or (self.outcome is None and self.action != "apply"):
            return f"{head} was not waited for, and has ended well: {self.running}."
        return None if self.outcome else f"{head} was cut off after its last change, before its check"


def parse(text: str) -> LastRun | None:
    """What a journal says; ``None`` when it is empty or damaged, which tells nothing."""
    first, *notes = text.splitlines() or [""]
    try:
        record: dict[str, Any] = json.loads(first)
        who, started, planned = record["who"], record["started"], record["steps"]
    except (ValueError, KeyError, TypeError):
        return None
    begun = pid = outcome = None
    statuses: dict[int, int] = {}
    for note in notes:
        if match := re.fullmatch(r"begin (\d+) (\d+) \S+", note):
            begun, pid = int(match[1]), int(match[2])
        elif match := re.fullmatch(r"end (\d+) (\d+) \S+", note):
            statuses[int(match[1])] = int(match[2])
        elif match := re.fullmatch(r"finished (\S+) \S+", note):
            outcome = match[1]
    return LastRun(str(record.get("action", "apply")), who, started, planned, begun, pid, statuses, outcome)


def moment(text: str) -> str:
    """A time in a sentence: a team sits in several time zones, so it is always UTC."""
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return text


def _shown(operation: PlannedOperation, command: PyinfraCommand) -> list[str]:
    if isinstance(command, Step):
        return [f"{operation.subject}: {change.action} {change.target}" for change in command.changes]
    return [f"{operation.subject}: run {operation.name or 'a command of pyinfra'}"]


def _listed(some: Sequence[Sequence[str]]) -> str:
    texts = [text for step in some for text in step]
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
