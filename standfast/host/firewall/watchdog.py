"""
The watchdog: looks every few seconds whether SSH still gets in, and puts back what was last confirmed.

It repairs what a flush by hand leaves, writes down what it found, and leaves alone what shuts nobody out.
While a change is on trial it only sees to it that the trial ends.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from standfast.host.firewall import docker, durable, inspection, packets, trial
from standfast.host.firewall.inspection import Faults
from standfast.host.firewall.packets import Backend, Tables
from standfast.host.firewall.programs import Failure, run, succeeds

INTERVAL = 4
"""Seconds between two looks. Each costs some ten milliseconds."""
REPAIRS = Path("/var/lib/standfast/firewall/repairs.json")
FOUND = Path("/var/log/standfast/firewall")
"""What was in force when something had to be put back: for those who ask later what happened."""
KEPT_REPAIRS = 20
KEPT_FOUND = 10
REPAIRS_AT_MOST, REPAIR_PATIENCE = 10, 60
"""So many repairs in so many seconds; then somebody undoes them again and again."""
RESTARTS_AT_MOST, RESTART_PATIENCE = 10, 600
"""So many restarts of dockerd in so many seconds, for the same reason."""


@dataclass
class Look:
    """What is in force at one moment."""

    texts: dict[Backend, str]
    tables: dict[Backend, Tables]
    faults: dict[Backend, Faults]
    engine: docker.Rules | None

    @property
    def told(self) -> list[str]:
        """What is wrong with SSH or with our chains, in words."""
        return [text for backend, faults in self.faults.items() for text in faults.told(backend)]


@dataclass
class Watchdog:
    """What it remembers between two looks."""

    engine: docker.Rules | None = None
    """As it was when nothing was missing."""
    docker_gone: list[str] = field(default_factory=list)
    """What the last look missed; one look alone may have come between two of dockerd's own changes."""
    restarts: list[float] = field(default_factory=list)
    """Times of the last restarts of dockerd."""
    repairs: list[float] = field(default_factory=list)
    """Times of the last repairs of our own."""
    troubled: str = ""
    """What went wrong at the last look; said once."""

    def step(self) -> None:
        """Look once, and repair."""
        with trial.alone():
            armed = trial.current()
        if armed is not None:
            if armed.expired:
                trial.revert(armed.token, "nobody confirmed it in time")
            return
        with trial.alone():
            if trial.current() is not None:
                return
            found = look()
            if found is not None and found.told:
                self._repair(found)
                return
            if found is not None and found.engine is not None:
                self._lead_to_user_chain(found)
        if found is not None:
            self._watch_docker(found.engine)

    def _repair(self, found: Look) -> None:
        """Not without end: a program that undoes every repair must not fill the disk with its story."""
        now = time.monotonic()
        self.repairs = [moment for moment in self.repairs if moment > now - REPAIR_PATIENCE]
        if len(self.repairs) < REPAIRS_AT_MOST:
            self.repairs.append(now)
            repair(found)

    def _lead_to_user_chain(self, found: Look) -> None:
        """At once: until then every published port is open, whatever is declared."""
        for backend, tables in found.tables.items():
            if "-" not in backend.name and docker.passes_by_user_chain(self.engine, tables, backend.family):
                packets.put_first(backend, "FORWARD", packets.USER_CHAIN, tables)
                record(
                    [f"{backend.name}: FORWARD does not lead to {packets.USER_CHAIN} first"],
                    ["put the jump in front of all other rules"],
                )

    def _watch_docker(self, now: docker.Rules | None) -> None:
        gone = docker.missing(self.engine, now)
        if not gone:
            if now != self.engine:
                docker.remember(now)
            self.engine, self.docker_gone = now, []
            return
        again, self.docker_gone = [what for what in gone if what in self.docker_gone], gone
        moment = time.monotonic()
        self.restarts = [each for each in self.restarts if each > moment - RESTART_PATIENCE]
        if not again or len(self.restarts) >= RESTARTS_AT_MOST:
            return
        self.restarts.append(moment)
        if run("docker", "info", "--format", "{{.LiveRestoreEnabled}}").strip() != "true":
            record(again, ["nothing: without live-restore a restart of docker.service would stop containers"])
            return
        succeeds("systemctl", "reset-failed", "docker.service")
        run("systemctl", "restart", "docker.service")
        with trial.alone():
            found = look()
            if found is not None:
                self._lead_to_user_chain(found)
        record(again, ["restarted docker.service, which writes its rules anew"])


