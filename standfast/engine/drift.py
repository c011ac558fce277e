"""What differs from the declaration: what the plan says, and what nobody declared."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import import_module
from zoneinfo import ZoneInfo

from pyinfra.api import Host

import deploys
from standfast.declaration import Declaration
from standfast.documents import FORMAT, DriftDocument, DriftHost, Kind
from standfast.drift.acceptance import Verdict, judged
from standfast.drift.finding import Finding, merged
from standfast.drift.known import Known
from standfast.engine import scan
from standfast.engine.plan import PlannedOperation
from standfast.engine.recording import Question, note_questions, record
from standfast.engine.servers import Servers, connector
from standfast.errors import CouldNotLook, Refused
from standfast.facts.apt import Packages
from standfast.facts.rule_words import READ_BY
from standfast.facts.ssh import CurrentSession, Session
from standfast.operations.change import Change, Step


@dataclass(slots=True)
class HostDrift:
    """What differs on one server."""

    name: str
    address: str
    timezone: str
    verdicts: list[Verdict] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """What is to be said about entries of `accept`."""
    seconds: float = 0.0
    error: Exception | None = None
    """Why this server, or a part of it, could not be compared."""

    @property
    def counting(self) -> list[Finding]:
        """Differences that are not accepted."""
        return [each.finding for each in self.verdicts if each.counts]

    def as_json(self) -> DriftHost:
        """The host's part of ``standfast drift --json``."""
        return {
            "name": self.name,
            "address": self.address,
            "seconds": round(self.seconds, 3),
            "error": None if self.error is None else str(self.error),
            "differences": len(self.counting),
            "findings": [each.as_json() for each in self.verdicts],
            "remarks": self.remarks,
        }


@dataclass(slots=True)
class Drift:
    """What differs on all servers of a run."""

    environment: str
    hosts: list[HostDrift]

    @property
    def errors(self) -> dict[str, Exception]:
        """Servers that could not be compared, or not fully, and why."""
        return {host.name: host.error for host in self.hosts if host.error is not None}

    @property
    def has_differences(self) -> bool:
        """Whether anything differs that is not accepted."""
        return any(host.counting for host in self.hosts)

    def as_json(self) -> DriftDocument:
        """The answer of ``standfast drift --json``."""
        return {
            "format": FORMAT,
            "kind": "drift",
            "environment": self.environment,
            "differences": sum(len(host.counting) for host in self.hosts),
            "hosts": [host.as_json() for host in self.hosts],
        }


def drift(
    servers: Servers,
    only: Collection[str] = (),
    further: Mapping[str, Sequence[Finding]] | None = None,
    unread: Mapping[str, Exception] | None = None,
) -> Drift:
    """
    Compare connected servers with their declarations, and look for what nobody declared. Nothing is written.

    + servers: freshly connected
    + only: subjects to which the comparison is limited; none means all
    + further: what was found in other ways, by server
    + unread: what could not be read in these ways, by server
    """
    found = {
        each.name: HostDrift(each.name, each.host.address, each.host.timezone)
        for each in servers.declarations
    }
    declared = {each.name: each for each in servers.declarations}

    def compare(host: Host) -> None:
        started = time.monotonic()
        _compare(
            servers, host, declared[host.name], only, found[host.name], (further or {}).get(host.name, ())
        )
        found[host.name].seconds = time.monotonic() - started

    servers.read(compare)
    for name, error in {**(unread or {}), **servers.failures}.items():
        found[name].error = error
    return Drift(servers.environment, list(found.values()))


def _compare(
    servers: Servers,
    host: Host,
    declaration: Declaration,
    only: Collection[str],
    result: HostDrift,
    further: Sequence[Finding],
) -> None:
    connector(host).fetch_together(scan.questions())
    declared = compare_declared(servers, host, declaration)
    scanned, unread = scan.findings(host, declared.known)
    unread += [error for subject, error in declared.unread.items() if not only or subject in only]
    planned, nobodys = (
        [each for each in found if not only or each.subject in only]
        for found in (declared.findings, [*scanned, *further])
    )
    today = datetime.now(ZoneInfo(declaration.host.timezone)).date()
    place = f"hosts.{declaration.name}.accept"
    found = scan.dated(host, merged(planned, nobodys))
    result.verdicts, remarks = judged(found, declaration.host.accept, today, place)
    result.remarks = [] if only else remarks  # what was not looked for cannot match
    if unread:
        reasons = dict.fromkeys(str(error) for error in unread)
        servers.failures[host.name] = CouldNotLook(
            "\n  ".join([f"{host.name}: not all could be read:", *reasons])
        )


