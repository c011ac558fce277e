"""``standfast-host snapshots``: what people type on the server, and what the controller calls."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from standfast.host import telling
from standfast.host.backup import turn
from standfast.host.backup.faults import Fault, WrongConfiguration
from standfast.host.backup.records import Item, Record
from standfast.host.restore import health
from standfast.host.snapshots import configuration, layout, returning, taking
from standfast.host.snapshots.btrfs import Btrfs
from standfast.host.snapshots.configuration import Configuration
from standfast.host.snapshots.driver import Driver
from standfast.host.snapshots.returning import Returned

DRIVERS: dict[str, Callable[[], Driver]] = {"btrfs": Btrfs}
WAIT = 60

EPILOG = """\
examples:
  standfast-host snapshots take --name before-upgrade     one that stays until you remove it
  standfast-host snapshots list
  standfast-host snapshots restore before-upgrade --volume toybox_media --yes

exit codes: 0 done; 1 failed, the message says what is there now; 3 command line or configuration wrong;
5 another run is at work; 6 refused, nothing was changed"""


def main(arguments: list[str]) -> int:
    """Run one action; its exit code."""
    options = _parser().parse_args(arguments)
    os.umask(0o077)
    telling.unhindered()
    try:
        document = options.action(options)
    except Fault as fault:
        if options.json:
            telling.answer(json.dumps({"error": str(fault)}, ensure_ascii=False))
        telling.progress(f"standfast-host snapshots: {fault}")
        return fault.code
    if options.json:
        telling.answer(json.dumps(document, ensure_ascii=False))
    else:
        telling.answer("\n".join(options.words(document)))
    if document.get("problem"):
        telling.progress(f"standfast-host snapshots: {document['problem']}")
        return 1
    return 0


class _Parser(argparse.ArgumentParser):
    """The exit code for a wrong command line is 3 here."""

    def exit(self, status: int = 0, message: str | None = None) -> Any:  # noqa: ANN401 - as argparse has it
        super().exit(3 if status else 0, message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        "standfast-host snapshots",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def action(
        name: str,
        text: str,
        does: Callable[[argparse.Namespace], dict[str, Any]],
        words: Callable[[dict[str, Any]], list[str]],
    ) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        made.add_argument("--json", action="store_true", help="the answer as JSON")
        made.add_argument("--wait", type=float, default=WAIT, metavar="SECONDS", help="for another run's end")
        made.set_defaults(action=does, words=words)
        return made

    take = action("take", "take a snapshot of the declared volumes", _take, _taken_words)
    take.add_argument("--name", help="a name of yours: retention never removes it")
    take.add_argument("--volume", action="append", default=[], metavar="NAME", help="only this")
    take.add_argument("--before-apply", action="store_true", help=argparse.SUPPRESS)
    action("list", "what there is, and which volumes are not in snapshots", _list, _list_words)
    restore = action(
        "restore", "show what would be replaced; with --yes replace it", _restore, _restore_words
    )
    restore.add_argument("key", metavar="ID", help="a snapshot's id, its beginning, or its name")
    restore.add_argument("--volume", required=True, metavar="NAME")
    restore.add_argument("--to", metavar="NAME", help="into a new volume; nothing is replaced")
    restore.add_argument("--yes", action="store_true", help="do it")
    restore.add_argument(
        "--health", action="append", default=[], metavar="URL", help="must answer afterwards"
    )
    remove = action("remove", "remove exactly these snapshots", _remove, _removed_words)
    remove.add_argument("ids", nargs="+", metavar="ID", help="whole ids, or names")
    return parser


@contextmanager
def _alone(job: str, options: argparse.Namespace) -> Iterator[tuple[Configuration, Driver, Record]]:
    """One run at a time, with a record; what a killed one has left is cleared up."""
    wanted = configuration.load()
    driver = DRIVERS[wanted.driver]()
    with turn.taken(job, options.wait, lock=layout.LOCK):
        record = Record(job, layout.RUNS)
        try:
            driver.settle()
            yield wanted, driver, record
        except Fault as fault:
            record.end(str(fault), failed=True)
            raise
        except BaseException as error:
            record.end(f"stopped: {type(error).__name__}: {error}", failed=True)
            raise


def _take(options: argparse.Namespace) -> dict[str, Any]:
    reason = taking.BEFORE_APPLY if options.before_apply else taking.BY_HAND
    with _alone("take", options) as (wanted, driver, record):
        taken = taking.take(wanted, driver, reason=reason, name=options.name, names=options.volume)
        made = taken.snapshot
        if made is not None:
            for name in sorted(made.volumes):
                record.item(Item("volume", name, True, f"in snapshot {made.id}", made.id))
        for each in taken.removed:
            record.item(Item("snapshot", each, True, f"removed: {wanted.keep} are kept", each))
        words = f"took {made.id}" if made else "took none: there is no volume yet"
        record.end(taken.problem or words, failed=taken.problem is not None)
    return taken.as_json()


def _list(_: argparse.Namespace) -> dict[str, Any]:
    wanted = configuration.load()
    driver = DRIVERS[wanted.driver]()
    found = taking.coverage(wanted, driver)
    return {
        "snapshots": [each.as_json() for each in driver.snapshots()],
        "covered": [each.name for each in found.covered],
        "uncovered": found.uncovered,
        "keep": wanted.keep,
    }


def _restore(options: argparse.Namespace) -> dict[str, Any]:
    if not options.yes:
        wanted = configuration.load()
        driver = DRIVERS[wanted.driver]()
        return {"prospect": returning.look(driver, options.key, options.volume, options.to).as_json()}
    started = time.monotonic()
    with (
        _alone("restore", options) as (wanted, driver, record),
        turn.taken("restore of a snapshot", options.wait),
    ):
        prospect = returning.look(driver, options.key, options.volume, options.to)
        returned = returning.bring_back(wanted, driver, prospect, telling.progress)
        answering = health.answered(options.health, telling.progress)
        record.item(_item(returned))
        record.end("restored", failed=False)
    return {
        "done": returned.as_json(),
        "answering": answering,
        "seconds": round(time.monotonic() - started, 1),
    }


def _item(returned: Returned) -> Item:
    made = returned.prospect
    kept = f"; what was there is kept as {returned.kept}" if returned.kept else ""
    message = f"volume {made.target} is as it was at {made.snapshot.about.time}{kept}"
    return Item("volume", made.name, True, message, made.snapshot.id)


def _remove(options: argparse.Namespace) -> dict[str, Any]:
    with _alone("remove", options) as (_, driver, record):
        every = driver.snapshots()
        named = {key: [each for each in every if key in (each.id, each.about.name)] for key in options.ids}
        if missing := [key for key, found in named.items() if not found]:
            raise WrongConfiguration(
                f"{', '.join(missing)}: expected whole ids or names of snapshots. Nothing was removed."
            )
        gone = {found[0].id: found[0] for found in named.values()}
        for each in gone.values():
            driver.remove(each)
            record.item(Item("snapshot", each.id, True, "removed by hand", each.id))
        record.end(f"removed {', '.join(gone)}", failed=False)
    return {"removed": list(gone)}


def _taken_words(document: dict[str, Any]) -> list[str]:
    one = document["snapshot"]
    lines = ["none was taken: there is no volume yet"]
    if one is not None:
        lines = [f"{one['name'] or one['id']}: {', '.join(one['volumes'])}, in {document['seconds']} s"]
    lines += [f"    not in it: volume {name}: {why}" for name, why in document["uncovered"].items()]
    return [*lines, *(f"    removed: {each}" for each in document["removed"])]


def _list_words(document: dict[str, Any]) -> list[str]:
    lines = [
        f"{one['id']}  {one['time']}  {one['reason']}{'  ' + one['name'] if one['name'] else ''}  "
        f"{', '.join(one['volumes'])}{'  DAMAGED: ' + one['damage'] if one['damage'] else ''}"
        for one in document["snapshots"]
    ]
    lines += [f"in no snapshot: volume {name}: {why}" for name, why in document["uncovered"].items()]
    return lines or ["there is none yet"]


def _restore_words(document: dict[str, Any]) -> list[str]:
    made = document.get("done") or document["prospect"]
    then, now = made["then"], made["now"]
    there = "nothing is there" if now is None else f"{now['files']:,} files, {now['bytes'] / 1e6:,.1f} MB"
    amount = f"{then['files']:,} files, {then['bytes'] / 1e6:,.1f} MB"
    lines = [f"volume {made['target']}: {amount}, of {made['snapshot']['time']}; before: {there}"]
    if "done" not in document:
        stopped = f", which stops {', '.join(made['stops'])} for a moment" if made["stops"] else ""
        return [*lines, f"nothing was changed; add --yes to do it{stopped}"]
    if made["kept"]:
        lines.append(f"    what was there is kept as {made['kept']}; remove it yourself when nobody needs it")
    return lines


def _removed_words(document: dict[str, Any]) -> list[str]:
    return [f"removed: {each}" for each in document["removed"]]
