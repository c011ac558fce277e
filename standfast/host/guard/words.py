"""
Words of a command line.

No patterns here and in what every verdict needs, no `typing` and no `json`: Python takes longer to load them
than to start. `named_tuple` says how to do without.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from standfast.host.guard.named_tuple import NamedTuple


class Word(NamedTuple):
    """One argument."""

    text: str
    known: bool = True
    """False when a variable or a substitution is in it that only the shell knows."""
    split: bool = False
    """An unknown one that stands outside quotes: it can be any number of arguments."""


def assignment(text: str) -> tuple[str, str] | None:
    """Name and value of ``NAME=value``; ``None`` when it is something else."""
    name, equals, value = text.partition("=")
    return (name, value) if equals and name.isascii() and name.isidentifier() else None
