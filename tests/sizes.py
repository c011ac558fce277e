"""How much of a thing a test tries: enough for every day, or what ``script/test --long`` asks for."""

from __future__ import annotations

import os

LONG = "STANDFAST_LONG" in os.environ


def sized(usual: int, *, long: int) -> int:
    """The number for this run."""
    return long if LONG else usual
