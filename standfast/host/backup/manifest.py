"""
What a copy says about itself: stored beside it, compared after every restore.

A snapshot of a database holds three files in ``layout.staging("database", NAME)``: the dump, the globals and
``manifest.json``. A snapshot of a volume holds its mount point, with the path that it had, and
``layout.staging("volume", NAME)/manifest.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

FORMAT = 1
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Table:
    """The rows of one table."""

    rows: int
    hash: str
    """Sum of a 64-bit hash of every row's values as text: independent of the order of rows and columns."""


@dataclass(frozen=True)
class RowSecurity:
    """Who sees which rows of one table."""

    enabled: bool
    forced: bool
    policies: tuple[str, ...] = ()
    """One line a policy: name, permissive, command, roles, using, with check."""


@dataclass(frozen=True)
class Census:
    """What is in a database, all of one moment; the dump's own, or that of a restored copy."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    """By ``schema.table``, quoted as SQL wants it; ordinary tables that no extension owns."""
    sequences: Mapping[str, int] = field(default_factory=dict)
    """Last values, 0 where never used. They were read before the dump: a restored one is never lower."""
    extensions: Mapping[str, str] = field(default_factory=dict)
    """Name and version."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Name and attributes in words, memberships included; without PostgreSQL's own ``pg_…``."""
    row_security: Mapping[str, RowSecurity] = field(default_factory=dict)
    """Tables with row-level security or policies."""
    large_objects: int = 0
    schema_sha256: str = ""
    """Of ``pg_dump --schema-only`` without comments and blank lines: grants, policies, triggers too."""

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables.values())


@dataclass(frozen=True)
class StoredFile:
    """One of our own files in a snapshot."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class DatabaseManifest:
    """One copy of one database."""

    name: str
    """Entry in the inventory."""
    server: str
    time: str
    """UTC, ISO 8601, of the moment whose rows these are."""
    database: str
    user: str
    census: Census
    files: Mapping[str, StoredFile]
    versions: Mapping[str, str]
    """``standfast``, ``server`` (PostgreSQL), ``pg_dump``, ``restic``."""
    app: str | None = None
    service: str | None = None
    image: str | None = None
    """Name of the container's image; ``None`` on the host."""
    image_id: str | None = None
    volume: str | None = None
    """Volume that the data directory is in."""
    lsn: str | None = None
    system_identifier: str | None = None
    """Of the cluster: another one means that the database was made anew."""
    encoding: str = "UTF8"
    collation: str = ""
    """Locale provider, collation, character type and locale, as `createdb` takes them, for people."""
    revision: str | None = None
    """Commit of the repository that the server was applied from last."""
    kind: str = "database"
    format: int = FORMAT


@dataclass(frozen=True)
class Writer:
    """A container that could write to a volume."""

    container: str
    image: str
    image_id: str
    path: str
    """Where it has the volume."""
    held: str
    """``paused``, ``stopped``, or ``not running``."""
    app: str | None = None
    service: str | None = None


@dataclass(frozen=True)
class VolumeManifest:
    """One copy of one volume."""

    name: str
    server: str
    time: str
    mountpoint: str
    driver: str
    files: int
    """Everything that is no folder and no socket."""
    folders: int
    bytes: int
    """Of regular files, as ``ls -l`` shows them."""
    versions: Mapping[str, str]
    sockets: int | None = None
    """Sockets that were there: no copy holds one. ``None`` in older manifests, whose `files` counts them."""
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    writers: tuple[Writer, ...] = ()
    revision: str | None = None
    kind: str = "volume"
    format: int = FORMAT


Manifest = DatabaseManifest | VolumeManifest
T = TypeVar("T")


def text(manifest: Manifest) -> str:
    """The content of ``manifest.json``."""
    return json.dumps(asdict(manifest), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def parse(content: str) -> Manifest:
    """
    Read a manifest; settings that a later version has added are left out.

    Raises:
        ValueError: it is none, or of a format that this program does not know.
    """
    data = json.loads(content)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"expected a manifest of format {FORMAT}")
    if data.get("kind") == "database":
        stored = {name: StoredFile(**each) for name, each in data["files"].items()}
        return _made(DatabaseManifest, {**data, "census": census(data["census"]), "files": stored})
    if data.get("kind") == "volume":
        writers = tuple(_made(Writer, each) for each in data["writers"])
        return _made(VolumeManifest, {**data, "writers": writers})
    raise ValueError(f"expected the manifest of a database or a volume, not {data.get('kind')!r}")


def census(data: Mapping[str, Any]) -> Census:
    """A census from JSON."""
    return _made(
        Census,
        {
            **data,
            "tables": {name: _made(Table, each) for name, each in data["tables"].items()},
            "row_security": {
                name: _made(RowSecurity, {**each, "policies": tuple(each["policies"])})
                for name, each in data["row_security"].items()
            },
        },
    )


def _made(kind: type[T], data: Mapping[str, Any]) -> T:
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type] # all of them are dataclasses
    return kind(**{name: value for name, value in data.items() if name in known})


class Readable(Protocol):
    """What can be read."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


def passed_on(content: Readable, to: IO[bytes] | None = None) -> StoredFile:
    """Size and checksum of what is read to its end, and written somewhere else on the way."""
    digest, size = hashlib.sha256(), 0
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if to is not None:
            to.write(chunk)
    return StoredFile(size, digest.hexdigest())


def stored_file(path: Path) -> StoredFile:
    """Size and checksum of a file."""
    with path.open("rb") as file:
        return passed_on(file)
