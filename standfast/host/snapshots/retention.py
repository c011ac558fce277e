"""How many snapshots stay."""

from __future__ import annotations

from collections.abc import Sequence

from standfast.host.snapshots.driver import Snapshot


def superfluous(every: Sequence[Snapshot], keep: int) -> list[Snapshot]:
    """
    Those that go: without a name, and older than the newest `keep` of their kind. Pure.

    + every: the oldest first
    + keep: at least 1
    """
    counted = [each for each in every if each.about.name is None]
    return counted[: -max(keep, 1)]
