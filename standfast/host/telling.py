"""Progress, for whoever listens: what was begun goes on to its end also when nobody does any more."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

Report = Callable[[str], None]


def unhindered() -> None:
    """Go on when the terminal or the connection of the caller goes away."""
    for number in (signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)


def progress(text: str) -> None:
    """One line about what is done now."""
    print_to(sys.stderr.fileno(), f"{text}\n")


def answer(text: str) -> None:
    """The answer, on standard output."""
    print_to(sys.stdout.fileno(), f"{text}\n")


def print_to(descriptor: int, text: str) -> None:
    """Write; a pipe without a reader is no reason to stop."""
    try:
        with open(descriptor, "w", encoding="utf-8", closefd=False) as file:
            file.write(text)
    except OSError:
        return
