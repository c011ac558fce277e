"""
``pg_dump --schema-only``: the gate that nothing passes unseen.

It knows every kind of object that PostgreSQL has. Where two dumps differ and no difference of the catalogues
says why, the lines are shown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from standfast.host.backup.faults import Fault
from standfast.host.schema.catalogue import Key
from standfast.host.schema.comparison import ONLY_LIVE, ONLY_OTHER, ROW_SECURITY, Difference
from standfast.host.schema.reach import Reach

HEADER = re.compile(r"^-- Name: (?P<tag>.*); Type: (?P<kind>[A-Z ]+); Schema: (?P<schema>.*); Owner: .*$")
ROUTINES = ("function", "procedure", "aggregate")
# The sequence of an identity column stands alone in a dump, as a change of its table.
IDENTITY = re.compile(r"^ALTER TABLE [^ .]+\.(\S+) ALTER COLUMN \S+ ADD GENERATED", re.MULTILINE)
DEFAULT_GRANTS = "default grants"
SECURITY = ("ROW SECURITY", "POLICY")
LOCK_MILLISECONDS = 5000
SECONDS = 300
# pg_dump's words for what belongs to a table, by ours.
KINDS = {
    "column": (
        "TABLE",
        "DEFAULT",
        "SEQUENCE",
        "SEQUENCE OWNED BY",
        "ACL",
        "VIEW",
        "TABLE ATTACH",
        "FOREIGN TABLE",
    ),
    "constraint": ("CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT", "TABLE"),
    "index": ("INDEX", "INDEX ATTACH"),
    "policy": ("POLICY",),
    "trigger": ("TRIGGER",),
    "rule": ("RULE",),
    "statistics": ("STATISTICS",),
    "comment": ("COMMENT",),
}


@dataclass(frozen=True, order=True)
class Part:
    """One object of a dump, as pg_dump names it."""

    kind: str
    """``TABLE``, ``ROW SECURITY``, ``ACL``, …"""
    schema: str
    """Empty for what is in none."""
    tag: str
    """``users``, ``users users_pkey``, ``TABLE users``, ``add(integer, integer)``."""

    @property
    def object(self) -> str:
        """The tag without the kind that pg_dump puts before it in comments and grants."""
        if self.kind not in ("ACL", "COMMENT", "DEFAULT ACL"):
            return self.tag
        return re.sub(r"^[A-Z ]+ (?=\S)", "", self.tag)


Dump = Mapping[Part, str]
"""The statements of every object, in pg_dump's order."""


def taken(reach: Reach) -> Dump:
    """
    Dump a database's schema. It takes the lock of a SELECT on every table, and waits 5 s for it.

    Raises:
        Fault: pg_dump is of an older version than the server, may not read, or did not get a lock.
    """
    done = reach.run(
        *("pg_dump", "--schema-only", f"--lock-wait-timeout={LOCK_MILLISECONDS}", "--encoding=UTF8"),
        seconds=SECONDS,
    )
    if done.code != 0:
        raise Fault(
            f"{reach.words}: {done.reason}. Without rights on the tables, or without "
            "locks, the catalogues alone are compared: --without-dump."
        )
    return parse(done.output)


def parse(text: str) -> dict[Part, str]:
    """The objects of a dump; settings of the session and comments are left out."""
    found: dict[Part, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        header = HEADER.match(line)
        if header:
            schema = "" if header["schema"] == "-" else header["schema"]
            current = found.setdefault(Part(header["kind"], schema, header["tag"]), [])
        elif current is not None and not _noise(line):
            current.append(line)
    return {part: "\n".join(lines).strip("\n") for part, lines in found.items()}


def unexplained(
    live: Dump, other: Dump, differences: Sequence[Difference], left_out: Collection[Key]
) -> list[str]:
    """
    Lines that differ and that no difference explains: ``+`` for the live ones, ``-`` for the others'.

    + differences: everything that the catalogues differ in
    + left_out: objects that are not compared
    """
    known: dict[tuple[str, str], list[Difference]] = {}
    for each in differences:
        for name in _names(each.key):
            known.setdefault((each.key.schema, name), []).append(each)
    lines: list[str] = []
    for part in sorted(live.keys() | other.keys()):
        ours, theirs = live.get(part, ""), other.get(part, "")
        if _same(ours, theirs) or about(part, left_out):
            continue
        subjects = _subjects(part) | set(IDENTITY.findall(ours or theirs))
        if any(_explains(each, part) for name in subjects for each in known.get((part.schema, name), ())):
            continue
        lines.append(f"{part.kind} {f'{part.schema}.' if part.schema else ''}{part.tag}:")
        lines += _changed(ours, theirs)
    return lines


def about(part: Part, keys: Collection[Key]) -> bool:
    """Whether a part is about one of these objects, or about what belongs to it."""
    subjects = _subjects(part)
    return any(key.schema == part.schema and not subjects.isdisjoint(_names(key)) for key in keys)


def _noise(line: str) -> bool:
    return (
        not line.strip()
        or line.startswith(("--", "\\restrict", "\\unrestrict"))
        or re.match(r"SET default_(tablespace|table_access_method) = .*;$", line) is not None
    )


def _same(ours: str, theirs: str) -> bool:
    """The order of columns does not count here: the catalogues tell it."""
    return sorted(_lines(ours)) == sorted(_lines(theirs))


def _lines(text: str) -> list[str]:
    return [line.rstrip(",") for line in text.splitlines()]


def _changed(ours: str, theirs: str) -> Iterable[str]:
    left, right = _lines(ours), _lines(theirs)
    yield from (f"  - {line}" for line in right if line not in left)
    yield from (f"  + {line}" for line in left if line not in right)


def _subjects(part: Part) -> set[str]:
    """Names that a part may be about: of the object itself, or of the table that stands before it."""
    name = part.object
    if part.kind == "DEFAULT ACL":
        return {DEFAULT_GRANTS}
    return {name, *(name[:place] for place, letter in enumerate(name) if letter in " .(")}


def _names(key: Key) -> set[str]:
    if key.kind == "default grants":
        return {DEFAULT_GRANTS}
    if key.kind == "comment":
        return {key.table, *key.name.replace('"', "").split(" ")[-1:], key.name.split(".", 1)[-1]} - {""}
    if key.kind in ("index", "sequence", "statistics"):
        return {key.name, key.table} - {""}
    return {key.table or key.name, key.name.split("(")[0] if key.kind in ROUTINES else ""} - {""}


def _explains(difference: Difference, part: Part) -> bool:
    """Whether a difference of this kind can be what a part of this kind differs in; the names agree."""
    kind, what = difference.key.kind, difference.what
    whole = what in (ONLY_LIVE, ONLY_OTHER)
    if part.kind == "COMMENT" or kind == "comment":
        return kind == "comment" or whole
    if kind == "column" and what == "grants":
        return part.kind == "ACL"
    if kind in KINDS:
        return part.kind in KINDS[kind]
    if what == "grants":
        return part.kind in ("ACL", "DEFAULT ACL")
    return (
        whole
        or part.kind not in (*SECURITY, "ACL", "TRIGGER")
        or (what == ROW_SECURITY and part.kind in SECURITY)
    )
