"""A command at a terminal, and somebody who types."""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

SECONDS = 120


def typed(
    command: Sequence[str], answers: Mapping[str, str], *, cwd: Path, environment: Mapping[str, str]
) -> tuple[int, str]:
    """
    Run a command at a terminal of its own; its exit code and everything that was on the screen.

    + answers: what is typed when these words are on the screen, each once
    """
    process, terminal = pty.fork()
    if not process:
        os.chdir(cwd)
        os.execvpe(command[0], list(command), dict(environment))  # noqa: S606
    screen, waiting, end = "", dict(answers), time.monotonic() + SECONDS
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown = os.read(terminal, 65536).decode(errors="replace")
            except OSError:  # the other side is closed
                break
            if not shown:
                break
            screen += shown
            for words in [each for each in waiting if each in screen]:
                os.write(terminal, f"{waiting.pop(words)}\n".encode())
    else:
        os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    os.close(terminal)
    print(screen)
    return os.waitstatus_to_exitcode(status), screen.replace("\r\n", "\n")
