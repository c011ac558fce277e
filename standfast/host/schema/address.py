"""The address of a database, as applications have it in their environment: ``postgresql://user:password@host/name``."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

from standfast.host.backup.faults import WrongConfiguration
from standfast.host.schema.reach import Reach

# The password may hold anything: people paste them as they are, without %-escapes.
FORM = re.compile(
    r"^(?:postgres|postgresql|postgis)(?:\+[a-z0-9]+)?://"
    r"(?:(?P<user>[^:@/?#]*)(?::(?P<password>.*))?@)?"
    r"(?P<host>\[[0-9a-fA-F:.]+\]|%2[Ff][^:/?#@]*|[^:/?#@\[\]]*)(?::(?P<port>[0-9]+))?"
    r"(?:/(?P<database>[^/?#@]*))?(?:\?(?P<query>[^#]*))?$",
    re.DOTALL,
)
PASSED_ON = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
}


def reach(url: str, folder: str = "") -> tuple[Reach, str | None]:
    """
    How to reach the database of a URL, and the schema that Prisma's ``?schema=`` names.

    + folder: where PostgreSQL's programs are; empty: on the PATH

    Raises:
        WrongConfiguration: it is no such URL; the message does not hold it, because a password may be in it.
    """
    found = FORM.match(url.strip())
    if not found:
        raise WrongConfiguration(
            "the address of the database cannot be read: expected "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE. It is not shown here: it may "
            "hold a password."
        )
    query = {name: values[-1] for name, values in parse_qs(found["query"] or "").items()}
    host = query.get("host") or unquote((found["host"] or "").strip("[]"))
    port = query.get("port") or found["port"] or ""
    user = query.get("user") or unquote(found["user"] or "")
    database = query.get("dbname") or unquote(found["database"] or "") or user
    if not database:
        raise WrongConfiguration(
            "the address of the database names no database: expected …@HOST:PORT/DATABASE."
        )
    password = query.get("password") or unquote(found["password"] or "")
    environment = {variable: query[name] for name, variable in PASSED_ON.items() if name in query}
    if password:
        environment["PGPASSWORD"] = password
    options = [
        *(["--host", host] if host else []),
        *(["--port", port] if port else []),
        *(["--username", user] if user else []),
    ]
    words = f"{database} on {host or 'this machine'}{f':{port}' if port else ''}"
    return Reach(
        words, quoted_name(database), folder=folder, options=tuple(options), environment=environment
    ), query.get("schema")


def quoted_name(database: str) -> str:
    """A database's name as ``--dbname`` takes it: a name with ``=`` would be read as a connection string."""
    if "=" not in database and "://" not in database:
        return database
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"
