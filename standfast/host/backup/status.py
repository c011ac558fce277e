"""Is everything backed up? Read from the records of all runs; the repository is not asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from standfast.host.backup import layout, records, timetable
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.records import Item, Run

FORMAT = 1
SHOWN = 30
"""Runs that are listed."""


def status(configuration: Configuration, now: datetime, runs: Sequence[Run]) -> dict[str, Any]:
    """
    The answer of ``standfast-host backup status --json``.

    ``ok`` says whether nothing is late, failed or unknown; each copy and job has its ``problem``, or null.
    """
    copies = [_copy(kind, name, configuration, now, runs) for kind, name in _declared(configuration)]
    jobs = [_job(name, limit, now, runs) for name, limit in _jobs(configuration)]
    running = next((run for run in runs if run.outcome == "running"), None)
    return {
        "format": FORMAT,
        "server": configuration.server,
        "repository": configuration.repository,
        "timezone": configuration.timezone,
        "ok": not any(each["problem"] for each in [*copies, *jobs]),
        "copies": copies,
        "jobs": jobs,
        "dumped": list(configuration.dumped),
        "excluded": dict(configuration.excluded),
        "running": running.as_json() if running else None,
        "writers_held": layout.HELD.exists(),
        "runs": [run.as_json() for run in runs[-SHOWN:]],
    }


def lines(answer: dict[str, Any]) -> list[str]:
    """The same for people."""
    found = [f"{answer['server']}: copies in {answer['repository']}"]
    for each in answer["copies"]:
        good = each["last_good"]
        when = f"{good['time']}  {good['message']}" if good else "never"
        found.append(f"  {'✗' if each['problem'] else '✓'} {each['kind']} {each['name']}: {when}")
        if each["problem"]:
            found.append(f"      {each['problem']}")
    for each in answer["jobs"]:
        last = each["last"]
        when = f"{last['begin']}  {last['message']}" if last else "never"
        found.append(f"  {'✗' if each['problem'] else '✓'} {each['name']}: {when}")
        if each["problem"]:
            found.append(f"      {each['problem']}")
    if answer["running"]:
        found.append(f"  now: {answer['running']['job']}, since {answer['running']['begin']}")
    return found


def stored_since(kind: str, name: str, moment: datetime, runs: Sequence[Run]) -> bool:
    """Whether a copy was stored, good or suspect, by a run that began at that moment or later."""
    return any(
        (item.kind, item.name) == (kind, name) and item.snapshot is not None
        for run in runs
        if records.moment(run.begin) >= moment
        for item in run.items
    )


def _declared(configuration: Configuration) -> list[tuple[str, str]]:
    return [
        *(("database", name) for name in configuration.databases),
        *(("volume", name) for name in configuration.volumes),
    ]


def _jobs(configuration: Configuration) -> list[tuple[str, timedelta]]:
    found = [("check", timetable.CHECK_LIMIT)]
    if configuration.schedule.drill is not None:
        found.append(("drill", timetable.DRILL_LIMIT))
    return found


def _copy(
    kind: str, name: str, configuration: Configuration, now: datetime, runs: Sequence[Run]
) -> dict[str, Any]:
    limit = timetable.LIMITS["daily" if kind == "database" else configuration.volumes[name].when]
    own = [item for run in runs for item in run.items if (item.kind, item.name) == (kind, name)]
    good = [item for item in own if item.ok]
    last = own[-1] if own else None
    problem = None
    if not good:
        problem = "there is no good copy yet"
    elif (age := now - records.moment(good[-1].time)) > limit:
        problem = f"the last good copy is {_hours(age)} old; expected {_hours(limit)} at most"
    elif age < -timedelta(minutes=2):
        problem = "the last good copy is from the future: the clock was set back"
    if last is not None and not last.ok:
        problem = f"{problem}; {last.message}" if problem else last.message
    return {
        "kind": kind,
        "name": name,
        "problem": problem,
        "limit_hours": limit.total_seconds() / 3600,
        "last_good": _item(good[-1]) if good else None,
        "last": _item(last) if last else None,
    }


def _job(name: str, limit: timedelta, now: datetime, runs: Sequence[Run]) -> dict[str, Any]:
    own = [run for run in runs if run.job == name and run.outcome != "running"]
    problem = None
    if not own:
        problem = "it has not run yet"
    elif own[-1].outcome != "done":
        problem = own[-1].message
    elif now - records.moment(own[-1].begin) > limit:
        problem = (
            f"it ran {_hours(now - records.moment(own[-1].begin))} ago; expected {_hours(limit)} at most"
        )
    return {"name": name, "problem": problem, "last": own[-1].as_json() if own else None}


def _item(item: Item) -> dict[str, Any]:
    return records.item_json(item)


def _hours(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} days"