def look() -> Look | None:
    """What is in force and what is wrong with it; ``None`` when no rules were ever confirmed."""
    then = durable.read_json(trial.IN_FORCE)
    if then is None or trial.confirmed_folder() is None:
        return None
    texts = {backend: packets.save(backend) for backend in packets.backends()}
    tables = {backend: packets.parse(text) for backend, text in texts.items()}
    faults = {
        backend: inspection.inspect(
            backend, tables[backend], packets.parse(then.get(backend.name, "")), ours="-" not in backend.name
        )
        for backend in texts
    }
    by_family = {backend.family: found for backend, found in tables.items() if "-" not in backend.name}
    return Look(texts, tables, faults, docker.look(by_family))


def repair(found: Look) -> None:
    """
    Put back what was confirmed: our chains first, then what still shuts SSH out.

    Raises:
        Failure: it could not be put back; the next look tries again.
    """
    done: list[str] = []
    folder = trial.confirmed_folder()
    if folder is not None:
        packets.load(folder)
        done.append("put our chains back, in front of all other rules")
    then = durable.read_json(trial.IN_FORCE) or {}
    again = look()
    if again and any(faults.ours for faults in again.faults.values()):
        # Another version of iptables spells the very rules differently.
        durable.write_json(trial.IN_FORCE, {each.name: text for each, text in again.texts.items()})
    for backend, faults in (again.faults if again else {}).items():
        # A policy that drops is harmless behind our chain, and shuts everybody out at the next flush.
        policies = (
            {
                ("filter", name)
                for name, chain in again.tables[backend].get("filter", {}).items()
                if name in ("INPUT", "OUTPUT") and chain.policy == "DROP"
            }
            if again
            else set()
        )
        done += packets.put_back(
            backend, packets.parse(then.get(backend.name, "")), only=set(faults.shut) | policies
        )
    evidence = _keep_evidence(found)
    record(found.told, [*done, f"what was found: {evidence}"])


def record(found: list[str], done: list[str]) -> None:
    """Write down what was found and what was done, in the log and for ``status``."""
    earlier: list[Any] = durable.read_json(REPAIRS) or []
    entry = {"time": trial.now(), "found": found, "done": done}
    durable.write_json(REPAIRS, [*earlier, entry][-KEPT_REPAIRS:])
    sys.stderr.write(f"found: {'; '.join(found)}. Done: {'; '.join(done)}\n")
    sys.stderr.flush()


def watch() -> None:
    """Look and repair until the program itself is replaced by another version."""
    own = Path(sys.argv[0])
    version = _identity(own)
    dog = Watchdog(engine=docker.remembered())
    while _identity(own) == version:
        try:
            dog.step()
            dog.troubled = ""
        except (Failure, OSError, ValueError) as error:
            if str(error) != dog.troubled:
                sys.stderr.write(f"could not look or repair: {error}\n")
                sys.stderr.flush()
            dog.troubled = str(error)
        time.sleep(INTERVAL)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _keep_evidence(found: Look) -> Path:
    FOUND.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = FOUND / trial.now().replace(":", "")
    folder.mkdir(mode=0o700, exist_ok=True)
    for backend, text in found.texts.items():
        durable.write(folder / f"{backend.name}.rules", text.encode())
    for old in sorted(FOUND.iterdir())[:-KEPT_FOUND]:
        shutil.rmtree(old, ignore_errors=True)
    return folder
