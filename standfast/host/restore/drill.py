"""
``standfast-host drill``: the newest copies, brought back into throwaway containers of the same images.

Everything is compared with its manifest, the application is started on it and asked for its page. Nothing
that is in service is touched, and nothing stays.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from standfast.host import telling
from standfast.host.backup import (
    comparison,
    configuration,
    databases,
    jobs,
    layout,
    manifests,
    postgres,
    records,
    turn,
)
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import DatabaseManifest, VolumeManifest
from standfast.host.backup.postgres import Place
from standfast.host.backup.records import Item, Record
from standfast.host.backup.restic import Repository
from standfast.host.restore import (
    baggage,
    database,
    fetching,
    run,
    selection,
    throwaway,
    twin,
    volume,
)
from standfast.host.restore.database import Files
from standfast.host.restore.prospect import Restorable
from standfast.host.restore.twin import Twin
from standfast.host.schema import catalogue, copied

WAIT = 60


def main(arguments: list[str]) -> int:
    """Run a drill; its exit code."""
    parser = argparse.ArgumentParser("standfast-host drill", description=__doc__, allow_abbrev=False)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--wait", type=float, default=WAIT, metavar="SECONDS", help="for another run's end")
    parser.add_argument("--pack", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--unpack", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--remember", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--remove-after", metavar="PID:BORN", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        if options.remove_after:
            pid, _, born = options.remove_after.partition(":")
            twin.removed_after(int(pid), born)
            return 0
        if options.pack:
            telling.answer(baggage.packed())
            return 0
        telling.unhindered()
        if options.remember:
            return _remembered(options)
        return _unpacked(options) if options.unpack else _drilled(options)
    except Fault as fault:
        if options.json:
            telling.answer(json.dumps({"error": str(fault)}, ensure_ascii=False))
        telling.progress(f"standfast-host drill: {fault}")
        return fault.code


def _drilled(options: argparse.Namespace) -> int:
    settings = configuration.load()
    record: Record | None = None
    failed = ""
    try:
        with jobs.run("drill", settings, wait=options.wait, report=telling.progress) as record, _cleared():
            perform(_restorable(settings), record, telling.progress)
    except Fault as fault:
        if record is None:
            raise
        failed = str(fault)
    return _answered(options, record.items if record else [], failed)


def _unpacked(options: argparse.Namespace) -> int:
    """
    Drill the backups of another server, with what `baggage.packed` has said there.

    Nothing of it stays here: the other server keeps the record.
    """
    packed = baggage.parse(sys.stdin.read())
    settings = packed.configuration
    with turn.taken("drill", options.wait), _cleared():
        record = Record("drill", twin.FILES / "runs")
        try:
            packed.named()
            restorable = _restorable(settings, packed.unpacked(twin.FILES))
            perform(restorable, record, telling.progress, packed.resolved)
        except Fault as fault:
            record.item(Item("server", settings.server, False, str(fault)))
            telling.progress(f"✗ server {settings.server}: {fault}")
    message, failed = jobs.summary(record)
    return _answered(options, record.items, message if failed else "")


def _remembered(options: argparse.Namespace) -> int:
    """Record a drill of this server's backups that another server has made."""
    told = baggage.told(sys.stdin.read())
    record: Record | None = None
    try:
        settings = configuration.load()
        with jobs.run("drill", settings, wait=options.wait, report=telling.progress) as record:
            for item in told:
                record.item(item)
    except Fault:
        if record is None:
            raise
    return 0


@contextmanager
def _cleared() -> Iterator[None]:
    """Nothing of a drill is there before, nor afterwards, nor when this process is killed."""
    twin.removed()
    twin.watched()
    try:
        yield
    finally:
        twin.removed()


def _answered(options: argparse.Namespace, items: Sequence[Item], failed: str) -> int:
    if options.json:
        document = {"items": [records.item_json(each) for each in items], "passed": not failed}
        telling.answer(json.dumps(document, ensure_ascii=False))
    elif failed:
        telling.progress(f"standfast-host drill: {failed}")
    return 1 if failed else 0


