"""Two catalogues held against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from standfast.host.schema.catalogue import Catalogue, Key

ROW_SECURITY = "row level security"
ONLY_LIVE, ONLY_OTHER = "only live", "only other"
RELATIONS = ("table", "view", "materialized view", "foreign table")
BOOKKEEPING = {
    "_prisma_migrations": "Prisma's own list of migrations",
    "django_migrations": "Django's own list of migrations",
    "schema_migrations": "a migration tool's own list",
    "flyway_schema_history": "Flyway's own list of migrations",
    "goose_db_version": "goose's own list of migrations",
}
"""Tables in which tools remember what they have done; not a part of what migrations declare."""
GUARD = "standfast_guard"
"""Schema, and beginning of the names, of what standfast itself puts into a protected database."""
GUARDING = (
    *(f"schema {GUARD}", f"* {GUARD}.*", f"* in {GUARD}"),
    *(f"event trigger {GUARD}_*", f"trigger {GUARD}_* on *"),
)


@dataclass(frozen=True)
class Ignored:
    """What is not compared, and why."""

    what: str
    """Pattern of an object's words, such as ``table public.spatial_*``; what a table has goes with it."""
    reason: str

    def covers(self, key: Key) -> bool:
        """Whether it covers an object."""
        of_table = f"table {key.schema}.{key.table}" if key.table else ""
        return fnmatchcase(key.words, self.what) or bool(of_table and fnmatchcase(of_table, self.what))


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same."""

    key: Key
    what: str
    """``only live``, ``only other``, or the property."""
    live: str = ""
    other: str = ""
    """What the other side has."""

    @property
    def object(self) -> str:
        """Which object, in words."""
        return self.key.words

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "object": self.object,
            **asdict(self.key),
            "what": self.what,
            "live": self.live,
            "other": self.other,
        }


def compare(live: Catalogue, other: Catalogue, ignored: Sequence[Ignored] = ()) -> list[Difference]:
    """Everything that differs, in the order of the objects."""
    left = {key: has for key, has in live.objects.items() if not covered(key, ignored)}
    right = {key: has for key, has in other.objects.items() if not covered(key, ignored)}
    found: list[Difference] = []
    for key in sorted(left.keys() | right.keys()):
        if key not in right:
            found.append(Difference(key, ONLY_LIVE, live=summary(key, live)))
        elif key not in left:
            found.append(Difference(key, ONLY_OTHER, other=summary(key, other)))
        else:
            found += _properties(key, left[key], right[key])
    return found


def told(differences: Sequence[Difference]) -> list[Difference]:
    """Without what belongs to a table that one side lacks as a whole: that is told with the table."""
    whole = {
        (each.key.schema, each.key.name)
        for each in differences
        if each.key.kind in RELATIONS and each.what in (ONLY_LIVE, ONLY_OTHER)
    }
    return [each for each in differences if (each.key.schema, each.key.table) not in whole]


def covered(key: Key, ignored: Sequence[Ignored]) -> bool:
    """Whether an object is left out."""
    return any(each.covers(key) for each in ignored)


def left_out(catalogues: Sequence[Catalogue], ignored: Sequence[Ignored]) -> list[tuple[str, str]]:
    """Objects that were not compared, and why; what is in a table or a schema is not named again."""
    schemas = {key.name for each in catalogues for key in each.of_kind("schema") if covered(key, ignored)}
    keys = {key for each in catalogues for key in each.objects if not key.table and key.schema not in schemas}
    return [
        (key.words, next(each.reason for each in ignored if each.covers(key)))
        for key in sorted(keys)
        if any(each.covers(key) for each in ignored)
    ]


def bookkeeping(catalogues: Sequence[Catalogue]) -> list[Ignored]:
    """What tools, standfast among them, keep for themselves in these databases."""
    keys = {key for each in catalogues for key in each.objects}
    tables = sorted(key for key in keys if key.kind == "table" and key.name in BOOKKEEPING)
    found = [Ignored(key.words, BOOKKEEPING[key.name]) for key in tables]
    if Key("schema", "", GUARD) in keys:
        found += [Ignored(what, "standfast's own guard") for what in GUARDING]
    return found


def summary(key: Key, catalogue: Catalogue) -> str:
    """What an object is, on one line."""
    properties = catalogue.objects[key]
    if key.kind in RELATIONS:
        counts = Counter(
            each.kind for each in catalogue.objects if (each.schema, each.table) == (key.schema, key.name)
        )
        parts = [
            _counted(counts[kind], kind) for kind in ("column", "index", "trigger", "policy") if counts[kind]
        ]
        if key.kind == "table":
            parts.append(f"{ROW_SECURITY} {properties.get(ROW_SECURITY, 'off')}")
        return ", ".join(parts)
    if "definition" in properties:
        return properties["definition"]
    return ", ".join(
        value if name == "type" else f"{name}: {value}"
        for name, value in properties.items()
        if name != "grants"
    )


def _properties(key: Key, live: Mapping[str, str], other: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted(live.keys() | other.keys()):
        if live.get(name) == other.get(name):
            continue
        if name == "column order" and key.kind != "type" and not _same_columns(live[name], other[name]):
            continue  # a column more or less: it is told by itself
        yield Difference(key, name, live.get(name, ""), other.get(name, ""))


def _same_columns(one: str, other: str) -> bool:
    return sorted(one.split(", ")) == sorted(other.split(", "))


def _counted(number: int, kind: str) -> str:
    many = {"index": "indexes", "policy": "policies"}.get(kind, f"{kind}s")
    return f"{number} {kind if number == 1 else many}"