@dataclass(frozen=True, slots=True)
class Declared:
    """What came of holding a server against its deploys."""

    known: Known
    findings: list[Finding]
    """What apply would repair, and what it would refuse."""
    unread: dict[str, CouldNotLook]
    """Why a subject could not be compared."""


def compare_declared(servers: Servers, host: Host, declaration: Declaration) -> Declared:
    """Hold a server against its deploys, each on its own: one that refuses does not hide the others."""
    refused: list[Finding] = []
    unread: dict[str, CouldNotLook] = {}
    questions = note_questions(host)

    def declare() -> None:
        refused.clear()
        unread.clear()
        for subject in host.loop(deploys.subjects()):
            try:
                import_module(f"deploys.{subject}").deploy()
            except CouldNotLook as error:
                unread[subject] = error
            except Refused as error:
                refused.append(_refused(subject, error))

    planned = [finding for each in record(servers.state, host, declare) for finding in _planned(each)]
    known = _known(declaration, host.get_fact(CurrentSession), questions)
    if refused or unread:  # what their deploys would have asked, they asked in the last apply
        known = replace(known, paths=known.paths | scan.remembered(host))
    return Declared(known, [*planned, *refused], unread)


def _known(declaration: Declaration, session: Session, questions: list[Question]) -> Known:
    """What the inventory declares, and what the deploys have looked at."""
    return Known(
        host=declaration.host,
        name=declaration.name,
        login=session.account,
        fingerprint=session.fingerprint,
        port=session.port,
        paths=frozenset(path for each in questions for path in _paths(each)),
        packages=frozenset(
            name for each in questions if each.fact is Packages for name in each.arguments["names"]
        ),
    )


def _paths(question: Question) -> Iterator[str]:
    for value in question.arguments.values():
        if isinstance(value, str) and value.startswith("/") and "\n" not in value:
            yield value


def _refused(subject: str, error: Refused) -> Finding:
    first = next(iter(str(error).splitlines()), "")
    return Finding(f"refused:{subject}", subject, "changed", subject, f"apply would refuse: {first}")


def _planned(operation: PlannedOperation) -> Iterator[Finding]:
    """The differences that one planned operation would repair."""
    for command in operation.commands:
        changes = command.changes if isinstance(command, Step) else (Change("run", str(command)),)
        causes = [change for change in changes if change.action not in {"reload", "restart"}]
        for change in causes or changes:  # that a service reloads a new file is no difference of its own
            yield _finding(operation.subject, change)


KINDS: dict[str, Kind] = {"create": "missing", "remove": "unmanaged"}
WORDS = {
    "create": "is not there",
    "update": "not as declared",
    "remove": "is declared to be absent",
    "start": "is stopped",
    "stop": "runs, and shall not",
    "recreate": "not as declared",
}


def _finding(subject: str, change: Change) -> Finding:
    kind = KINDS.get(change.action, "changed")
    words = [word for word in (WORDS.get(change.action, ""), _telling(change)) if word]
    return Finding(
        _id(subject, change.target),
        subject,
        kind,
        change.target,
        "; ".join(words) or "not as declared",
        repair=True,
        diff=change.diff if kind == "changed" else "",
    )


def _telling(change: Change) -> str:
    """What of a change's detail is about the present, not about what the change will do."""
    if change.action == "create" and change.target.startswith("/"):
        return ""
    if change.target.endswith(" firewall"):
        return _rules(change.diff)
    return "" if change.diff and "→" not in change.detail else change.detail


def _rules(diff: str) -> str:
    """What a diff of our firewall rules says, in words."""
    moved = [line for line in diff.splitlines() if READ_BY.search(line)]
    lines = [line for line in diff.splitlines() if line not in moved]
    missing, foreign = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    words = [
        *([f"{missing} rule{'' if missing == 1 else 's'} missing"] if missing else []),
        *([f"{foreign} added by hand"] if foreign else []),
        *(["our rules no longer come first"] if any(line.startswith("-") for line in moved) else []),
    ]
    return ", ".join(words)


def _id(subject: str, target: str) -> str:
    """The stable name of what a plan calls its target."""
    if target.startswith("/"):
        return f"file:{target}"
    for noun in ("account", "group", "image", "package", "volume"):
        if target.startswith(f"{noun} "):
            return f"{noun}:{target.removeprefix(f'{noun} ')}"
    if re.fullmatch(r"[\w@.-]+\.(service|timer|socket)", target):
        return f"unit:{target}"
    if subject == "apps" and "/" in target:
        return f"service:{target}"
    return f"{subject}:{target.replace(' ', '-')}"
