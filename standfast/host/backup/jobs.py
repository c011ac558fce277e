"""What a run does, item by item: one that fails does not keep the others from being stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from standfast.host.backup import coverage, databases, layout, pings, programs, turn, volumes, writers
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.faults import Fault, WrongConfiguration
from standfast.host.backup.records import Item, Record
from standfast.host.backup.restic import Repository, Unreachable

Report = Callable[[str], None]
ESCROW = (
    "a new repository was made at {place}. Its password is in {password} on this server and where your "
    "inventory takes it from. Without this password the backups are lost: keep it in a third place, away "
    "from this server, and try that copy: `standfast-host backup check-password < COPY`."
)


@contextmanager
def run(job: str, configuration: Configuration, *, wait: float, report: Report) -> Iterator[Record]:
    """
    A run with its record, alone, and told to its dead-man's switch.

    The body adds items to the record; whatever it raises, the record and the switch learn of it.

    Raises:
        Busy: another run is at work; nothing was done.
        Fault: the run has failed; its record says so.
    """
    with turn.taken(job, wait):
        record = Record(job)
        url = configuration.ping.get(job)
        _told(pings.tell(url, job, suffix="/start"), report)
        try:
            _released(configuration, record, report)
            yield record
        except Fault as fault:
            record.item(Item("server", configuration.server, False, str(fault)))
        except BaseException as error:
            record.end(f"stopped: {type(error).__name__}: {error}", failed=True)
            pings.tell(url, f"stopped: {type(error).__name__}", suffix="/fail")
            raise
        message, failed = summary(record)
        record.end(message, failed=failed)
        _told(pings.tell(url, message, suffix="/fail" if failed else ""), report)
        if failed:
            raise Fault(message)


def back_up(
    configuration: Configuration,
    record: Record,
    items: Sequence[tuple[str, str]],
    *,
    accepted: Collection[str] = (),
    report: Report,
) -> None:
    """
    Copy databases and volumes, one after the other; then see whether anything on the server is in no backup.

    + items: kind and name of each
    + accepted: names of those whose losses are meant

    Raises:
        Unusable: the repository cannot be used; nothing was stored.
    """
    with ThreadPoolExecutor(1) as beside:
        # restic makes a key out of the password each time, half a second; a dump does not need it yet.
        opened = beside.submit(ready, configuration, report).result
        versions = {"restic": restic_version()}
        for kind, name in items:
            report(f"{kind} {name}")
            action = partial(_copied, kind, name, configuration, opened, accepted, versions, report)
            attempt(record, kind, name, report, action)
        opened()
    _gaps(configuration, record, report)


def _copied(
    kind: str,
    name: str,
    configuration: Configuration,
    opened: Callable[[], Repository],
    accepted: Collection[str],
    versions: Mapping[str, str],
    report: Report,
) -> Item:
    if kind == databases.KIND:
        return databases.back_up(name, configuration, opened, accepted=accepted, versions=versions)
    return volumes.back_up(name, configuration, opened(), accepted=accepted, versions=versions, report=report)


def attempt(record: Record, kind: str, name: str, report: Report, action: Callable[[], Item]) -> None:
    """
    Do something for one item; its fault is recorded, and the run goes on with the next.

    Raises:
        Unusable: nothing can be stored at all.
    """
    try:
        item = action()
    except Unusable:
        raise
    except Fault as fault:
        item = Item(kind, name, False, str(fault))
    record.item(item)
    report(f"{'✓' if item.ok else '✗'} {kind} {name}: {item.message}")


class Unusable(Unreachable):
    """The repository cannot be opened; nothing was stored."""


def ready(configuration: Configuration, report: Report, *, make: bool = True) -> Repository:
    """
    The repository.

    + make: whether it is made when this is its first use

    Raises:
        Unusable: it cannot be used, or is not the one of last time.
    """
    repository = Repository(configuration)
    try:
        made = repository.opened(make=make)
    except Unreachable as fault:
        raise Unusable(str(fault)) from None
    if made:
        report(ESCROW.format(place=configuration.repository, password=layout.PASSWORD))
    return repository


def restic_version() -> str:
    """The version of restic, for manifests."""
    words = programs.run(["restic", "version"]).output.split()
    return words[1] if len(words) > 1 else ""


def _gaps(configuration: Configuration, record: Record, report: Report) -> None:
    """What is on the server and in no backup fails the run, after everything else has been stored."""
    with ThreadPoolExecutor(2) as beside:
        for look in [beside.submit(each, configuration) for each in (coverage.gaps, databases.gaps)]:
            try:
                found = look.result()
            except Fault as fault:
                found = [str(fault)]
            for sentence in found:
                record.item(Item("server", configuration.server, False, sentence))
                report(f"✗ {sentence}")


def chosen(
    configuration: Configuration, kinds: Collection[str], names: Collection[str]
) -> list[tuple[str, str]]:
    """
    What is to be copied: all of some kinds, or what is named.

    Raises:
        WrongConfiguration: nothing of such a name is declared; nothing was done.
    """
    known = [("database", name) for name in configuration.databases]
    known += [("volume", name) for name in configuration.volumes]
    fitting = [each for each in known if each[0] in kinds]
    for name in names:
        if name not in {each[1] for each in fitting}:
            raise WrongConfiguration(
                f"{name}: no {' or '.join(kinds)} of this name is declared to be backed up; there is: "
                f"{', '.join(each[1] for each in fitting) or 'none'}. Nothing was done."
            )
    return [each for each in fitting if not names or each[1] in names]


def _released(configuration: Configuration, record: Record, report: Report) -> None:
    """What a dead run has held goes on; if it does not, this run fails and still makes its copies."""
    try:
        writers.release(report)
    except Fault as fault:
        record.item(Item("server", configuration.server, False, str(fault)))
        report(f"✗ {fault}")


def summary(record: Record) -> tuple[str, bool]:
    """What a run has come to, in words, and whether it has failed."""
    bad = [item for item in record.items if not item.ok]
    if not record.items:
        return "there was nothing to do", False
    if bad:
        return "\n".join(f"{item.kind} {item.name}: {item.message}" for item in bad), True
    return "; ".join(f"{item.kind} {item.name}: {item.message}" for item in record.items), False


def _told(problem: str | None, report: Report) -> None:
    if problem:
        report(f"! {problem}")
