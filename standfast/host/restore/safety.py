"""The copy of what is there, taken before it is replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from standfast.host.backup import baseline, databases
from standfast.host.backup.faults import Fault, Refused
from standfast.host.backup.records import Item
from standfast.host.restore.prospect import Prospect, Restorable
from standfast.host.restore.selection import BEFORE_RESTORE
from standfast.host.telling import Report


@dataclass(frozen=True)
class Copies:
    """What was copied, and why something was not."""

    made: tuple[Item, ...]
    without: tuple[str, ...]


def taken(restorable: Restorable, prospects: Sequence[Prospect], report: Report, *, may_fail: bool) -> Copies:
    """
    Dump, verify and store every database that is about to be replaced.

    A volume needs none: what is replaced stays, whole, under another name.

    + may_fail: go on where a copy cannot be taken

    Raises:
        Refused: a copy could not be taken; nothing has been replaced.
    """
    made, without = [], []
    for each in prospects:
        if each.kind != "database" or each.to_new or (each.now is None and not each.silent):
            continue
        report(f"database {each.name}: taking a copy of what is there now")
        try:
            made.append(_copy(restorable, each))
        except Fault as fault:
            reason = f"no copy could be taken of the database {each.target} as it is now: {fault}"
            if not may_fail:
                raise Refused(
                    f"{reason}\nNothing was replaced. If it does not run, start it first (`standfast "
                    "apply`). If it is damaged, go on without that copy: --without-copy. What is there is "
                    "kept on the server as a database of another name in any case."
                ) from fault
            report(reason)
            without.append(reason)
    return Copies(tuple(made), tuple(without))


def _copy(restorable: Restorable, each: Prospect) -> Item:
    if each.silent:
        raise Fault(each.silent)
    settings, repository = restorable.configuration, restorable.repository
    return databases.back_up(each.name, settings, lambda: repository, versions={}, more_tags=[BEFORE_RESTORE])


def remember(restored: Sequence[Prospect]) -> None:
    """From here on the next backup is compared with what was restored."""
    for each in restored:
        if not each.to_new:
            baseline.remember(each.manifest)
