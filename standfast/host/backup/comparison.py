"""Two censuses held against each other: a restored copy and its manifest, today's copy and yesterday's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from standfast.host.backup.manifest import Census, RowSecurity, Table

SHOWN = 5


SCHEMA = "the schema is another one"
EXPRESSIONS = " using ("
"""What the expressions of a policy begin with, in its line of a census."""


def differences(then: Census, now: Census, *, dumped_schema: str = "") -> list[str]:
    """
    What is not as it was when the copy was made, one sentence each; none when the copy is right.

    + then: the manifest's
    + now: of the database that was restored
    + dumped_schema: hash of the schema in the dump that it was loaded from, whole. Where that is the
      manifest's, only PostgreSQL's spelling can differ, and is not compared.
    """
    found = [*_named("table", then.tables, now.tables), *_rows(then.tables, now.tables)]
    for name in sorted(then.sequences.keys() & now.sequences.keys()):
        if now.sequences[name] < then.sequences[name]:
            found.append(f"sequence {name} is at {now.sequences[name]}, it was at {then.sequences[name]}")
    found += _named("sequence", then.sequences, now.sequences)
    found += _named("extension", then.extensions, now.extensions)
    found += [f"role {name} is missing" for name in sorted(then.roles.keys() - now.roles.keys())]
    found += [
        f"role {name}: {now.roles[name] or 'no rights'}; it was: {then.roles[name] or 'no rights'}"
        for name in sorted(then.roles.keys() & now.roles.keys())
        if then.roles[name] != now.roles[name]
    ]
    respelled = bool(dumped_schema) and dumped_schema == then.schema_sha256
    found += _security(then.row_security, now.row_security, respelled=respelled)
    if then.large_objects != now.large_objects:
        found.append(f"{now.large_objects} large objects, there were {then.large_objects}")
    if then.schema_sha256 != now.schema_sha256 and not respelled:
        found.append(SCHEMA if found else f"{SCHEMA}: compare `pg_dump --schema-only` of both")
    return found


def losses(before: Census, now: Census, may_shrink: Sequence[str]) -> list[str]:
    """
    What has gone missing since the last good copy in a way that few teams do on purpose.

    + may_shrink: patterns of tables that may lose rows
    """
    found = []
    for name, table in sorted(before.tables.items()):
        if table.rows == 0 or any(fnmatchcase(name, pattern) for pattern in may_shrink):
            continue
        left = now.tables.get(name)
        if left is None:
            found.append(f"table {name} is gone; it had {table.rows:,} rows")
        elif left.rows == 0:
            found.append(f"table {name} is empty; it had {table.rows:,} rows")
        elif left.rows * 2 <= table.rows:
            found.append(f"table {name} has {left.rows:,} rows; it had {table.rows:,}")
    return found


def shortened(found: Sequence[str]) -> str:
    """Sentences for a message: the first ones, and how many more there are."""
    more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + more


def _named(what: str, then: Mapping[str, object], now: Mapping[str, object]) -> Iterator[str]:
    yield from (f"{what} {name} is missing" for name in sorted(then.keys() - now.keys()))
    yield from (f"{what} {name} was not there" for name in sorted(now.keys() - then.keys()))


def _rows(then: Mapping[str, Table], now: Mapping[str, Table]) -> Iterator[str]:
    for name in sorted(then.keys() & now.keys()):
        old, new = then[name], now[name]
        if old.rows != new.rows:
            yield f"table {name} has {new.rows:,} rows, it had {old.rows:,}"
        elif old.hash != new.hash:
            yield f"table {name} has other content in its {new.rows:,} rows"


def _security(
    then: Mapping[str, RowSecurity], now: Mapping[str, RowSecurity], *, respelled: bool
) -> Iterator[str]:
    def compared(security: RowSecurity) -> set[str]:
        return {line.partition(EXPRESSIONS)[0] if respelled else line for line in security.policies}

    for name in sorted(then.keys() | now.keys()):
        old, new = then.get(name, RowSecurity(False, False)), now.get(name, RowSecurity(False, False))
        if (old.enabled, old.forced) != (new.enabled, new.forced):
            yield f"row-level security of {name}: {_state(new)}, it was {_state(old)}"
        for policy in sorted(compared(old) - compared(new)):
            yield f"policy on {name} is missing or changed: {policy}"
        for policy in sorted(compared(new) - compared(old)):
            yield f"policy on {name} was not there: {policy}"


def _state(security: RowSecurity) -> str:
    return ("on and forced" if security.forced else "on") if security.enabled else "off"
