"""What drift says: one finding is one line that a person understands."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from standfast.documents import FindingDocument, Kind

KINDS: tuple[Kind, ...] = ("changed", "missing", "unmanaged", "noted")

# A value after a telling name, and the password in an address.
SECRETS = re.compile(
    r"""(?i)((?:(?<!no)pass(?:word|wd)?|secret|token|api_?key)\w*["']?\s*[=:]\s*|//[^\s/:@]*:(?=[^\s/]*@))[^\s@'"]+"""
)
QUOTED = 110  # characters of a file or a command line that are shown


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing on a server that is not as declared, or that nobody declared."""

    id: str
    """Stable name, for example ``container:clever_wozniak``; what `accept` in the inventory names."""
    subject: str
    """The deploy that it belongs to, for example ``firewall``."""
    kind: Kind
    """``noted``: worth knowing, no difference; it does not count."""
    what: str
    """For people: ``container clever_wozniak``, a path."""
    why: str
    """What it is, and what follows from it."""
    since: datetime | None = None
    """When it came about, where the server tells."""
    by: str = ""
    """The account that did it, where the server tells."""
    repair: bool = False
    """Whether apply repairs it; else somebody has to decide."""
    diff: str = ""
    """Unified diff for what apply would change; secrets are hidden."""

    def as_json(self) -> FindingDocument:
        """The finding as it stands in ``--json``."""
        return {
            "id": self.id,
            "subject": self.subject,
            "kind": self.kind,
            "what": self.what,
            "why": self.why,
            "since": None if self.since is None else self.since.isoformat(),
            "by": self.by,
            "repaired_by_apply": self.repair,
            "diff": self.diff,
        }


def quoted(text: str) -> str:
    """Text of a server as one short line, without what looks like a secret and without control characters."""
    hidden = SECRETS.sub(r"\1‹hidden›", text)
    line = "".join(letter if letter.isprintable() else " " for letter in hidden)
    line = " ".join(line.split())
    return line if len(line) <= QUOTED else f"{line[: QUOTED - 1]}…"


def merged(planned: list[Finding], scanned: list[Finding]) -> list[Finding]:
    """
    All findings, each once; what the plan says goes before what the scan says.

    They come in the order changed, missing, unmanaged, noted.
    """
    found: dict[str, Finding] = {}
    for each in planned:
        same = found.get(each.id)
        found[each.id] = each if same is None else _together(same, each)
    known = {each.id: each for each in scanned}
    for name, each in found.items():
        if name in known and each.since is None:
            found[name] = replace(each, since=known[name].since, by=known[name].by)
    seen: dict[str, Finding] = {}
    for each in scanned:
        if each.id in found:
            continue
        same = seen.get(each.id)
        seen[each.id] = each if same is None else _together(*sorted((same, each), key=_rank))
    found |= seen
    return sorted(found.values(), key=_rank)


def _rank(finding: Finding) -> int:
    return KINDS.index(finding.kind)


def _together(first: Finding, second: Finding) -> Finding:
    """Two things that are to be said about one are one difference."""
    why = first.why if second.why in first.why else f"{first.why}; {second.why}"
    return replace(first, why=why, diff="\n".join(diff for diff in (first.diff, second.diff) if diff))
