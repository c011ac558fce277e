"""The person at the terminal, if there is one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

DEVICE = "/dev/tty"


def present() -> bool:
    """
    Whether somebody sees what we write and can answer.

    A program that was started from a terminal can open ``/dev/tty`` for ever; only one whose messages go
    there has a person in front of it.
    """
    if os.isatty(0) and os.isatty(2):
        return True
    if not os.isatty(2):
        return False
    try:
        os.close(os.open(DEVICE, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def asked(question: str) -> str:
    """What somebody types; empty when the terminal is closed."""
    sys.stderr.write(question)
    sys.stderr.flush()
    with _answers() as answers:
        return answers.readline().strip()


@contextmanager
def _answers() -> Iterator[TextIO]:
    """The terminal itself: the program's own input is not ours to read."""
    if os.isatty(0):
        with os.fdopen(os.dup(0), encoding="utf-8", errors="replace") as answers:
            yield answers
    else:
        with open(DEVICE, encoding="utf-8", errors="replace") as answers:  # noqa: PTH123 - a device
            yield answers
