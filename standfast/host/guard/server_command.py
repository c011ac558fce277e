"""``standfast-host guard``: let through what the guards of a server refuse, for minutes, on record."""

from __future__ import annotations

import argparse
import os
import sys

from standfast.host.guard import database_window, docker_switch, protection, window

EPILOG = """\
examples:
  standfast-host guard allow --for 10m --reason "the old media volume has been copied"
  standfast-host guard status          what is in force, what was refused lately
  standfast-host guard close           end the window now

exit codes: 0 done; 1 failed, the message says what; 3 the command line is wrong, nothing was done
"""
SHOWN = 5


def main(arguments: list[str]) -> int:
    """Run one action; its exit code."""
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as end:
        return 3 if end.code else 0
    if os.geteuid() != 0:
        sys.stderr.write("standfast-host guard: only root may do that; use sudo. Nothing was done.\n")
        return 1
    try:
        return int(given.action(given))
    except ValueError as error:
        sys.stderr.write(f"standfast-host guard: {error}. Nothing was done.\n")
        return 3
    except OSError as error:
        sys.stderr.write(f"standfast-host guard: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "standfast-host guard",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="name", required=True)
    allow = actions.add_parser("allow", help="let through what is refused otherwise; ends by itself")
    allow.add_argument(
        "--for", dest="duration", required=True, metavar="TIME", help="10m, 90s, 1h; at most 4h"
    )
    allow.add_argument("--reason", required=True, help="for the record")
    allow.set_defaults(action=_allow)
    close = actions.add_parser("close", help="end the window now")
    close.set_defaults(action=_close)
    status = actions.add_parser("status", help="what is in force, and what was decided lately")
    status.set_defaults(action=_status)
    return parser


def _allow(given: argparse.Namespace) -> int:
    duration = window.seconds(given.duration)
    if not given.reason.strip():
        raise ValueError("expected a reason, found an empty one")
    opened = window.open_for(duration, given.reason.strip())
    window.record("window opened", {"by": opened.by, "until": opened.until, "reason": opened.reason})
    sys.stderr.write(
        f"until {opened.until} the guards of this server let through what they refuse otherwise, and record "
        "it. End it sooner: standfast-host guard close\n"
    )
    return _told(database_window.opened(protection.databases(), duration, opened.by, opened.reason))


def _close(_: argparse.Namespace) -> int:
    was_open = window.close()
    if was_open:
        window.record("window closed", {"by": window.person()})
    sys.stderr.write("the window is closed\n" if was_open else "no window was open\n")
    return _told(database_window.closed(protection.databases()))


def _told(failed: list[str]) -> int:
    for each in failed:
        sys.stderr.write(f"not there: {each}\n")
    return 1 if failed else 0


def _status(_: argparse.Namespace) -> int:
    opened = window.current()
    lines = [f"Docker: {docker_switch.state().said}"]
    lines += [
        f"database {name}: {database_window.state(name, each)}"
        for name, each in protection.databases().items()
    ]
    if opened:
        lines.append(f"window: open until {opened.until}, by {opened.by}: {opened.reason}")
    else:
        lines.append("window: none is open")
    for each in window.recorded()[-SHOWN:]:
        what = each.get("request") or each.get("reason") or ""
        lines.append(f"  {each['time']}  {each['decision']}  {what}".rstrip())
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
