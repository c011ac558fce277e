"""What a run does, item by item: one that fails does not keep the others from being stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from standfast.host.backup import coverage, databases, layout, pings, programs, turn, writers
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.faults import Fault, WrongConfiguration
from standfast.host.backup.records import Item, Record
from standfast.host.backup.restic import Repository

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
            writers.release(report)
            yield record
        except Fault as fault:
            record.item(Item("server", configuration.server, False, str(fault)))
        except BaseException as error:
            record.end(f"stopped: {type(error).__name__}: {error}", failed=True)
            pings.tell(url, f"stopped: {type(error).__name__}", suffix="/fail")
            raise
        message, failed = _summary(record)
        record.end(message, failed=failed)
        _told(pings.tell(url, message, suffix="/fail" if failed else ""), report)
        if failed:
            raise Fault(message)


def back_up_databases(
    configuration: Configuration,
    record: Record,
    *,
    only: Collection[str],
    accepted: Collection[str],
    report: Report,
) -> None:
    """
    Copy all declared databases, or those that are asked for.

    Raises:
        Fault: the repository cannot be used; nothing was stored.
    """
    _known((*only, *accepted), configuration.databases, "database", all_known=[*configuration.volumes])
    names = [name for name in configuration.databases if not only or name in only]
    repository = ready(configuration, report)
    versions = {"restic": restic_version()}
    for name in names:
        report(f"database {name}")
        attempt(
            record,
            "database",
            name,
            report,
            lambda name=name: databases.back_up(  # type: ignore[misc] # mypy cannot infer a lambda's default
                name, configuration, repository, accepted=accepted, versions=versions
            ),
        )
    _gaps(configuration, record, report)


def attempt(record: Record, kind: str, name: str, report: Report, action: Callable[[], Item]) -> None:
    """Do something for one item; its fault is recorded, and the run goes on with the next."""
    try:
        item = action()
    except Fault as fault:
        item = Item(kind, name, False, str(fault))
    record.item(item)
    report(f"{'✓' if item.ok else '✗'} {kind} {name}: {item.message}")


def ready(configuration: Configuration, report: Report) -> Repository:
    """
    The repository, made when this is its first use.

    Raises:
        Unreachable: it cannot be used, or is not the one of last time.
    """
    repository = Repository(configuration)
    if repository.opened():
        report(ESCROW.format(place=configuration.repository, password=layout.PASSWORD))
    return repository


def restic_version() -> str:
    """The version of restic, for manifests."""
    words = programs.run(["restic", "version"]).output.split()
    return words[1] if len(words) > 1 else ""


def _gaps(configuration: Configuration, record: Record, report: Report) -> None:
    """What is on the server and in no backup fails the run, after everything else has been stored."""
    for look in (coverage.gaps, databases.undeclared):
        try:
            found = look(configuration)
        except Fault as fault:
            found = [str(fault)]
        for sentence in found:
            record.item(Item("server", configuration.server, False, sentence))
            report(f"✗ {sentence}")


def _known(
    names: Collection[str], known: Mapping[str, object], what: str, *, all_known: Collection[str] = ()
) -> None:
    for name in names:
        if name not in known and name not in all_known:
            raise WrongConfiguration(
                f"{name}: no {what} of this name is declared; there is: {', '.join(known) or 'none'}. "
                "Nothing was done."
            )


def _summary(record: Record) -> tuple[str, bool]:
    bad = [item for item in record.items if not item.ok]
    if not record.items:
        return "there was nothing to do", False
    if bad:
        return "\n".join(f"{item.kind} {item.name}: {item.message}" for item in bad), True
    return "; ".join(f"{item.kind} {item.name}: {item.message}" for item in record.items), False


def _told(problem: str | None, report: Report) -> None:
    if problem:
        report(f"! {problem}")
