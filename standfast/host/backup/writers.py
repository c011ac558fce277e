"""
Containers that stand still while a volume is read, and go on whatever happens.

Before one is held, its id is written down, and a unit of systemd waits for this process to die: whoever
kills the backup, the writers go on within a second; one that Docker is stopping just then, when it has ended.
After a power cut the next run, or cron at boot, does it.
"""

from __future__ import annotations

import json
import os
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from standfast.host.backup import containers, layout, programs, records, state, turn
from standfast.host.backup.containers import Container
from standfast.host.backup.faults import Fault

PROGRAM = "/usr/local/sbin/standfast-host"
HOW = {"pause": "paused", "stop": "stopped"}


@contextmanager
def held(writing: Sequence[Container], how: str, report: Callable[[str], None]) -> Iterator[None]:
    """
    Pause or stop containers, and let them go on.

    + how: ``pause`` or ``stop``

    Raises:
        Fault: one of them could not be held, or does not go on; all others go on. Or one that was held
            before does not go on: none was held.
    """
    if not writing:
        yield
        return
    _watched()
    release(report)  # what an earlier volume's copy could not let go on: our own note takes that one's place
    try:
        _note(writing, how, stopping=how == "stop")
        if how == "stop":
            containers.stop(*writing)
            _note(writing, how)
        else:
            containers.do(how, *(each.id for each in writing))
        yield
    finally:
        release(report)


def release(report: Callable[[str], None], *, held_by: int | None = None) -> None:
    """
    Let everything go on that a run has held; nothing to do when nothing is.

    + held_by: only what this process has held; a later run's writers are its own

    Raises:
        Fault: a container does not go on; it stays noted, so that the next one tries again.
    """
    with turn.taken("release", programs.LONG, lock=layout.RELEASE):
        _release(report, held_by)


def _release(report: Callable[[str], None], held_by: int | None) -> None:
    try:
        noted = json.loads(layout.HELD.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    if held_by is not None and noted["pid"] != held_by:
        return
    left = []
    now = {each.id: each for each in containers.containers()}
    for each in reversed(noted["containers"]):
        container = now.get(each["id"])
        if container is None:
            continue  # it was removed, and its successor was never held
        try:
            _let_go_on(container, noted["how"], stopping=noted.get("stopping", False))
        except Fault as fault:
            left.append(f"{container.words}: {fault}")
    if left:
        raise Fault(f"a container that was held for a backup does not go on: {'; '.join(left)}")
    state.remove(layout.HELD)
    if noted.get("pid") != os.getpid():
        names = ", ".join(each["name"] for each in noted["containers"])
        report(f"a run that was cut off has held {names}; they go on")


def _let_go_on(container: Container, how: str, *, stopping: bool) -> None:
    """
    Let one container go on, whatever it does now.

    + stopping: whether Docker may still be stopping it; whoever has asked for that was cut off
    """
    if stopping and container.status in ("running", "restarting", "paused"):
        containers.stop(container)  # else it would end after it was seen to run, and nobody would start it
        containers.do("start", container.id)
    elif container.status == "paused":
        containers.do("unpause", container.id)
    elif how == "stop" and container.status in ("exited", "created"):
        containers.do("start", container.id)


def watch(pid: int, born: str) -> None:
    """Wait until a process has ended, and see to it that everything goes on that it has held."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        process = None
    if process is not None and records.born(pid) == born:  # else the number is another process's by now
        ended = select.poll()
        ended.register(process, select.POLLIN)
        ended.poll()
    release(lambda _: None, held_by=pid)


def running(writing: Sequence[Container]) -> list[Container]:
    """Those that write at this moment, or may begin at any."""
    return [each for each in writing if each.status in ("running", "restarting")]


def moving(writing: Sequence[Container], held: Sequence[Container], how: str) -> list[str]:
    """
    Containers that somebody has started or let go on since they were held: the files are not of one moment.

    + writing: all of them, as they are now
    + how: ``pause`` or ``stop``
    """
    still = ("paused",) if how == "pause" else ("exited", "created")
    ids = {each.id for each in held}
    gone_on = [each for each in writing if each.id in ids and each.status not in still]
    started = running([each for each in writing if each.id not in ids])
    return [each.words for each in (*gone_on, *started)]


def _note(writing: Sequence[Container], how: str, *, stopping: bool = False) -> None:
    noted = {
        "how": how,
        "stopping": stopping,
        "since": records.now(),
        "pid": os.getpid(),
        "containers": [{"id": each.id, "name": each.name} for each in writing],
    }
    state.write(layout.HELD, json.dumps(noted))


@cache
def _watched() -> None:
    """
    Start the watch over this process, once, before anything is held.

    A unit of its own: it outlives this process, its terminal, and cron's session.
    """
    pid = os.getpid()
    born = records.born(pid) or ""
    unit = f"standfast-backup-writers-{pid}"
    done = programs.run(
        [
            *("systemd-run", "--quiet", "--collect", f"--unit={unit}"),
            *(PROGRAM, "backup", "watch", str(pid), born),
        ]
    )
    if done.code != 0:
        raise Fault(f"nothing was held, because nobody could watch over it: systemd-run: {done.reason}")
