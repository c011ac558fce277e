"""The daily copy of development databases: a systemd user timer where there is one, else cron."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from standfast.errors import StandfastError
from standfast.guard import layout

UNIT = "standfast-guard-backup"
SIGN = "# standfast guard: daily copy of development databases"
AT = (12, 30)
"""Hour and minute: a laptop is awake at noon rather than at night. systemd makes up for what was missed."""
_SECONDS = 20
_SERVICE = """\
[Unit]
Description=Copies of development databases (standfast guard)

[Service]
Type=oneshot
ExecStart={command}
"""
_TIMER = """\
[Unit]
Description=Copies of development databases, every day (standfast guard)

[Timer]
OnCalendar=*-*-* {hour:02}:{minute:02}:00
Persistent=true
RandomizedDelaySec=10min

[Install]
WantedBy=timers.target
"""


class NotScheduled(StandfastError):
    """Neither systemd nor cron could be used."""


def folders() -> list[Path]:
    """The projects whose databases are copied every day."""
    try:
        return [Path(each) for each in json.loads(layout.scheduled().read_text(encoding="utf-8"))["folders"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _remember(found: Sequence[Path]) -> None:
    layout.private(layout.scheduled().parent)
    text = json.dumps({"folders": [str(each) for each in found]}, indent=1) + "\n"
    beside = layout.scheduled().with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(layout.scheduled())


def add(folder: Path) -> str:
    """
    Copy this project's database every day; how, in words.

    Raises:
        NotScheduled: nothing will run; the list of projects is as it was.
    """
    how = _by_systemd() or _by_cron()
    _remember(sorted({*folders(), folder}))
    return how


def remove(folder: Path) -> bool:
    """Stop copying this project's database; whether it was copied. With the last one the timer goes too."""
    left = [each for each in folders() if each != folder]
    was = len(left) != len(folders())
    _remember(left)
    if not left:
        _systemctl("disable", "--now", f"{UNIT}.timer")
        for path in _units():
            path.unlink(missing_ok=True)
        _written_to_cron([line for line in _crontab() if SIGN not in line])
    return was


def command() -> list[str]:
    """What the timer runs."""
    return [sys.executable, "-I", "-m", "standfast.cli.main", "guard", "backup", "--scheduled"]


def _units() -> tuple[Path, Path]:
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd/user"
    return base / f"{UNIT}.service", base / f"{UNIT}.timer"


def _by_systemd() -> str | None:
    """The timer, when this account's systemd answers."""
    if _systemctl("show-environment") is None:
        return None
    service, timer = _units()
    service.parent.mkdir(parents=True, exist_ok=True)
    # systemd reads % as the beginning of a specifier.
    service.write_text(_SERVICE.format(command=shlex.join(command()).replace("%", "%%")), encoding="utf-8")
    timer.write_text(_TIMER.format(hour=AT[0], minute=AT[1]), encoding="utf-8")
    _systemctl("daemon-reload")
    if _systemctl("enable", "--now", f"{UNIT}.timer") is None:
        return None
    return f"every day about {AT[0]:02}:{AT[1]:02} by the systemd user timer {UNIT}"


def _by_cron() -> str:
    if shutil.which("crontab") is None:
        raise NotScheduled(
            "neither systemd for this account nor cron is there. Run this every day by other means: "
            f"{shlex.join(command())}"
        )
    # In a crontab, % ends the command.
    line = f"{AT[1]} {AT[0]} * * * {shlex.join(command())} {SIGN}".replace("%", r"\%")
    if not _written_to_cron([*(each for each in _crontab() if SIGN not in each), line]):
        raise NotScheduled("crontab did not take the line for the daily copy")
    return f"every day at {AT[0]:02}:{AT[1]:02} by cron"


def _crontab() -> list[str]:
    """The account's lines; none when it has no crontab."""
    if shutil.which("crontab") is None:
        return []
    done = subprocess.run(["crontab", "-l"], capture_output=True, text=True, timeout=_SECONDS, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


def _written_to_cron(lines: Sequence[str]) -> bool:
    if list(lines) == _crontab():
        return True
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(
        ["crontab", "-"], input=text, text=True, capture_output=True, timeout=_SECONDS, check=False
    )
    return done.returncode == 0


def _systemctl(*arguments: str) -> str | None:
    """What `systemctl --user` prints; ``None`` when it fails or is not there."""
    try:
        done = subprocess.run(
            ["systemctl", "--user", *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