def perform(
    restorable: Restorable,
    record: Record,
    report: telling.Report,
    resolved: Callable[[str], Mapping[str, Any]] = twin.resolved,
) -> None:
    """
    Drill everything that is configured, application by application; each one adds its items to the record.

    + resolved: an application as Compose resolves it

    Raises:
        Fault: there is nothing to drill: what was not tried has not passed.
    """
    settings = restorable.configuration
    wishes = restorable.wishes(None)
    if not wishes:
        raise Fault("there is nothing to drill: the backups have no database and no volume")
    left = {each.name for each in wishes if each.kind == "volume"}
    for app in sorted({each.app for each in settings.databases.values() if each.app}):
        left -= _application(app, restorable, record, sorted(left), report, resolved)
    for name, each in settings.databases.items():
        if not each.app:
            _tried(record, "database", name, report, partial(_beside, restorable, name, report))
    for name in sorted(left):
        _tried(record, "volume", name, report, partial(_volume, restorable, None, name, report))


def _application(
    app: str,
    restorable: Restorable,
    record: Record,
    volumes: Sequence[str],
    report: telling.Report,
    resolved: Callable[[str], Mapping[str, Any]],
) -> set[str]:
    """Drill one application with its databases and volumes; names of the volumes that belong to it."""
    started = time.monotonic()
    names = [name for name, each in restorable.configuration.databases.items() if each.app == app]
    try:
        made = twin.prepared(app, resolved(app))
    except Fault as fault:
        record.item(Item("application", app, False, str(fault)))
        return set()
    own = [name for name in volumes if name in made.volumes()]
    good = [
        *(
            _tried(record, "volume", name, report, partial(_volume, restorable, made, name, report))
            for name in own
        ),
        *(
            _tried(record, "database", name, report, partial(_database, restorable, made, name, report))
            for name in names
        ),
    ]
    url = restorable.configuration.health.get(app)

    def asked() -> Item:
        if not all(good):
            raise Fault("it was not started, because its data could not be brought back")
        report(f"application {app}: starting it on the restored copy")
        words = twin.page(made, url)
        seconds = round(time.monotonic() - started, 1)
        return Item(
            "application",
            app,
            True,
            f"{words} {seconds} s after the drill's begin",
            data={"seconds": seconds},
        )

    _tried(record, "application", app, report, asked)
    twin.put_away(made)
    return set(own)


def _tried(record: Record, kind: str, name: str, report: telling.Report, action: Callable[[], Item]) -> bool:
    """Do one part of a drill, and record how it went."""
    try:
        item = action()
    except Fault as fault:
        item = Item(kind, name, False, str(fault))
    record.item(item)
    report(f"{'✓' if item.ok else '✗'} {kind} {name}: {item.message}")
    return item.ok


def _chosen(restorable: Restorable, kind: str, name: str) -> tuple[str, DatabaseManifest | VolumeManifest]:
    """The newest good copy: its id and its manifest."""
    copy = selection.choose(restorable.every, kind, name, None, restorable.zone)
    return copy.id, manifests.stored(restorable.repository, copy)


def _database(restorable: Restorable, made: Twin, name: str, report: telling.Report) -> Item:
    declared = restorable.configuration.databases[name]
    started = time.monotonic()
    copy, manifest = _chosen(restorable, "database", name)
    if not isinstance(manifest, DatabaseManifest) or not declared.service:
        raise Fault(f"copy {copy[:8]} is none of a database in a service")
    report(f"database {name}: starting a throwaway {made.app}/{declared.service}")
    place = postgres.in_container(twin.started(made, declared.service), declared.user)
    found = _loaded(restorable, place, copy, manifest, declared.database, report)
    return _verdict("database", name, copy, manifest, found, started)


