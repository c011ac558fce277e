"""What a run has done, server by server. Values only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from standfast.documents import FORMAT, ApplyDocument, ApplyHost, VerificationDocument
from standfast.engine.audit import exit_code_of, outcome_of
from standfast.errors import Interrupted, Locked, Refused, Undone
from standfast.operations.change import Change

NOTHING_CHANGED = (Locked.exit_code, Refused.exit_code)
"""Exit codes that promise it."""


@dataclass(slots=True)
class HostResult:
    """What was done on one server."""

    name: str
    done: list[tuple[str, Change]] = field(default_factory=list)
    """Subject and change, in the order in which they were made."""
    open: list[tuple[str, Change]] = field(default_factory=list)
    """What was planned and not done."""
    begun: bool = False
    """Whether its changes were begun."""
    verified: bool = True
    """Whether no assertion failed; none was made when nothing was changed."""
    safety_copy: str | None = None
    """What was copied before the first change, in words."""
    seconds: float = 0.0
    error: Exception | None = None

    @property
    def outcome(self) -> str:
        """How it ended, in one or two words, as in the audit record."""
        if self.error is not None:
            return outcome_of(self.error)
        if self.open:
            return "interrupted" if self.begun else "not begun"
        if not self.verified:
            return "not verified"
        return "done" if self.done else "no changes"

    @property
    def well(self) -> bool:
        """Whether nothing went wrong on it."""
        return self.error is None and self.verified

    def as_json(self) -> ApplyHost:
        """The host's part of ``standfast apply --json``."""
        return {
            "name": self.name,
            "outcome": self.outcome,
            "done": [change.of(subject) for subject, change in self.done],
            "open": [change.of(subject) for subject, change in self.open],
            "safety_copy": self.safety_copy,
            "seconds": round(self.seconds, 3),
            "error": None if self.error is None else str(self.error),
        }


@dataclass(slots=True)
class Outcome:
    """What was done on all servers of a run."""

    environment: str
    hosts: list[HostResult]
    interrupted: bool = False
    stopped: str | None = None
    """Why no further server was begun."""

    @property
    def errors(self) -> dict[str, Exception]:
        """Servers on which something went wrong, and what."""
        return {host.name: host.error for host in self.hosts if host.error is not None}

    @property
    def exit_code(self) -> int:
        """The exit code of the run: docs/decisions/0009."""
        if self.errors:
            return self._code_of_errors({exit_code_of(error) for error in self.errors.values()})
        if any(not host.verified for host in self.hosts):
            return 1
        return Interrupted.exit_code if self.interrupted else 0

    def _code_of_errors(self, codes: Collection[int]) -> int:
        if len(codes) > 1:
            return 1
        (code,) = codes
        changed = [host for host in self.hosts if host.done]
        if code in NOTHING_CHANGED and changed:
            return 1
        if code == Undone.exit_code and any(host.error is None for host in changed):
            return 1
        return code

    def as_json(self, verification: VerificationDocument | None = None) -> ApplyDocument:
        """
        The answer of ``standfast apply --json``.

        + verification: what the assertions found, when some were made
        """
        return {
            "format": FORMAT,
            "kind": "apply",
            "environment": self.environment,
            "interrupted": self.interrupted,
            "stopped": self.stopped,
            "hosts": [host.as_json() for host in self.hosts],
            "verification": verification,
        }
