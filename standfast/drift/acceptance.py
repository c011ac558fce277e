"""Differences that the inventory accepts: shown, not counted, and looked after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase

from standfast.documents import AcceptedDocument, VerdictDocument
from standfast.drift.finding import Finding
from standfast.inventory.schema import Accepted


@dataclass(frozen=True, slots=True)
class Verdict:
    """A finding, and whether the inventory accepts it."""

    finding: Finding
    accepted: Accepted | None = None

    @property
    def counts(self) -> bool:
        """Whether it is a difference that somebody has to deal with."""
        return self.accepted is None and self.finding.kind != "noted"

    def as_json(self) -> VerdictDocument:
        """The finding as it stands in ``--json``."""
        accepted: AcceptedDocument | None = None
        if self.accepted is not None:
            until = self.accepted.until.isoformat() if self.accepted.until else None
            accepted = {"reason": self.accepted.reason, "until": until}
        return {**self.finding.as_json(), "accepted": accepted}


def judged(
    findings: Sequence[Finding], entries: Sequence[Accepted], today: date, place: str
) -> tuple[list[Verdict], list[str]]:
    """
    What is accepted of the findings; and what is to be said about the entries themselves.

    What apply repairs is declared, so it cannot be accepted: then the declaration is to be changed.

    + place: where the entries stand, for example ``hosts.web-1.accept``
    """
    verdicts = [Verdict(each, _entry(each, entries, today)) for each in findings]
    remarks = [
        f"{place}[{number}]: {remark}"
        for number, entry in enumerate(entries)
        if (remark := _remark(entry, findings, today))
    ]
    return verdicts, remarks


def _entry(finding: Finding, entries: Sequence[Accepted], today: date) -> Accepted | None:
    if finding.repair:
        return None
    return next((each for each in entries if _matches(each, finding) and not _expired(each, today)), None)


def _remark(entry: Accepted, findings: Sequence[Finding], today: date) -> str:
    matching = [each for each in findings if _matches(entry, each)]
    if not matching:
        return f"`{entry.what}` matches nothing any more; remove the entry"
    if _expired(entry, today):
        return f"`{entry.what}` was accepted until {entry.until}; decide again"
    if all(each.repair for each in matching):
        return (
            f"`{entry.what}` is declared, so apply repairs it; change the declaration, and remove the entry"
        )
    return ""


def _matches(entry: Accepted, finding: Finding) -> bool:
    # An exact name goes first: names of files and rules can contain brackets.
    return entry.what == finding.id or fnmatchcase(finding.id, entry.what)


def _expired(entry: Accepted, today: date) -> bool:
    return entry.until is not None and entry.until < today
