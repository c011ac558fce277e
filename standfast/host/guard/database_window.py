"""The window inside guarded databases: a row that only a superuser may write, and that ends by itself."""

from __future__ import annotations

from collections.abc import Mapping

from standfast.host.backup import databases
from standfast.host.backup.configuration import Database
from standfast.host.backup.faults import Fault
from standfast.host.restore.statements import literal

OPEN = """INSERT INTO standfast_guard.windows (closes, by_person, reason)
VALUES (clock_timestamp() + interval '{seconds} seconds', {person}, {reason});"""
CLOSE = "UPDATE standfast_guard.windows SET closes = clock_timestamp() WHERE closes > clock_timestamp();"
LOOK = r"""SELECT
(SELECT count(*) FROM pg_event_trigger WHERE evtname LIKE 'standfast\_guard\_%' AND evtenabled = 'A') = 3,
(SELECT count(*) FROM standfast_guard.unarmed()), standfast_guard.open_window() IS NOT NULL;"""


def opened(guarded: Mapping[str, Database], seconds: int, person: str, reason: str) -> list[str]:
    """Open a window in each database; what did not work, in words."""
    return _everywhere(
        guarded, OPEN.format(seconds=int(seconds), person=literal(person), reason=literal(reason))
    )


def closed(guarded: Mapping[str, Database]) -> list[str]:
    """End the windows; what did not work, in words."""
    return _everywhere(guarded, CLOSE)


def state(name: str, database: Database) -> str:
    """What is in force in a database, in words."""
    try:
        on, unarmed, window = _ask(name, database, LOOK)[0].split("|")
    except (Fault, ValueError) as error:
        return f"nobody can tell: {error}"
    faults = [
        *(["an event trigger is off"] if on != "t" else []),
        *([f"{unarmed} tables without their triggers"] if unarmed != "0" else []),
    ]
    return ", ".join([*(faults or ["in force"]), *(["a window is open"] if window == "t" else [])])


def _everywhere(guarded: Mapping[str, Database], sql: str) -> list[str]:
    failed = []
    for name, database in guarded.items():
        try:
            _ask(name, database, sql)
        except Fault as fault:
            failed.append(f"database {name}: {fault}")
    return failed


def _ask(name: str, database: Database, sql: str) -> list[str]:
    place, _ = databases.where(name, database)
    return place.ask(sql, database.database)
