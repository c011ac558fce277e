"""``standfast-host safety-copy``: what apply calls before it changes a server that is precious."""

from __future__ import annotations

import argparse
import json

from standfast.host import telling
from standfast.host.backup import configuration, databases, jobs, layout
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.faults import Fault
from standfast.host.backup.records import Item, Record
from standfast.host.backup.restic import Repository

JOB = "safety-copy"


def main(arguments: list[str]) -> int:
    """Copy every database that runs; the exit code."""
    parser = argparse.ArgumentParser("standfast-host safety-copy", description=__doc__, allow_abbrev=False)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--wait", type=float, default=600, metavar="SECONDS", help="for another run's end")
    options = parser.parse_args(arguments)
    telling.unhindered()
    try:
        if not layout.CONFIGURATION.exists():
            document: dict[str, object] = {"copied": [], "skipped": [], "configured": False}
        else:
            document = _copied(configuration.load(), options.wait)
    except Fault as fault:
        if options.json:
            telling.answer(json.dumps({"error": str(fault)}, ensure_ascii=False))
        telling.progress(f"standfast-host safety-copy: {fault}")
        return fault.code
    telling.answer(json.dumps(document, ensure_ascii=False))
    return 0


def _copied(settings: Configuration, wait: float) -> dict[str, object]:
    """
    Copy the databases that run.

    Raises:
        Fault: one of them could not be copied.
    """
    skipped = []
    with jobs.run(JOB, settings, wait=wait, report=telling.progress) as record:
        repository = None
        for name, each in settings.databases.items():
            try:
                databases.where(name, each)
            except Fault as fault:
                # Nothing answers, so nothing can be dumped; apply may be what brings it back.
                skipped.append(f"database {name} does not run, so it was not copied: {fault}")
                continue
            repository = repository or jobs.ready(settings, telling.progress)
            telling.progress(f"safety copy: database {name}")
            _copy(name, settings, repository, record)
    copies = [
        {"name": item.name, "snapshot": item.snapshot, "message": item.message, **item.data}
        for item in record.items
    ]
    return {"copied": copies, "skipped": skipped, "configured": True}


def _copy(name: str, settings: Configuration, repository: Repository, record: Record) -> None:
    item = databases.back_up(name, settings, lambda: repository, versions={"restic": jobs.restic_version()})
    if item.ok:
        record.item(item)
        return
    # It is whole, and stored as suspect: that is for the next backup to fail on, not for this change.
    telling.progress(f"! database {name}: {item.message}")
    record.item(Item(item.kind, item.name, True, item.message, item.snapshot, item.data))
