"""``standfast-host restore``: what people type on the server, and what the controller calls."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from standfast.host import telling
from standfast.host.backup import configuration, layout, records, turn
from standfast.host.backup.faults import Fault, WrongConfiguration
from standfast.host.backup.records import Item, Record
from standfast.host.backup.restic import Repository
from standfast.host.restore import health, leftovers, prospect, run, safety
from standfast.host.restore.prospect import Restorable, Wish
from standfast.host.restore.run import Outcome

WAIT = 60
"""Seconds to wait for a backup that is running."""

DESCRIPTION = """Replace databases and volumes with what a backup holds: beside, compared, then swapped.
Without --yes it shows what would be replaced and changes nothing. What is replaced is kept, with another
name."""
EPILOG = """exit codes: 0 shown or restored; 1 failed, the message says what is there now; 3 command line or
configuration wrong; 5 another run is at work; 6 refused, nothing was changed"""


def main(arguments: list[str]) -> int:
    """Run the command; its exit code."""
    options = _parsed(arguments)
    try:
        document = _restored(options) if options.yes else _shown(options)
    except Fault as fault:
        if options.json:
            telling.answer(json.dumps({"error": str(fault)}, ensure_ascii=False))
        telling.progress(f"standfast-host restore: {fault}")
        return fault.code
    if options.json:
        telling.answer(json.dumps(document, ensure_ascii=False))
    else:
        telling.answer("\n".join(_lines(document)))
    return 0


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "standfast-host restore", description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False
    )
    parser.add_argument("--database", action="append", default=[], metavar="NAME")
    parser.add_argument("--volume", action="append", default=[], metavar="NAME")
    parser.add_argument("--all", action="store_true", help="every database and volume of the backups")
    parser.add_argument("--at", metavar="TIME|ID", help="the last copy of that time or before, or this copy")
    parser.add_argument(
        "--copy", action="append", default=[], metavar="KIND:NAME=ID", help="exactly this copy"
    )
    parser.add_argument("--to", metavar="NAME", help="a new database or volume; nothing is replaced")
    parser.add_argument("--yes", action="store_true", help="do it")
    parser.add_argument("--without-copy", action="store_true", help="also where no copy can be taken before")
    parser.add_argument("--health", action="append", default=[], metavar="URL", help="must answer afterwards")
    parser.add_argument("--json", action="store_true")
    try:
        return parser.parse_args(arguments)
    except SystemExit as end:
        raise SystemExit(3 if end.code else 0) from None


def _wishes(options: argparse.Namespace, restorable: Restorable) -> list[Wish]:
    exactly = [_exact(each, options.to) for each in options.copy]
    named = [
        *(Wish("database", name, options.at, options.to) for name in options.database),
        *(Wish("volume", name, options.at, options.to) for name in options.volume),
    ]
    every = restorable.wishes(options.at) if options.all else []
    wishes = exactly + named + every
    if sum(map(bool, (exactly, named, every))) != 1:
        raise WrongConfiguration("expected --database NAME, --volume NAME or --all. Nothing was done.")
    if options.to and len(wishes) != 1:
        raise WrongConfiguration("--to: expected exactly one database or volume with it. Nothing was done.")
    return wishes


def _exact(text: str, to: str | None) -> Wish:
    what, _, identity = text.rpartition("=")
    kind, _, name = what.partition(":")
    if kind not in ("database", "volume") or not name or not identity:
        raise WrongConfiguration(f"--copy: expected KIND:NAME=ID, not {text!r}. Nothing was done.")
    return Wish(kind, name, identity, to)


def _opened() -> Restorable:
    settings = configuration.load()
    repository = Repository(settings)
    return Restorable(settings, repository, repository.snapshots(layout.TAG))


def _shown(options: argparse.Namespace) -> dict[str, Any]:
    restorable = _opened()
    found = [prospect.look(restorable, wish) for wish in _wishes(options, restorable)]
    return {
        "items": [each.as_json() for each in found],
        "left": leftovers.told(restorable.configuration),
    }


def _restored(options: argparse.Namespace) -> dict[str, Any]:
    telling.unhindered()
    started = time.monotonic()
    restorable = _opened()
    with turn.taken("restore", WAIT), recorded() as record:
        left = leftovers.settled(restorable.configuration, telling.progress)
        for sentence in left:
            telling.progress(sentence)
        found = [prospect.look(restorable, wish) for wish in _wishes(options, restorable)]
        copies = safety.taken(restorable, found, telling.progress, may_fail=options.without_copy)
        outcomes = run.perform(restorable, found, telling.progress)
        safety.remember(found)
        answering = health.answered(options.health, telling.progress)
        seconds = round(time.monotonic() - started, 1)
        for outcome in outcomes:
            record.item(_item(outcome, seconds))
    return {
        "items": [each.as_json() for each in outcomes],
        "copies": [records.item_json(each) for each in copies.made],
        "without_copy": list(copies.without),
        "left": left,
        "answering": answering,
        "seconds": seconds,
        "record": record.id,
    }


@contextmanager
def recorded() -> Iterator[Record]:
    """A record of the run, with its end."""
    record = Record("restore")
    try:
        yield record
    except Fault as fault:
        record.end(str(fault), failed=True)
        raise
    record.end("restored", failed=False)


def _item(outcome: Outcome, seconds: float) -> Item:
    made = outcome.prospect
    kept = f"; what was there is kept as {outcome.kept}" if outcome.kept else ""
    return Item(
        made.kind,
        made.name,
        ok=True,
        message=f"restored the copy of {made.manifest.time} as {made.target}{kept}",
        snapshot=made.copy.id,
        data={"seconds": seconds, "away_seconds": round(outcome.away_seconds, 2), "kept": outcome.kept},
    )


def _lines(document: dict[str, Any]) -> list[str]:
    """The answer for people."""
    lines = [*document["left"]]
    for item in document["items"]:
        then = item["then"]
        amount = (
            f"{then['files']:,} files, {then['bytes'] / 1e6:,.1f} MB"
            if item["kind"] == "volume"
            else f"{sum(then.values()):,} rows in {len(then)} tables"
        )
        lines.append(
            f"{item['kind']} {item['target']}: {amount}, of {item['time']} (copy {item['snapshot'][:8]})"
        )
        if item.get("kept"):
            lines.append(
                f"    what was there is kept as {item['kept']}; remove it yourself when nobody needs it"
            )
        lines += [f"    note: {note}" for note in item.get("notes", ())]
    if "seconds" in document:
        lines.append(f"restored in {document['seconds']} s")
    else:
        lines.append("nothing was changed; add --yes to do it")
    return lines
