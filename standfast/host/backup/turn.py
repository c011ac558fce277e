"""One run at a time, whoever started it: cron, a person, a deploy."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from standfast.host.backup import layout, records, state
from standfast.host.backup.faults import Busy

PAUSE = 1.0


@contextmanager
def taken(job: str, wait: float, *, lock: Path | None = None) -> Iterator[None]:
    """
    Hold the one lock while something is done.

    + wait: seconds to wait for another run's end
    + lock: another one than that of backups and restores

    Raises:
        Busy: another run is still at work; nothing was done.
    """
    lock = lock or layout.LOCK
    state.folder(lock.parent)
    deadline = time.monotonic() + wait
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Busy(f"{_holder(descriptor)} Nothing was done.") from None
                time.sleep(PAUSE)
        os.ftruncate(descriptor, 0)
        os.pwrite(
            descriptor, json.dumps({"job": job, "pid": os.getpid(), "since": records.now()}).encode(), 0
        )
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    try:
        held = json.loads(os.pread(descriptor, 1000, 0))
        return f"another run is at work: {held['job']}, pid {held['pid']}, since {held['since']}."
    except (ValueError, KeyError):
        return "another run is at work."
