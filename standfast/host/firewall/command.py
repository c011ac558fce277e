"""``standfast-host firewall …``: what the engine, systemd and people call."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from standfast.host.firewall import durable, packets, trial, watchdog
from standfast.host.firewall.programs import Failure, succeeds

EPILOG = "Exit codes: 0 done; 1 not done, the message says why; 3 the command line is wrong."


def main(arguments: list[str]) -> int:
    """
    Run one command of the firewall.

    Returns 0 when it was done; 1 when not; 3 when the command line is wrong, and nothing was done.
    """
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as end:
        return 3 if end.code else 0
    try:
        return int(given.call(given))
    except (Failure, trial.Busy, OSError) as error:
        sys.stderr.write(f"standfast-host firewall {given.command}: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("standfast-host firewall", description=__doc__, epilog=EPILOG)
    commands = parser.add_subparsers(dest="command", required=True)
    arm = commands.add_parser("arm", help="keep what is in force, and have it put back unless confirmed")
    arm.add_argument("--token", required=True, help="a name for this trial")
    arm.add_argument("--seconds", required=True, type=int)
    arm.add_argument("--what", required=True, help="what is going to be changed, for people")
    arm.set_defaults(call=_arm)
    confirm = commands.add_parser("confirm", help="keep the change; rules hold after a reboot as well")
    confirm.add_argument("--token", help="only when it is this trial")
    confirm.set_defaults(call=_confirm)
    revert = commands.add_parser("revert", help="put back what was in force before the change on trial")
    revert.add_argument("--token", help="only when it is this trial")
    revert.add_argument("--why", default="undone by hand")
    revert.set_defaults(call=_revert)
    outcome = commands.add_parser("outcome", help="how a trial ended")
    outcome.add_argument("--token", required=True)
    outcome.set_defaults(call=_outcome)
    restore = commands.add_parser("restore", help="the rules that were confirmed last; ends a trial")
    restore.set_defaults(call=_restore)
    boot = commands.add_parser("boot", help="before the network is up: no change on trial survives a reboot")
    boot.set_defaults(call=_boot)
    watch = commands.add_parser("watch", help="the watchdog; ends when this program is replaced")
    watch.set_defaults(call=_watch)
    status = commands.add_parser("status", help="what is on trial, what the watchdog has put back")
    status.add_argument("--json", action="store_true")
    status.set_defaults(call=_status)
    return parser


def _arm(given: argparse.Namespace) -> int:
    trial.arm(given.token, given.seconds, given.what)
    return 0


def _confirm(given: argparse.Namespace) -> int:
    if trial.confirm(given.token):
        return 0
    sys.stderr.write("there is no such trial any more; the server went back\n")
    return 1


def _revert(given: argparse.Namespace) -> int:
    undone = trial.revert(given.token, given.why)
    sys.stderr.write("it is as it was before the change\n" if undone else "nothing is on trial\n")
    return 0


def _outcome(given: argparse.Namespace) -> int:
    sys.stdout.write(f"{trial.outcome(given.token)}\n")
    return 0


def _restore(_: argparse.Namespace) -> int:
    trial.revert(None, "the last confirmed rules were asked for")
    folder = trial.confirmed_folder()
    if folder is None:
        sys.stderr.write("no rules were ever confirmed on this server; nothing was changed\n")
        return 1
    with trial.alone():
        packets.load(folder)
    return 0


def _boot(_: argparse.Namespace) -> int:
    trial.boot()
    return 0


def _watch(_: argparse.Namespace) -> int:
    watchdog.watch()
    return 0


def _status(given: argparse.Namespace) -> int:
    armed = trial.current()
    found: dict[str, Any] = {
        "trial": durable.read_json(trial.TRIAL) if armed else None,
        "last_trial": durable.read_json(trial.LAST),
        "watchdog": succeeds("systemctl", "is-active", "--quiet", "standfast-watchdog.service"),
        "repairs": durable.read_json(watchdog.REPAIRS) or [],
        "confirmed": trial.confirmed_folder() is not None,
    }
    if given.json:
        sys.stdout.write(f"{json.dumps(found)}\n")
        return 0
    sys.stdout.write("".join(f"{line}\n" for line in _told(found)))
    return 0


def _told(found: dict[str, Any]) -> list[str]:
    armed, last = found["trial"], found["last_trial"]
    lines = [f"on trial: {armed['what']}, since {armed['armed']}" if armed else "on trial: nothing"]
    if last:
        why = f" ({last['why']})" if last["why"] else ""
        lines.append(f"last trial: {last['what']}, {last['outcome']} at {last['ended']}{why}")
    lines.append(f"watchdog: {'at work' if found['watchdog'] else 'not at work'}")
    lines += [
        f"put back at {each['time']}: {'; '.join(each['found'])} ({'; '.join(each['done'])})"
        for each in found["repairs"]
    ]
    lines.append("rules: confirmed" if found["confirmed"] else "rules: none were ever confirmed")
    return lines
