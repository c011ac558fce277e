"""
What replaces data on servers, from backups or from snapshots: exactly what was shown, under the lock.

It is looked at first and shown; a person agrees; then each server does it in its journal, and what
runs there is asked whether it answers.
"""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pyinfra.api import Host

from standfast.engine.holds import Holds
from standfast.engine.plan import HostPlan, PlannedOperation
from standfast.engine.servers import Servers, connector
from standfast.errors import Refused
from standfast.inventory.schema import Host as Declared
from standfast.operations.change import Change, Step
from standfast.recovery.host_program import Answer, HostProgramFailed, follow

Report = Callable[[str], None]
GOES_ON = (
    "what was begun there goes on to its end, and leaves the old data or the new, complete. The next restore "
    "or apply waits for that, and says how it ended"
)
CONFIGURATION_WRONG, BUSY, REFUSED = 3, 5, 6


class RestoreFailed(HostProgramFailed):
    """A restore did not end well; the message says what is there now."""


@dataclass(slots=True)
class Replacement(ABC):
    """What will be replaced on one server, and later what was."""

    subject: ClassVar[str]
    """What the journal and the audit log call it."""
    command: ClassVar[str]
    """What they say is run on the server."""

    name: str
    address: str
    done: dict[str, Any] | None = field(default=None, kw_only=True)
    error: Exception | None = field(default=None, kw_only=True)
    health: list[str] = field(default_factory=list, kw_only=True)
    """Addresses on the server that must answer afterwards."""

    @property
    def asked_afterwards(self) -> list[str]:
        """Arguments that name the addresses which must answer."""
        return [f"--health={url}" for url in self.health]

    @abstractmethod
    def arguments(self) -> list[str]:
        """For the program on the server, which then does exactly what was shown."""

    @abstractmethod
    def changes(self) -> list[Change]:
        """The same as changes of a plan."""

    @abstractmethod
    def shown(self) -> dict[str, Any]:
        """What was shown, for ``--json``."""

    def as_json(self) -> dict[str, Any]:
        """The server's part of the answer to ``--json``."""
        error = None if self.error is None else str(self.error)
        return {"name": self.name, **self.shown(), "done": self.done, "error": error}

    def plan(self) -> HostPlan:
        """The same as a plan: what the journal, the audit log and those who come second are told."""
        changes = self.changes()
        step = Step(self.command, changes=changes)
        operation = PlannedOperation(self.subject, self.subject, (step,), self.subject)
        return HostPlan(self.name, self.address, operations=[operation] if changes else [])


def perform(servers: Servers, replacements: Sequence[Replacement], holds: Holds, report: Report) -> None:
    """
    Replace exactly what was shown; each `Replacement` knows afterwards what was done.

    + holds: of the same servers, with the plans told to it
    """
    by_name = {each.name: each for each in replacements}

    def work(host: Host) -> None:
        one = by_name[host.name]
        holds.begin(host.name, None)
        holds.enter(host, 0)
        try:
            answer = follow(connector(host), one.arguments(), lambda line: report(f"{host.name}  {line}"))
            one.done = document_of(host, answer)
        finally:
            connector(host).around = None
        holds.leave(host)
        _refuse_silence(host, one.done["answering"])

    servers.each([host for host in servers.connected() if host.name in by_name], work, goes_on=GOES_ON)
    for name, one in by_name.items():
        one.error = servers.failures.get(name)


def _refuse_silence(host: Host, answering: Mapping[str, bool]) -> None:
    """
    Applications must answer after a restore.

    Raises:
        RestoreFailed: one does not.
    """
    silent = [url for url, answers in answering.items() if not answers]
    if silent:
        raise RestoreFailed(
            f"{host.name}: everything was restored, and {', '.join(silent)} does not answer. Look at the "
            "application's log; `standfast plan` shows what is not as declared."
        )


def document_of(host: Host, answer: Answer) -> dict[str, Any]:
    """
    The answer of the program.

    Raises:
        Refused: it did nothing, for a reason.
        RestoreFailed: it failed; the message says what is there now.
    """
    document = answer.document()
    if answer.code == 0 and document is not None:
        return document
    message = str(document["error"]) if document and "error" in document else "\n".join(answer.errors[-5:])
    place = connector(host).place
    if answer.code in (CONFIGURATION_WRONG, BUSY, REFUSED):
        raise Refused(f"{place}: {message}")
    raise RestoreFailed(f"{place}: {message or f'the program ended with {answer.code}, without a word'}")


def address_of(servers: Servers, host: Host) -> str:
    """The server's declared address."""
    return _declared(servers, host).address


def health_of(servers: Servers, host: Host) -> list[str]:
    """Health addresses of the server's applications."""
    return [app.health for app in _declared(servers, host).apps.values() if app.health]


def _declared(servers: Servers, host: Host) -> Declared:
    return next(each.host for each in servers.declarations if each.name == host.name)
