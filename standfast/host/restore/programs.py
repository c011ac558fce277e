"""Programs that a restore runs: each one that fails is an error with what it said."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import IO

from standfast.host.backup import programs
from standfast.host.backup.faults import Fault

_SHOWN = 100  # characters of a command line


class Failed(Fault):
    """A program ended with an error."""


def output(
    arguments: Sequence[str], *, stdin: str | IO[bytes] | None = None, seconds: float = programs.LONG
) -> str:
    """
    What a program prints.

    Raises:
        Failed: it ended with an error.
        Unanswered: it is not installed, or had not ended in time and was killed.
    """
    done = programs.run(arguments, stdin=stdin, seconds=seconds)
    if done.code != 0:
        line = shlex.join(arguments)
        shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
        raise Failed(f"`{shown}` failed: {done.reason}")
    return done.output
