"""Counts what is there: rows of every table, uploaded pictures; to hold before against after."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction


@dataclass(frozen=True, slots=True)
class Census:
    """Rows per table and the pictures; `hashes` per table and for `media` when asked for."""

    tables: dict[str, int]
    pictures: int
    picture_bytes: int
    hashes: dict[str, str] = field(default_factory=dict)


def take(*, hashes: bool = False) -> Census:
    """
    Count every table of the database at one moment, and the files below MEDIA_ROOT.

    + hashes: also hash the content; the order of rows and the time zone of the server do not matter

    Raises:
        DatabaseError: the database does not answer; nothing is ever written.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # A row's text depends on these, and a server's defaults may have changed in between.
        cursor.execute("SET LOCAL TimeZone = 'UTC'")
        cursor.execute("SET LOCAL DateStyle = 'ISO'")
        cursor.execute("SET LOCAL extra_float_digits = 1")
        tables: dict[str, int] = {}
        found: dict[str, str] = {}
        for table in sorted(connection.introspection.table_names(cursor)):
            digest = "coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)" if hashes else "0"
            name = connection.ops.quote_name(table)
            cursor.execute(f"SELECT count(*), {digest} FROM {name} AS t")  # noqa: S608 quoted name
            tables[table], number = cursor.fetchone()
            if hashes:
                found[table] = str(number)
    files = pictures()
    if hashes:
        found["media"] = content_hash(files)
    return Census(tables, len(files), sum(path.stat().st_size for path in files), found)


def pictures() -> list[Path]:
    """Every file below MEDIA_ROOT, sorted."""
    return sorted(path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file())


def content_hash(files: list[Path]) -> str:
    """One SHA-256 over the names and the content of files below MEDIA_ROOT."""
    whole = hashlib.sha256()
    for path in files:
        name = path.relative_to(settings.MEDIA_ROOT).as_posix()
        whole.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()
