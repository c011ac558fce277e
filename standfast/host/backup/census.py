"""What is in a database: rows and hashes of every table, sequences, roles, row-level security, schema."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from standfast.host.backup import manifest, postgres, programs
from standfast.host.backup.faults import Fault
from standfast.host.backup.manifest import Census, Table
from standfast.host.backup.postgres import Place, Session

# Extensions bring their own tables; PostgreSQL dumps those with the extension.
TABLES = """
SELECT json_build_object('name', format('%I.%I', n.nspname, c.relname),
    'exact', format('ONLY %I.%I', n.nspname, c.relname),
    'columns', (SELECT coalesce(json_agg(format('%I', a.attname) ORDER BY a.attnum), '[]') FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1::text;
"""

SEQUENCES = """
SELECT coalesce(json_object_agg(format('%I.%I', schemaname, sequencename), coalesce(last_value, 0)), '{}')
FROM pg_sequences;
"""

REST = """
SELECT json_build_object(
'extensions', (SELECT coalesce(json_object_agg(extname, extversion), '{}') FROM pg_extension),
'large_objects', (SELECT count(*) FROM pg_largeobject_metadata),
'roles', (SELECT coalesce(json_object_agg(r.rolname, array_to_string(ARRAY[
        CASE WHEN r.rolsuper THEN 'superuser' END, CASE WHEN r.rolcanlogin THEN 'login' END,
        CASE WHEN r.rolbypassrls THEN 'bypassrls' END, CASE WHEN r.rolcreaterole THEN 'createrole' END,
        CASE WHEN r.rolcreatedb THEN 'createdb' END, CASE WHEN r.rolreplication THEN 'replication' END,
        CASE WHEN NOT r.rolinherit THEN 'noinherit' END, CASE WHEN m.names <> '' THEN 'in ' || m.names END
    ], ', ')), '{}')
    FROM pg_roles r CROSS JOIN LATERAL (
        SELECT string_agg(g.rolname::text, ' ' ORDER BY g.rolname) AS names
        FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid WHERE a.member = r.oid) m
    WHERE r.rolname !~ '^pg_'),
'row_security', (SELECT coalesce(json_object_agg(format('%I.%I', n.nspname, c.relname), json_build_object(
        'enabled', c.relrowsecurity, 'forced', c.relforcerowsecurity, 'policies', p.lines)), '{}')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL (
        SELECT coalesce(json_agg(format('%s %s %s to %s using (%s) check (%s)', policyname, permissive, cmd,
            array_to_string(roles, ' '), qual, with_check) ORDER BY policyname), '[]') AS lines
        FROM pg_policies WHERE schemaname = n.nspname AND tablename = c.relname) p
    WHERE c.relkind IN ('r', 'p') AND (c.relrowsecurity OR json_array_length(p.lines) > 0)));
"""

BOUND = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relrowsecurity AND row_security_active(c.oid) ORDER BY 1;
"""


def taken(session: Session, place: Place, database: str, snapshot: str | None = None) -> Census:
    """
    Count and hash everything.

    + session: whose transaction decides what is seen
    + snapshot: the exported name of that transaction's snapshot, for the schema; the default is now

    Raises:
        Fault: something could not be read.
    """
    sequences = json.loads(session.ask(SEQUENCES)[0])
    rest = json.loads(session.ask(REST)[0])
    tables = {}
    with ThreadPoolExecutor(1) as beside:
        schema = beside.submit(schema_hash, place, database, snapshot)
        for line in session.ask(TABLES):
            table = json.loads(line)
            tables[table["name"]] = _counted(session, table["exact"], table["columns"])
    found = manifest.census({**rest, "tables": {}, "sequences": sequences})
    return replace(found, tables=tables, schema_sha256=schema.result())


def of(place: Place, database: str) -> Census:
    """
    The census of a database as it is now, all of one moment.

    Raises:
        Fault: it cannot be read whole.
    """
    with place.session(database) as session:
        session.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL row_security = off;")
        snapshot = session.ask("SELECT pg_export_snapshot();")[0]
        return taken(session, place, database, snapshot)


def bound(session: Session) -> list[str]:
    """Tables of which row-level security hides rows from this session's role."""
    return session.ask(BOUND)


def schema_hash(place: Place, database: str, snapshot: str | None = None) -> str:
    """
    A hash of everything in a database but rows.

    Raises:
        Fault: pg_dump could not read it.
    """
    given = ["--lock-wait-timeout", str(postgres.LOCK_MILLISECONDS)]
    given += ["--snapshot", snapshot] if snapshot else []
    done = programs.run(
        place.command("pg_dump", "--schema-only", *given, "--dbname", database), seconds=programs.LONG
    )
    if done.code != 0:
        raise Fault(f"database {database}: pg_dump --schema-only: {done.reason}")
    return hashed_schema(done.output)


def hashed_schema(text: str) -> str:
    """
    The same of what ``pg_dump --schema-only`` printed, or ``pg_restore --schema-only`` of a dump.

    A restored database need not have it: PostgreSQL spells ``state IN ('new', 'paid')`` in another way once
    it has read its own spelling.
    """
    # \restrict and \unrestrict carry a key that is new each time.
    lines = [
        line
        for line in text.splitlines()
        if line.strip() and not line.startswith(("--", "\\restrict", "\\unrestrict"))
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _counted(session: Session, table: str, columns: Sequence[str]) -> Table:
    # Names come from PostgreSQL's own format('%I'), quoted.
    sql = (
        f"SELECT json_build_array(count(*), coalesce(sum({_row_hash(columns)}), 0)::text) "  # noqa: S608
        f"FROM {table} AS standfast_row;"
    )
    rows, digest = json.loads(session.ask(sql)[0])
    return Table(int(rows), str(digest))


def _row_hash(columns: Sequence[str]) -> str:
    """
    SQL for a 64-bit hash of a row: of each column as text, seeded with its name, then of all of them.

    Column by column takes a third of the time of ``row::text``, which looks at every character that it
    copies. The last hash ties the values of a row together: two rows that swap a value are two other rows.
    """
    each = [_column_hash(name) for name in columns]
    return f"hashint8extended({' # '.join(each) or '0'}, 0)"


def _column_hash(name: str) -> str:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    text = f'standfast_row.{name}::text COLLATE "C"'  # a database's own collation may say that a = A
    return f"coalesce(hashtextextended({text}, {seed}), {seed})"
