"""
A change on trial: what was in force is kept, a timer of the server's own puts it back unless confirmed.

In this order: keep, arm, change, confirm. What is kept is on disk, so that a reboot goes back as well.
The trial exists as long as ``trial.json`` does; whoever removes it has decided how it ends.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from standfast.host.firewall import durable, packets, sshd
from standfast.host.firewall.programs import Failure, run, succeeds

PROGRAM = "/usr/local/sbin/standfast-host"
FOLDER = Path("/var/lib/standfast/trial")
TRIAL = FOLDER / "trial.json"
KEPT = FOLDER / "kept.json"
CANDIDATE = FOLDER / "candidate"
"""Rules that are in force on trial, and come into `CONFIRMED` and `BOOT` when they are confirmed."""
LAST = FOLDER / "last.json"
"""How the last trial ended."""
UNTOLD = FOLDER / "untold"
"""A sentence for the next apply, when nobody has heard yet how the last trial ended."""
BOOT = Path("/etc/standfast/firewall")
CONFIRMED = Path("/var/lib/standfast/firewall/confirmed")
IN_FORCE = Path("/var/lib/standfast/firewall/in-force.json")
"""All rules of the moment when ours were confirmed: with them somebody did get in."""
LOCK = Path("/run/standfast/firewall.lock")
TIMER = "standfast-firewall-revert"
RULES = ("ipv4.rules", "ipv6.rules")


@dataclass(frozen=True)
class Trial:
    """A change that nobody has confirmed yet."""

    token: str
    what: str
    """What is changed, for people: ``firewall``, ``ssh``."""
    seconds: int
    armed: str
    """Time in UTC."""
    boot: str
    """The kernel's name of this boot."""
    deadline: float
    """Seconds since boot, suspended time included."""

    @property
    def expired(self) -> bool:
        """Whether it is too late to confirm it."""
        return self.boot != boot_id() or clock() >= self.deadline


class Busy(Exception):
    """Another trial is armed."""


def boot_id() -> str:
    """The kernel's name of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def clock() -> float:
    """Seconds since boot; nobody can set this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def now() -> str:
    """The time as it stands in files."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def alone() -> Iterator[None]:
    """Nobody else arms, confirms, goes back or repairs meanwhile."""
    LOCK.parent.mkdir(mode=0o700, exist_ok=True)
    with LOCK.open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def current() -> Trial | None:
    """The trial that is armed."""
    found = durable.read_json(TRIAL)
    return Trial(**found) if found else None


def arm(token: str, seconds: int, what: str) -> None:
    """
    Keep what is in force, and have it put back in so many seconds.

    Raises:
        Busy: another trial is armed; nothing was done.
        Failure: it could not be kept, or systemd takes no timer; nothing is armed.
    """
    with alone():
        other = current()
        if other is not None:
            raise Busy(f"a change of {other.what} is on trial since {other.armed}; it ends by itself")
        FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(CANDIDATE, ignore_errors=True)
        rules = {backend.name: packets.save(backend) for backend in packets.backends()}
        durable.write_json(KEPT, {"rules": rules, "ssh": sshd.keep()})
        armed = Trial(token, what, seconds, now(), boot_id(), clock() + seconds)
        durable.write_json(TRIAL, asdict(armed))
        try:
            _start_timer(armed)
        except Failure:
            durable.remove(TRIAL)
            raise


def confirm(token: str | None) -> bool:
    """
    Keep the change: somebody got in with it.

    + token: of the trial; ``None`` for whichever is armed

    Rules come into the files for the next boot now. Returns whether that trial was armed and in time.
    """
    with alone():
        trial = current()
        if trial is None or token not in (None, trial.token) or trial.expired:
            return False
        if CANDIDATE.is_dir():
            for name in RULES:
                content = (CANDIDATE / name).read_bytes()
                durable.write(BOOT / name, content, mode=0o644)
                durable.write(CONFIRMED / name, content)
            durable.write_json(IN_FORCE, {each.name: packets.save(each) for each in packets.backends()})
        durable.remove(TRIAL)
        _end(trial, "confirmed", "")
        return True


def revert(token: str | None, why: str) -> bool:
    """
    Put back what was in force before a trial.

    + token: of the trial; ``None`` for whichever is armed

    Returns whether there was one.

    Raises:
        Failure: something could not be put back; the trial stays, and is tried again.
    """
    with alone():
        trial = current()
        if trial is None or token not in (None, trial.token):
            return False
        _put_back(durable.read_json(KEPT))
        durable.remove(TRIAL)
        _end(trial, "undone", why)
        return True


def boot() -> None:
    """Before the network is up: a change that was on trial when the server went down is no more."""
    with alone():
        trial = current()
        if trial is None or trial.boot == boot_id():
            return
        kept = durable.read_json(KEPT)
        if kept:
            sshd.put_files_back(kept["ssh"])
        durable.remove(TRIAL)
        _end(trial, "undone", "the server was rebooted before it was confirmed")


def confirmed_folder() -> Path | None:
    """Where the rules are that were confirmed last; ``None`` when none ever were."""
    # Written by an older standfast, there are only the files for the next boot.
    return next((each for each in (CONFIRMED, BOOT) if all((each / name).exists() for name in RULES)), None)


def outcome(token: str) -> str:
    """``armed``, ``confirmed``, ``undone`` or ``unknown``; whoever asks has been told."""
    trial = current()
    if trial is not None and trial.token == token:
        return "armed"
    last = durable.read_json(LAST) or {}
    if last.get("token") != token:
        return "unknown"
    UNTOLD.unlink(missing_ok=True)
    return str(last["outcome"])


def _put_back(kept: dict[str, Any] | None) -> None:
    if kept is None:  # damaged; what was confirmed last is the next best
        folder = confirmed_folder()
        if folder:
            packets.load(folder)
        return
    faults: list[str] = []
    for backend in packets.backends():
        try:
            # A backend that was not there when the rules were kept had none.
            packets.put_back(backend, packets.parse(kept["rules"].get(backend.name, "")))
        except Failure as error:
            faults.append(str(error))
    try:
        sshd.put_back(kept["ssh"])
    except Failure as error:
        faults.append(str(error))
    if faults:
        raise Failure("; ".join(faults))


def _end(trial: Trial, outcome: str, why: str) -> None:
    durable.write_json(LAST, {**asdict(trial), "outcome": outcome, "why": why, "ended": now()})
    if outcome == "undone":
        sentence = (
            f"a change of {trial.what}, made at {trial.armed}, was not confirmed ({why}); "
            f"the server went back by itself at {now()}."
        )
        durable.write(UNTOLD, sentence.encode())
    KEPT.unlink(missing_ok=True)
    shutil.rmtree(CANDIDATE, ignore_errors=True)
    succeeds("systemctl", "stop", f"{TIMER}.timer")


def _start_timer(trial: Trial) -> None:
    for unit in (f"{TIMER}.timer", f"{TIMER}.service"):
        succeeds("systemctl", "stop", unit)
    run(
        *(
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={TIMER}",
            "--description=undoes a change of standfast",
        ),
        *(f"--on-active={trial.seconds}", "--timer-property=AccuracySec=100ms"),
        *("--property=Restart=on-failure", "--property=RestartSec=5"),
        *(PROGRAM, "firewall", "revert", "--token", trial.token, "--why", "nobody confirmed it in time"),
    )
