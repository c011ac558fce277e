"""One look over a whole server: what is there, whoever put it there. One round trip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from pyinfra.api import Host

from standfast.drift import (
    accounts,
    containers,
    file_systems,
    files,
    firewall,
    kernel,
    packages,
    ports,
    units,
)
from standfast.drift.finding import Finding
from standfast.drift.known import Known
from standfast.engine import fact_trace
from standfast.engine.servers import connector
from standfast.errors import CouldNotLook
from standfast.facts.answer import Fact
from standfast.facts.clock import TimeService
from standfast.facts.conffiles import ChangedConffiles, Departure
from standfast.facts.docker import Contents, Daemons, Engine, Volumes
from standfast.facts.files import File
from standfast.facts.kernel_settings import LiveSettings
from standfast.facts.mounts import Mounts
from standfast.facts.package_states import Packages
from standfast.facts.packet_filter import AllRules
from standfast.facts.people import AllPeople
from standfast.facts.sockets import Listeners
from standfast.facts.ssh import CurrentSession
from standfast.facts.unit_troubles import AllUnits
from standfast.facts.unowned import Unowned, UnownedFiles
from standfast.facts.volume_contents import Insides

T = TypeVar("T")

# The slow ones come first, so that the short ones fill the gaps.
FACTS: tuple[type[Fact[Any]], ...] = (
    *(UnownedFiles, Insides, AllUnits, Contents),
    *(ChangedConffiles, Volumes, Packages, AllPeople),
    *(Engine, AllRules, Listeners, Mounts, LiveSettings, Daemons, TimeService, CurrentSession),
)


def questions() -> list[str]:
    """The commands of all facts of the scan, for `StandfastConnector.fetch_together`."""
    return [_question(fact) for fact in FACTS]


def _question(fact: type[Fact[Any]], *arguments: str) -> str:
    command = fact().command(*arguments)
    return command if isinstance(command, str) else command.get_raw_value()


def remembered(host: Host) -> frozenset[str]:
    """Files that the last complete apply looked at, of those that are here and belong to no package."""
    listed = connector(host).listed
    try:
        here: Unowned = host.get_fact(UnownedFiles)
    except CouldNotLook:
        return frozenset()
    return frozenset(
        each.path for each in here.files if fact_trace.name(_question(File, each.path)) in listed
    )


def dated(host: Host, found: list[Finding]) -> list[Finding]:
    """Findings about declared files, with the time at which each was written last, where the scan has it."""
    try:
        unowned: Unowned = host.get_fact(UnownedFiles)
        departures: list[Departure] = host.get_fact(ChangedConffiles)
    except CouldNotLook:
        return found
    times = {f"file:{each.path}": (each.modified, each.owner) for each in unowned.files}
    times |= {f"file:{each.path}": (each.modified, each.owner) for each in departures if each.modified}
    return [
        replace(each, since=times[each.id][0], by=times[each.id][1])
        if each.since is None and each.id in times
        else each
        for each in found
    ]


def findings(host: Host, known: Known) -> tuple[list[Finding], list[CouldNotLook]]:
    """
    Everything on a server that is not declared, and everything that departs from how packages brought it.

    Returns as well which parts of the server could not be read; the other parts were.
    """
    found: list[Finding] = []
    unread: list[CouldNotLook] = []
    for part in _parts(host, known):
        try:
            found.extend(part())
        except CouldNotLook as error:
            unread.append(error)
    return found, unread


def _parts(host: Host, known: Known) -> Iterator[Callable[[], Iterator[Finding]]]:

    def ask(fact: type[Fact[T]]) -> T:
        answer: T = host.get_fact(fact)
        return answer

    def here() -> Known:
        return known.at(ask(UnownedFiles))

    yield lambda: files.findings(here(), ask(UnownedFiles))
    yield lambda: files.departures(here(), ask(ChangedConffiles))
    yield lambda: accounts.findings(known, ask(AllPeople))
    yield lambda: containers.containers(known, ask(Contents))
    yield lambda: containers.volumes(known, [*ask(Volumes).values()], ask(Contents), ask(Insides))
    yield lambda: containers.daemons(known, ask(Daemons), ask(Engine))
    yield lambda: containers.contexts(ask(Insides))
    yield lambda: ports.findings(known, ask(Listeners), ask(Contents))
    yield lambda: firewall.findings(known, ask(AllRules))
    yield lambda: units.findings(ask(AllUnits))
    yield lambda: units.clock(ask(TimeService))
    yield lambda: packages.findings(here(), ask(Packages))
    yield lambda: kernel.findings(known, ask(LiveSettings))
    yield lambda: file_systems.findings(ask(Mounts))
