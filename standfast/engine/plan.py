"""A plan: what apply will do, host by host, operation by operation. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyinfra.api.command import PyinfraCommand

from standfast.documents import FORMAT, PlanDocument, PlanHost
from standfast.operations.change import Change, Step


@dataclass(frozen=True, slots=True)
class PlannedOperation:
    """One operation that will change something."""

    subject: str
    """The deploy it belongs to, for example ``caddy``."""
    name: str
    commands: tuple[PyinfraCommand, ...]
    """What will be executed, in this order and exactly so."""
    identity: str
    """pyinfra's key of the operation within this run."""

    @property
    def changes(self) -> list[Change]:
        """What will be different; a command that does not say so is shown itself."""
        changes: list[Change] = []
        for command in self.commands:
            if isinstance(command, Step):
                changes.extend(command.changes)
            else:
                changes.append(Change("run", str(command)))
        return changes


@dataclass(slots=True)
class HostPlan:
    """What will happen on one server."""

    name: str
    address: str
    resources: int = 0
    """Number of operations that were compared with the server."""
    operations: list[PlannedOperation] = field(default_factory=list)
    seconds: float = 0.0
    attention: list[str] = field(default_factory=list)
    """What no plan changes and people must know."""
    error: Exception | None = None
    """Why there is no plan for this server."""
    host_key: str = ""
    """Fingerprint of the key that the server showed; empty when there was no connection."""

    @property
    def changes(self) -> list[tuple[str, Change]]:
        """Subject and change, in order."""
        return [(op.subject, change) for op in self.operations for change in op.changes]

    def as_json(self) -> PlanHost:
        """The host's part of ``standfast plan --json``."""
        return {
            "name": self.name,
            "address": self.address,
            "host_key": self.host_key,
            "resources": self.resources,
            "seconds": round(self.seconds, 3),
            "error": None if self.error is None else str(self.error),
            "attention": self.attention,
            "changes": [change.of(subject) for subject, change in self.changes],
        }


@dataclass(slots=True)
class Plan:
    """What will happen on all servers of a run."""

    environment: str
    hosts: list[HostPlan]

    @property
    def errors(self) -> dict[str, Exception]:
        """Servers without a plan, and why."""
        return {host.name: host.error for host in self.hosts if host.error is not None}

    @property
    def has_changes(self) -> bool:
        """Whether apply would change anything."""
        return any(host.operations for host in self.hosts)

    def as_json(self) -> PlanDocument:
        """The answer of ``standfast plan --json``."""
        return {
            "format": FORMAT,
            "kind": "plan",
            "environment": self.environment,
            "hosts": [host.as_json() for host in self.hosts],
        }