def _loaded(
    restorable: Restorable,
    place: Place,
    copy: str,
    manifest: DatabaseManifest,
    target: str,
    report: telling.Report,
) -> list[str]:
    """Bring a dump back as `target` of a throwaway server; what is not as the manifest says."""
    beside = database.beside_name(target, "restoring", run.stamp())
    with _fetched(restorable, place, copy, manifest, report) as files:
        report(f"database {manifest.name}: loading {manifest.census.rows:,} rows")
        dumped_schema = database.load(place, files, manifest, beside)
    database.swap(place, target, beside, database.beside_name(target, "before", run.stamp()))
    report(f"database {manifest.name}: comparing {len(manifest.census.tables)} tables with the manifest")
    restored = database.counted(place, target)
    every = comparison.differences(manifest.census, restored, dumped_schema=dumped_schema)
    if layout.CATALOGUE in manifest.files and any(each.startswith(comparison.SCHEMA) for each in every):
        then = copied.parse((files.folder / layout.CATALOGUE).read_text(encoding="utf-8"))
        _, now = catalogue.read(copied.reach(place, target))
        every += copied.differences(then, now)
    # The image itself makes this role, as a superuser, whatever was done to it later.
    return [each for each in every if not each.startswith(f"role {place.user}: ")]


@contextmanager
def _fetched(
    restorable: Restorable, place: Place, copy: str, manifest: DatabaseManifest, report: telling.Report
) -> Iterator[Files]:
    report(f"database {manifest.name}: fetching the copy of {manifest.time}")
    shutil.rmtree(twin.FETCHED, ignore_errors=True)
    with fetching.fetched(restorable.repository, copy, manifest, place, twin.FETCHED) as files:
        yield files


def _beside(restorable: Restorable, name: str, report: telling.Report) -> Item:
    """A database of the host has no image to start: it is loaded beside the one in service, and dropped."""
    started = time.monotonic()
    copy, manifest = _chosen(restorable, "database", name)
    if not isinstance(manifest, DatabaseManifest):
        raise Fault(f"copy {copy[:8]} is none of a database")
    if restorable.repository.secrets != layout.SECRETS:
        raise Fault("it runs on its server itself, not in a service, so it cannot be drilled on another one")
    place, _ = databases.where(name, restorable.configuration.databases[name])
    beside = database.beside_name(manifest.database, "restoring", run.stamp())
    try:
        with _fetched(restorable, place, copy, manifest, report) as files:
            dumped_schema = database.load(place, files, manifest, beside)
        found, _ = database.compared(manifest, database.counted(place, beside), dumped_schema)
    finally:
        database.drop(place, beside)
    return _verdict("database", name, copy, manifest, found, started)


def _volume(restorable: Restorable, made: Twin | None, name: str, report: telling.Report) -> Item:
    """
    Bring a volume back into a throwaway one.

    + made: the application that shall mount it; ``None`` when it is only compared
    """
    started = time.monotonic()
    copy, manifest = _chosen(restorable, "volume", name)
    if not isinstance(manifest, VolumeManifest):
        raise Fault(f"copy {copy[:8]} is none of a volume")
    own = made.volumes()[name] if made else f"standfast-drill_{name}"
    place = volume.make(own, {throwaway.LABEL: own})
    report(f"volume {name}: fetching {manifest.files:,} files, {manifest.bytes / 1e6:,.1f} MB")
    fetching.fetch(restorable.repository, copy, volume.fetching_place(place))
    volume.settle_fetched(place, manifest)
    found, notes = volume.compared(manifest, volume.contents(place))
    for note in notes:
        report(f"volume {name}: {note}")
    return _verdict("volume", name, copy, manifest, found, started)


def _verdict(
    kind: str,
    name: str,
    copy: str,
    manifest: DatabaseManifest | VolumeManifest,
    faults: Sequence[str],
    started: float,
) -> Item:
    seconds = round(time.monotonic() - started, 1)
    if faults:
        message = f"the copy of {manifest.time} is not what its manifest says: {'; '.join(faults)}"
        return Item(kind, name, False, message, copy, {"seconds": seconds})
    amount = (
        f"{manifest.census.rows:,} rows in {len(manifest.census.tables)} tables"
        if isinstance(manifest, DatabaseManifest)
        else f"{manifest.files:,} files"
    )
    message = f"the copy of {manifest.time}: {amount}, all as its manifest says, back in {seconds} s"
    return Item(kind, name, True, message, copy, {"seconds": seconds})


def _restorable(settings: Configuration, secrets: layout.Secrets = layout.SECRETS) -> Restorable:
    repository = Repository(settings, secrets)
    return Restorable(settings, repository, repository.snapshots(layout.TAG))
