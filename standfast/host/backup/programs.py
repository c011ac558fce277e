"""Programs that are run here, with a fixed PATH, a C locale, and a limit of time."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from standfast.host.backup.faults import Fault

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PR_SET_PDEATHSIG = 1
MINUTES = 60
SHORT = 5 * MINUTES
"""Seconds for what only asks."""
LONG = 12 * 60 * MINUTES
"""Seconds for what moves all the data: a run that hangs must end before the next day's."""


@dataclass(frozen=True)
class Done:
    """What a program has said."""

    code: int
    output: str
    errors: str

    @property
    def reason(self) -> str:
        """Its last words, for messages."""
        lines = [line.strip() for line in (self.errors or self.output).splitlines() if line.strip()]
        return "; ".join(lines[-3:]) or f"exit status {self.code}, without a word"


class Unanswered(Fault):
    """A program did not end in its time, or is not there."""


def run(
    arguments: Sequence[str],
    *,
    stdin: str | IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = SHORT,
) -> Done:
    """
    Run a program to its end; its exit code is the caller's to judge.

    + stdin: a text, or an open file; secrets go this way or in a file, never in arguments
    + stdout: where its output goes; else it comes back

    Raises:
        Unanswered: it is not installed, or had not ended in time and was killed.
    """
    # One of the two, never both: gevent's subprocess, which tests may run under, refuses even an unused one.
    fed: dict[str, Any] = (
        {"input": stdin.encode()} if isinstance(stdin, str) else {"stdin": stdin or subprocess.DEVNULL}
    )
    try:
        done = subprocess.run(
            list(arguments),
            **fed,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=surroundings(environment),
            timeout=seconds,
            check=False,
            preexec_fn=tied,
        )
    except FileNotFoundError:
        raise Unanswered(f"{arguments[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Unanswered(f"{arguments[0]} had not ended after {seconds:.0f} s and was killed") from None
    return Done(done.returncode, (done.stdout or b"").decode(errors="replace"), _text(done.stderr))


def tied() -> None:
    """
    In a new child: end with this process, also when that is killed.

    A restic that outlives its run would go on reading a volume whose writers do not stand still any more, and
    store that as a copy. Source: prctl(2), PR_SET_PDEATHSIG.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def surroundings(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every program; nothing of the caller's but what is meant for tests and clocks."""
    kept = {name: os.environ[name] for name in ("LD_PRELOAD", "FAKETIME") if name in os.environ}
    return {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **kept, **(environment or {})}


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
