"""``standfast-host copies``: what the repository holds, and what is known about each copy."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

from standfast.host import telling
from standfast.host.backup import configuration, layout, manifests, records
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import DatabaseManifest
from standfast.host.backup.records import Run
from standfast.host.backup.restic import Repository, Snapshot
from standfast.host.restore import leftovers
from standfast.host.restore.selection import doubtful

TRIED = ("restore", "drill")
"""Jobs that bring a copy back: what they say about it is known, the rest is hoped."""


def main(arguments: list[str]) -> int:
    """Print all copies; the exit code."""
    parser = argparse.ArgumentParser("standfast-host copies", description=__doc__, allow_abbrev=False)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        settings = configuration.load()
        repository = Repository(settings)
        document = described(settings, repository, repository.snapshots(layout.TAG), records.runs())
    except Fault as fault:
        if options.json:
            telling.answer(json.dumps({"error": str(fault)}, ensure_ascii=False))
        telling.progress(f"standfast-host copies: {fault}")
        return fault.code
    telling.answer(json.dumps(document, ensure_ascii=False, indent=None if options.json else 1))
    return 0


def described(
    settings: Configuration, repository: Repository, every: Sequence[Snapshot], runs: Sequence[Run]
) -> dict[str, Any]:
    """Everything that is configured, with its copies, the newest first."""
    known = _figures(runs)
    tried = _tried(runs)
    subjects = [
        *(("database", name) for name in settings.databases),
        *(("volume", name) for name in settings.volumes),
    ]
    subjects += sorted({each.subject for each in every if each.subject} - set(subjects))
    return {
        "server": settings.server,
        "repository": settings.repository,
        "excluded": dict(settings.excluded),
        "dumped": list(settings.dumped),
        "left": leftovers.told(settings),
        "items": [
            _subject(
                kind, name, [copy for copy in every if copy.subject == (kind, name)], known, tried, repository
            )
            for kind, name in subjects
        ],
    }


def _subject(
    kind: str,
    name: str,
    copies: Sequence[Snapshot],
    known: Mapping[str, Mapping[str, Any]],
    tried: Mapping[str, list[dict[str, Any]]],
    repository: Repository,
) -> dict[str, Any]:
    good = [copy for copy in copies if not doubtful(copy)]
    figures = dict(known)
    if good and good[-1].id not in figures:
        figures[good[-1].id] = _of_manifest(repository, good[-1])
    return {
        "kind": kind,
        "name": name,
        "rpo_seconds": _age(good[-1]) if good else None,
        "longest_gap_seconds": _longest_gap(good),
        "rto_seconds": _last_seconds(copies, tried),
        "copies": [
            {
                "id": copy.id,
                "time": copy.time.astimezone(timezone.utc).isoformat(timespec="seconds"),
                "doubtful": doubtful(copy),
                "figures": dict(figures.get(copy.id, {})),
                "restored": tried.get(copy.id, []),
            }
            for copy in reversed(copies)
        ],
    }


def _figures(runs: Iterable[Run]) -> dict[str, Mapping[str, Any]]:
    """What the runs of backups have counted, by snapshot."""
    return {
        item.snapshot: item.data
        for run in runs
        if run.job not in TRIED
        for item in run.items
        if item.snapshot is not None
    }


def _tried(runs: Iterable[Run]) -> dict[str, list[dict[str, Any]]]:
    """Restores and drills of each snapshot, the oldest first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        for item in run.items if run.job in TRIED else ():
            if item.snapshot is not None:
                found.setdefault(item.snapshot, []).append(
                    {
                        "how": run.job,
                        "time": run.begin,
                        "ok": item.ok,
                        "seconds": _until_it_ran(run),
                        "message": item.message,
                    }
                )
    return found


def _until_it_ran(run: Run) -> float | None:
    """From a run's begin until everything in it was back, the application's answer included."""
    every = [float(item.data["seconds"]) for item in run.items if item.data.get("seconds")]
    return max(every, default=None)


def _of_manifest(repository: Repository, copy: Snapshot) -> dict[str, Any]:
    try:
        manifest = manifests.of(repository, copy)
    except Fault:
        return {}
    if isinstance(manifest, DatabaseManifest):
        return {
            "rows": manifest.census.rows,
            "tables": len(manifest.census.tables),
            "bytes": manifest.files[layout.DUMP].bytes,
        }
    return {"files": manifest.files, "bytes": manifest.bytes}


def _age(copy: Snapshot) -> float:
    return round((datetime.now(timezone.utc) - copy.time).total_seconds(), 1)


def _longest_gap(good: Sequence[Snapshot]) -> float | None:
    """Between two copies that follow each other: what could have been lost."""
    gaps = [(later.time - sooner.time).total_seconds() for sooner, later in pairwise(good)]
    return round(max(gaps), 1) if gaps else None


def _last_seconds(copies: Sequence[Snapshot], tried: Mapping[str, list[dict[str, Any]]]) -> float | None:
    """Of the last restore or drill that went well."""
    every = [each for copy in copies for each in tried.get(copy.id, []) if each["ok"] and each["seconds"]]
    return float(max(every, key=lambda each: each["time"])["seconds"]) if every else None
