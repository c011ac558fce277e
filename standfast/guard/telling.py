"""What the guard says: what would happen to data, and what can be done."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime

from standfast.guard import copies, masking
from standfast.guard.copies import Copy
from standfast.guard.dangers import Danger
from standfast.guard.knowledge import Knowledge
from standfast.guard.looking import Looked

_WIDTH = 96


def found(argv: Sequence[str], dangers: Sequence[Danger], known: Knowledge) -> str:
    """What a command would do, and to what."""
    lines = ["", masking.masked(argv), ""]
    said = set()
    for danger in dangers:
        if danger.verdict.reason not in said:
            said.add(danger.verdict.reason)
            lines += [*_wrapped(danger.verdict.reason), ""]
        lines += _database(danger) if danger.address or danger.problem else _other(danger)
    lines += [f"  ! {fault}" for fault in known.faults]
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ")


def _database(danger: Danger) -> list[str]:
    rows = []
    if danger.address is not None:
        rows.append(("database", f"{danger.address.name}  ({danger.address.source})"))
    if danger.looked is not None:
        rows.append(("environment", f"{danger.looked.environment}: {danger.looked.because}"))
        rows.append(("holds", danger.looked.told))
    else:
        rows.append(("unknown", danger.problem))
    if danger.address is not None:
        rows.append(("last copy", last_copy(danger.address.name)))
    return [*(f"  {name:12}{value}" for name, value in rows), ""]


def last_copy(name: str) -> str:
    """The newest copy of a database and the newest that was ever restored."""
    every = copies.of(name)
    if not every:
        return "none on this machine"
    newest = f"{_when(every[0].manifest.time)}, {every[0].told}"
    drilled = next((copy for copy in every if copy.drilled), None)
    if drilled is None or drilled.drilled is None:
        return f"{newest}; none was ever restored in a drill"
    return f"{newest}; restored in a drill: the one of {_when(drilled.manifest.time)}"


def _when(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _other(danger: Danger) -> list[str]:
    hits = " and ".join(danger.verdict.hits) or "what is not known"
    where = danger.verdict.inside or "this machine"
    return [
        f"  {'hits':12}{hits}, on {where}",
        f"  {'copy':12}none: standfast takes copies of databases only",
        "",
    ]


def copied(taken: Sequence[Copy], failed: Sequence[str]) -> str:
    """The copies that were taken, and how they come back."""
    lines = []
    for copy in taken:
        lines += [
            f"  A verified copy was taken: {copy.told}, in {copy.folder}",
            f"  It comes back with: standfast guard restore {copy.manifest.name}",
        ]
    return "\n".join([*lines, *(f"  ! {problem}" for problem in failed), ""])


def remedies(argv: Sequence[str], dangers: Sequence[Danger]) -> str:
    """What would allow a command that nobody can be asked about."""
    lines = [f"  run it at a terminal        {masking.masked(argv)}"]
    names = sorted({each.address.name for each in dangers if each.address})
    if names:
        lines.append(
            f'  if it may be lost any time  declare it in guard.yml: databases: {{"{names[0]}": disposable}}'
        )
    lines.append('  for some minutes            standfast guard allow --for 10m --reason "…"   (recorded)')
    return "\n".join(lines)


def looked(danger_or_looked: Looked) -> str:
    """One line about a database."""
    return f"{danger_or_looked.address.name}: {danger_or_looked.environment}, {danger_or_looked.told}"
