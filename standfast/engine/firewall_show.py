"""What the packet filter of each server lets in, beside what is declared: ``standfast firewall ENV show``."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import ndiff
from typing import Any, Literal

from pyinfra.api import Host

import deploys
from standfast.declaration import Declaration
from standfast.drift import firewall as others
from standfast.drift.known import Known
from standfast.engine.recording import Question, note_questions, record
from standfast.engine.servers import Servers, connector
from standfast.errors import CouldNotLook, Refused
from standfast.facts.firewall import Filter, Firewall, Rules
from standfast.facts.packet_filter import AllRules
from standfast.facts.rule_words import in_words
from standfast.operations.host_program import PATH

FORMAT_VERSION = 1
SUBJECT = "firewall"
State = Literal["as declared", "missing", "not declared"]
STATES: dict[str, State] = {"  ": "as declared", "+ ": "missing", "- ": "not declared"}


@dataclass(frozen=True, slots=True)
class ShownRule:
    """One rule of ours."""

    family: str
    """``ipv4`` or ``ipv6``."""
    state: State
    rule: str
    """As iptables spells it."""

    def as_json(self) -> dict[str, str]:
        """The rule's part of ``--json``."""
        return {"family": self.family, "state": self.state, "rule": self.rule, "words": in_words(self.rule)}


@dataclass(slots=True)
class HostFirewall:
    """The packet filter of one server."""

    name: str
    address: str
    ours: list[ShownRule] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    """Rules, chains and tables that are neither ours nor Docker's, in words."""
    refused: str = ""
    """Why the declared rules would not be put in force."""
    confirmed: dict[str, Any] | None = None
    """What the host program knows of trials and of what was confirmed; ``None`` when it is not there."""
    error: Exception | None = None

    @property
    def differs(self) -> bool:
        """Whether anything is not as declared."""
        return bool(self.foreign or self.refused) or any(each.state != "as declared" for each in self.ours)

    def as_json(self) -> dict[str, Any]:
        """The host's part of ``--json``."""
        return {
            "name": self.name,
            "address": self.address,
            "ours": [each.as_json() for each in self.ours],
            "foreign": self.foreign,
            "refused": self.refused or None,
            "confirmed": self.confirmed,
            "error": None if self.error is None else str(self.error),
        }


def show(servers: Servers) -> list[HostFirewall]:
    """
    Look at the packet filters of connected servers, and hold them against the inventory. Nothing is written.

    Servers that could not be read have an ``error``, and are in ``servers.failures``.
    """
    declared = {each.name: each for each in servers.declarations}
    found = {name: HostFirewall(name, each.host.address) for name, each in declared.items()}

    def look(host: Host) -> None:
        _look(servers, host, declared[host.name], found[host.name])

    servers.each(servers.connected(), look)
    for name, error in servers.failures.items():
        found[name].error = error
    return list(found.values())


def _look(servers: Servers, host: Host, declaration: Declaration, found: HostFirewall) -> None:
    questions = note_questions(host)

    def compare() -> None:
        try:
            deploys.site([SUBJECT])
        except CouldNotLook:
            raise
        except Refused as error:
            found.refused = str(error)

    host.data._sudo = connector(host).user != "root"
    record(servers.state, host, compare)
    found.ours = [rule for present in _filters(host, questions) for rule in _ours(present)]
    known = Known(host=declaration.host, name=declaration.name, login=connector(host).user)
    found.foreign = [f"{each.what}: {each.why}" for each in others.findings(known, host.get_fact(AllRules))]
    status, output, _ = connector(host).exchange(
        connector(host).as_root(f"{shlex.quote(PATH)} firewall status --json")
    )
    found.confirmed = json.loads(output) if status == 0 else None


def _filters(host: Host, questions: list[Question]) -> Iterator[Filter]:
    """What the comparison has seen; nothing when the server has no iptables."""
    for each in [each for each in questions if each.fact is Firewall][:1]:
        present: Filter | None = host.get_fact(Firewall, **each.arguments)
        if present is not None:
            yield present


def _ours(present: Filter) -> Iterator[ShownRule]:
    nothing = Rules((), ())
    for family, live in present.live.items():
        wanted = present.wanted.get(family, nothing)
        for line in ndiff(live.text.splitlines(), wanted.text.splitlines()):
            if line[:2] in STATES:
                yield ShownRule(family, STATES[line[:2]], line[2:])
