"""What cron calls at each job's time, every hour, and at boot: what is due and not yet done is done now."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from standfast.host.backup import databases, jobs, programs, records, status, timetable, turn, upkeep, writers
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.faults import Busy, Fault

PLURALS = {"databases": "database", "volumes": "volume"}
BOOT_SECONDS = 10 * 60
"""How long containers may take after a boot."""
BOOT_PAUSE = 5


def run(
    configuration: Configuration, wanted: Collection[str], *, wait: float, report: Callable[[str], None]
) -> int:
    """
    Do what is due; a job that fails does not keep the next one from running.

    Returns the exit code: that of the worst.
    """
    _released(report)
    codes = [0]
    for job in wanted:
        try:
            _run(job, configuration, wait, report)
        except Busy as busy:
            report(f"{job}: {busy}")
            codes.append(busy.code)
        except Fault as fault:
            report(f"{job}: {fault}")
            codes.append(1)
    return 1 if 1 in codes else max(codes)


def due(
    job: str, configuration: Configuration, now: datetime, runs: Collection[records.Run]
) -> list[tuple[str, str]]:
    """Items of a job that had to be done by now and were not; for other jobs than copies, its name."""
    known = list(runs)
    if job in PLURALS:
        return [
            (kind, name)
            for (kind, name), moment in timetable.copies(configuration, now).items()
            if kind == PLURALS[job] and not status.stored_since(kind, name, moment, known)
        ]
    moment = timetable.jobs(configuration, now).get(job)
    if moment is None or not (configuration.databases or configuration.volumes):
        return []
    begun = any(
        run.job == job and run.outcome != "killed" and records.moment(run.begin) >= moment for run in known
    )
    return [] if begun else [(upkeep.KIND, job)]


def _run(job: str, configuration: Configuration, wait: float, report: Callable[[str], None]) -> None:
    items = due(job, configuration, datetime.now(timezone.utc), records.runs())
    if not items:
        return
    if job == "drill":
        done = programs.run([writers.PROGRAM, "drill"], seconds=programs.LONG)
        if done.code != 0:
            raise Fault(done.reason)
        return
    if job == "databases":
        _up(configuration)
    with jobs.run(job, configuration, wait=wait, report=report) as record:
        if job in PLURALS:
            # Another run may have done it while this one waited for its turn.
            items = due(job, configuration, datetime.now(timezone.utc), records.runs())
            jobs.back_up(configuration, record, items, report=report)
            return
        repository = jobs.ready(configuration, report, make=False)
        look = (
            partial(upkeep.check, repository, whole=False)
            if job == "check"
            else partial(upkeep.prune, configuration, repository)
        )
        jobs.attempt(record, upkeep.KIND, repository.place, report, look)


def _released(report: Callable[[str], None]) -> None:
    """At boot Docker may need a while; while a run is at work, its writers are its own."""
    try:
        with turn.taken("release", 0):
            _patiently(lambda: writers.release(report))
    except Busy:
        return
    except Fault as fault:
        report(str(fault))


def _up(configuration: Configuration) -> None:
    """Wait for containers that are still starting; whoever is not up by then is the run's to report."""
    for name, database in configuration.databases.items():
        try:
            _patiently(partial(databases.where, name, database))
        except Fault:
            return


def _patiently(action: Callable[[], object]) -> None:
    """Try for some minutes after a boot, else once."""
    while True:
        try:
            action()
        except Fault:
            if _up_for() > BOOT_SECONDS:
                raise
            time.sleep(BOOT_PAUSE)
        else:
            return


def _up_for() -> float:
    """Seconds since this system's first process began, also inside of a container."""
    ticks = float(Path("/proc/1/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
    return uptime - ticks / os.sysconf("SC_CLK_TCK")
