"""Services of systemd: started or stopped, now and at boot."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.errors import Refused
from standfast.facts.systemd import Unit, UnitState
from standfast.operations.change import Change, Step
from standfast.operations.named import operation

JOURNAL_LINES = 12


@operation
def service(unit: str, *, running: bool = True, enabled: bool = True) -> Generator[StringCommand, None, None]:
    """
    Make sure that a service runs (or does not), now and after a reboot.

    A service that is not installed yet is planned as enabled and started. One that failed, or crashes
    again and again, is restarted; the plan says why.

    + unit: service name, or another unit with its suffix, for example ``apt-daily.timer``
    + running: a unit that ends by itself (``Type=oneshot``) must stay active (``RemainAfterExit=yes``)
    + enabled: whether it is started at boot

    Raises:
        Refused: the unit is masked and shall run; nothing has been changed.
    """
    unit = unit if "." in unit else f"{unit}.service"
    present = host.get_fact(Unit, unit=unit)
    if present.load == "masked" and (running or enabled):
        raise Refused(
            f"{unit}: expected a service that can run, found it masked: somebody forbade it on purpose. "
            f"Run `systemctl unmask {unit}` on the server, or do not declare it. Nothing was changed."
        )
    changes, commands = _enabling(unit, present, enabled)
    more_changes, more_commands = _running(unit, present, running)
    if not changes and not more_changes:
        host.noop(f"{unit} is as declared")
        return
    yield Step("\n".join([_PRELUDE, *commands, *more_commands]), changes=[*changes, *more_changes])


_PRELUDE = "set -e; export LC_ALL=C; trap '' HUP PIPE"


def _enabling(unit: str, present: UnitState, enabled: bool) -> tuple[list[Change], list[str]]:
    """Nothing is shown for a new unit: that it starts at boot goes without saying."""
    quoted = shlex.quote(unit)
    if enabled and present.load == "not-found":
        return [], [f"systemctl enable --quiet -- {quoted}"]
    if enabled and not present.enabled:
        return [Change("update", unit, "enabled: starts at boot")], [f"systemctl enable --quiet -- {quoted}"]
    if not enabled and present.file in {"enabled", "enabled-runtime"}:
        change = Change("update", unit, "disabled: does not start at boot any more")
        return [change], [f"systemctl disable --quiet -- {quoted}"]
    return [], []


def _running(unit: str, present: UnitState, running: bool) -> tuple[list[Change], list[str]]:
    quoted = shlex.quote(unit)
    if running and not present.running:
        if present.failed:
            crashing = "it crashes again and again"
            reason = f"it failed ({present.result})" if present.active == "failed" else crashing
            return [Change("restart", unit, reason)], [_start_script(quoted, "restart")]
        return [Change("start", unit)], [_start_script(quoted, "start")]
    if not running and present.active not in {"inactive", "failed"}:
        return [Change("stop", unit)], [f"systemctl stop -- {quoted}"]
    return [], []


def _start_script(quoted: str, verb: str) -> str:
    return f"""unit={quoted}
[ "$(systemctl show -p NeedDaemonReload --value -- "$unit")" = no ] || systemctl daemon-reload
systemctl reset-failed -- "$unit" 2> /dev/null || true
since=$(date '+%Y-%m-%d %H:%M:%S')
if ! systemctl {verb} -- "$unit" || ! systemctl is-active --quiet -- "$unit"; then
  echo "$unit did not start. Its last messages:" >&2
  journalctl --quiet --no-pager --output=cat --lines={JOURNAL_LINES} --since="$since" --unit="$unit" >&2
  exit 1
fi"""
