"""What a command would destroy here and now: judged, its database found and looked into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from standfast.errors import CouldNotLook
from standfast.guard import finding, looking
from standfast.guard.addresses import Address
from standfast.guard.knowledge import Knowledge
from standfast.guard.looking import DISPOSABLE, FAILS_CLOSED, UNKNOWN, Looked
from standfast.host.guard.classification import Verdict, classify_all


@dataclass(frozen=True)
class Danger:
    """One thing that a command would do."""

    verdict: Verdict
    address: Address | None = None
    """Its database; ``None`` when it hits none, or when that could not be found."""
    looked: Looked | None = None
    problem: str = ""
    """Why nobody could look; then nothing is known to be harmless."""
    declared: str = UNKNOWN
    """What guard.yml says about a database that could not be looked into."""

    @property
    def environment(self) -> str:
        """Of the database."""
        return self.looked.environment if self.looked else self.declared

    @property
    def fails_closed(self) -> bool:
        """Whether it may only run after a verified copy."""
        return self.environment in FAILS_CLOSED


def shell_text(argv: Sequence[str]) -> list[str]:
    """One argument with spaces is a text for a shell, as people paste it."""
    return ["sh", "-c", argv[0]] if len(argv) == 1 and any(sign.isspace() for sign in argv[0]) else list(argv)


def judged(argv: Sequence[str], known: Knowledge, folder: Path, stdin: int | None) -> list[Verdict]:
    """What is destructive in a command, or cannot be known; without what guard.yml lets pass."""
    found = classify_all(argv, catalogue=known.catalogue, cwd=str(folder), stdin=stdin)
    return [each for each in found if not _passes(each, known)]


def _passes(verdict: Verdict, known: Knowledge) -> bool:
    # Databases have their own declaration, and may say themselves that they are production.
    return verdict.entry is not None and verdict.entry.name in known.passes and "database" not in verdict.hits


def of(verdicts: Sequence[Verdict], known: Knowledge, environment: Mapping[str, str]) -> list[Danger]:
    """Look at everything that the verdicts are about; what would lose nothing is left out."""
    found = []
    for verdict in verdicts:
        danger = _looked_at(verdict, known, environment) if "database" in verdict.hits else Danger(verdict)
        if danger is not None:
            found.append(danger)
    return found


def _looked_at(verdict: Verdict, known: Knowledge, environment: Mapping[str, str]) -> Danger | None:
    address = None
    try:
        address = finding.database(verdict, known.catalogue, environment)
        looked = looking.look(address, known)
    except CouldNotLook as problem:
        declared = (known.environment(address) if address else None) or UNKNOWN
        if declared == DISPOSABLE:
            return None
        return Danger(verdict, address, problem=str(problem), declared=declared)
    if looked.environment == DISPOSABLE or looked.empty:
        return None
    return Danger(verdict, address, looked)
