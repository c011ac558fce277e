"""``standfast-host backup``: the command line."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial

from standfast.host import telling
from standfast.host.backup import configuration, jobs, records, schedule, status, upkeep, writers
from standfast.host.backup.faults import Fault, WrongConfiguration
from standfast.host.backup.restic import Repository

KINDS = {"all": ("database", "volume"), "databases": ("database",), "volumes": ("volume",)}
SCHEDULED = ("databases", "volumes", "check", "prune", "drill")

EPILOG = """\
examples:
  standfast-host backup all                      everything, now
  standfast-host backup databases --accept shop  rows were deleted on purpose
  standfast-host backup status                   is everything backed up, and when was it?

exit codes: 0 done; 1 failed, the message says what; 3 the command line or the configuration is wrong;
5 another run is at work; 130 interrupted
"""


def main(arguments: list[str]) -> int:
    """Run one action of the backups; returns the exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    telling.unhindered()
    os.umask(0o077)
    action: Callable[[argparse.Namespace], int] = options.action
    try:
        return action(options)
    except Fault as fault:
        telling.progress(f"standfast-host backup: {fault}")
        return fault.code
    except KeyboardInterrupt:
        telling.progress("standfast-host backup: interrupted; what had been stored stays")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="standfast-host backup", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(action=lambda _: _usage(parser))
    actions = parser.add_subparsers(metavar="ACTION")

    def action(name: str, text: str, action: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=text, description=text)
        made.set_defaults(action=action)
        return made

    _making(action("all", "copy all databases and volumes", partial(_copies, "all")))
    _making(action("databases", "dump, check and store databases", partial(_copies, "databases")))
    _making(
        action("volumes", "copy volumes; their writers stand still for a moment", partial(_copies, "volumes"))
    )
    checking = action("check", "is the repository whole? reads another part of the data each time", _check)
    checking.add_argument("--all", action="store_true", help="read all data")
    checking.add_argument("--part", metavar="N/M", help="read this part of the data", type=_part)
    _waiting(checking)
    _waiting(action("prune", "remove copies that retention does not keep", _prune))
    looking = action("status", "is everything backed up, and since when? exit code 1 when not", _status)
    looking.add_argument("--json", action="store_true", help="as JSON")
    scheduled = action("scheduled", "what cron runs: jobs that are due and have not been done", _scheduled)
    scheduled.add_argument("jobs", nargs="*", metavar="JOB", help=f"only these: {', '.join(SCHEDULED)}")
    _waiting(scheduled)
    action("check-password", "does the password on standard input open the repository?", _check_password)
    action("release", "let containers go on that a run which died has held", _release)
    watching = actions.add_parser("watch")
    watching.add_argument("pid", type=int)
    watching.add_argument("born")
    watching.set_defaults(action=_watch)
    return parser


def _making(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument(
        "--accept", action="append", default=[], metavar="NAME", help="copy it; what it has lost is meant"
    )
    _waiting(parser)


def _waiting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="wait for another run to end"
    )


def _part(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not 1 <= int(number) <= int(count):
        raise ValueError
    return int(number), int(count)


def _copies(job: str, options: argparse.Namespace) -> int:
    wanted = configuration.load()
    items = jobs.chosen(wanted, KINDS[job], [*options.names, *options.accept])
    with jobs.run(job, wanted, wait=options.wait, report=telling.progress) as record:
        jobs.back_up(wanted, record, items, accepted=options.accept, report=telling.progress)
    return 0


def _check(options: argparse.Namespace) -> int:
    wanted = configuration.load()
    with jobs.run("check", wanted, wait=options.wait, report=telling.progress) as record:
        repository = jobs.ready(wanted, telling.progress, make=False)
        look = partial(upkeep.check, repository, whole=options.all, part=options.part)
        jobs.attempt(record, upkeep.KIND, repository.place, telling.progress, look)
    return 0


def _prune(options: argparse.Namespace) -> int:
    wanted = configuration.load()
    with jobs.run("prune", wanted, wait=options.wait, report=telling.progress) as record:
        repository = jobs.ready(wanted, telling.progress, make=False)
        jobs.attempt(
            record, upkeep.KIND, repository.place, telling.progress, partial(upkeep.prune, wanted, repository)
        )
    return 0


def _status(options: argparse.Namespace) -> int:
    answer = status.status(configuration.load(), datetime.now(timezone.utc), records.runs())
    if options.json:
        sys.stdout.write(json.dumps(answer, indent=1, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(status.lines(answer)) + "\n")
    return 0 if answer["ok"] else 1


def _scheduled(options: argparse.Namespace) -> int:
    if unknown := set(options.jobs) - set(SCHEDULED):
        raise WrongConfiguration(f"{', '.join(unknown)}: expected {', '.join(SCHEDULED)}. Nothing was done.")
    return schedule.run(
        configuration.load(), options.jobs or SCHEDULED, wait=options.wait, report=telling.progress
    )


def _check_password(_: argparse.Namespace) -> int:
    wanted = configuration.load()
    password = sys.stdin.read().rstrip("\r\n")
    if not password:
        raise WrongConfiguration("expected the password on standard input, found nothing there.")
    if not Repository(wanted).opens_with(password):
        raise Fault(f"this password does not open the repository {wanted.repository}. Correct your copy.")
    telling.progress(f"this password opens the repository {wanted.repository}")
    return 0


def _release(_: argparse.Namespace) -> int:
    writers.release(telling.progress)
    return 0


def _watch(options: argparse.Namespace) -> int:
    writers.watch(options.pid, options.born)
    return 0


def _usage(parser: argparse.ArgumentParser) -> int:
    parser.print_help(sys.stderr)
    return 3
