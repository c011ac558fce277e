"""``standfast-host backup``: the command line."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable

from standfast.host.backup import configuration, jobs, writers
from standfast.host.backup.faults import Fault

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
    os.umask(0o077)
    action: Callable[[argparse.Namespace], int] = options.action
    try:
        return action(options)
    except Fault as fault:
        _say(f"standfast-host backup: {fault}")
        return fault.code
    except KeyboardInterrupt:
        _say("standfast-host backup: interrupted; what had been stored stays")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="standfast-host backup", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(action=lambda _: _usage(parser))
    actions = parser.add_subparsers(metavar="ACTION")
    making = _action(actions, "databases", "dump, check and store all databases", _databases)
    _making(making)
    watching = actions.add_parser("watch")
    watching.add_argument("pid", type=int)
    watching.add_argument("born")
    watching.set_defaults(action=_watch)
    return parser


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    action: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    made = actions.add_parser(name, help=text, description=text)
    made.set_defaults(action=action)
    return made


def _making(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument(
        "--accept", action="append", default=[], metavar="NAME", help="what it has lost is meant"
    )
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="wait for another run to end"
    )


def _databases(options: argparse.Namespace) -> int:
    wanted = configuration.load()
    with jobs.run("databases", wanted, wait=options.wait, report=_say) as record:
        jobs.back_up_databases(
            wanted,
            record,
            only=[*options.names, *options.accept],
            accepted=options.accept,
            report=_say,
        )
    return 0


def _watch(options: argparse.Namespace) -> int:
    writers.watch(options.pid, options.born)
    return 0


def _usage(parser: argparse.ArgumentParser) -> int:
    parser.print_help(sys.stderr)
    return 3


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
