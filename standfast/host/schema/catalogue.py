"""What is in a database besides rows: every object with its properties, read from PostgreSQL's catalogues."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from standfast.host.backup.faults import Fault
from standfast.host.schema.reach import Reach
from standfast.host.schema.statements import BEGIN, OBJECTS, PREPARE, SERVER

OLDEST = 12
"""Major version of PostgreSQL from which on the catalogues have all that is asked."""
SECONDS = 60


@dataclass(frozen=True, order=True)
class Key:
    """Which object it is."""

    kind: str
    """``table``, ``column``, ``policy``, …"""
    schema: str
    """Empty for what is in none, such as roles and extensions."""
    name: str
    """Without quotes; of a function with the types of its arguments."""
    table: str = ""
    """The table, view or sequence of the same schema that it belongs to."""

    @property
    def words(self) -> str:
        """For people: ``column public.users.email``, ``policy own on public.users``."""
        if self.kind == "comment":
            return f"comment on {self.name}"
        if self.kind == "default grants":
            return f"default grants {self.name}{f' in {self.schema}' if self.schema else ''}"
        if not self.table:
            return f"{self.kind} {self.schema}.{self.name}" if self.schema else f"{self.kind} {self.name}"
        if self.kind == "column":
            return f"column {self.schema}.{self.table}.{self.name}"
        return f"{self.kind} {self.name} on {self.schema}.{self.table}"


@dataclass(frozen=True)
class Server:
    """The server that a database is in, as far as a copy of its schema must be like it."""

    version: str
    major: int
    superuser: str
    """Name of the role that the cluster was made with."""
    database: str
    owner: str
    """Of the database."""
    encoding: str
    collation: str
    character_type: str
    role: str
    """Who asks."""
    migrator: str
    """The role that owns most: who ran the migrations."""


@dataclass(frozen=True)
class Catalogue:
    """All objects of one database, all of one moment."""

    objects: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)
    """Properties in words, by object: ``{"type": "text", "default": "''::text"}``."""

    def of_kind(self, *kinds: str) -> list[Key]:
        """Objects of these kinds, in order."""
        return sorted(key for key in self.objects if key.kind in kinds)

    def as_json(self) -> list[dict[str, Any]]:
        """For files."""
        return [
            {
                "kind": key.kind,
                "schema": key.schema,
                "table": key.table,
                "name": key.name,
                "is": dict(self.objects[key]),
            }
            for key in sorted(self.objects)
        ]


def parse(rows: Iterable[Mapping[str, Any]]) -> Catalogue:
    """A catalogue from what `Catalogue.as_json` or the statements give."""
    return Catalogue(
        {
            Key(row["kind"], row["schema"] or "", row["name"], row["table"] or ""): {
                name: _text(value) for name, value in row["is"].items() if value is not None
            }
            for row in rows
        }
    )


def read(reach: Reach, snapshot: str | None = None) -> tuple[Server, Catalogue]:
    """
    Read everything in one transaction that may only read.

    + snapshot: the exported name of the one to look through; the default is now

    Raises:
        Fault: the server does not answer, is too old, or refuses.
    """
    server = _server(reach)
    begin = f"{BEGIN} SET TRANSACTION SNAPSHOT '{snapshot}';" if snapshot else BEGIN
    script = [begin, PREPARE, *OBJECTS.values(), "COMMIT;"]
    lines = reach.psql("\n".join(script), seconds=SECONDS).splitlines()
    return server, parse(json.loads(line) for line in lines if line)


def _server(reach: Reach) -> Server:
    found = json.loads(reach.psql(SERVER))
    major = int(found.pop("number")) // 10000
    if major < OLDEST:
        raise Fault(f"{reach.words}: expected PostgreSQL {OLDEST} or newer, found {major}")
    return Server(**found, major=major)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    return str(value)
