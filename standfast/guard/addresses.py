"""Where a database is: from a connection string, or from variables and options."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, unquote

POSTGRESQL, SQLITE, OTHER = "postgresql", "sqlite", "other"
_URL = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_PLACE = re.compile(r"(?P<place>(?:\[[^\]]*\]|[^@/?\[\]]*)/[^@/?]+)(?:\?(?P<query>.*))?", re.DOTALL)
_PAIR = re.compile(r"\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S*))")
_POSTGRESQL = (
    "postgres",
    "postgresql",
    "postgis",
    "psql",
    "pgsql",
    "prisma+postgres",
    "cockroachdb",
    "timescale",
)
# Parameters of a URL that libpq knows; Prisma's own (schema, connection_limit, pgbouncer, …) are not for it.
_LIBPQ = (
    *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslpassword", "channel_binding", "gssencmode"),
    *("connect_timeout", "host", "port", "user", "password", "dbname", "target_session_attrs"),
)
_VARIABLES = {
    "PGHOST": "host",
    "PGPORT": "port",
    "PGUSER": "user",
    "PGPASSWORD": "password",
    "PGDATABASE": "database",
}


class NotAnAddress(Exception):
    """A connection string that cannot be read; the message never holds it."""


@dataclass(frozen=True)
class Address:
    """One database."""

    kind: str
    """``postgresql``, ``sqlite`` or ``other``: one that we cannot look into."""
    database: str
    host: str = ""
    """A name, an address, or the folder of a socket; empty for the default."""
    port: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    more: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Further parameters for libpq."""
    container: str = ""
    """Name of the container in which PostgreSQL runs, when it is only reached through that."""
    source: str = ""
    """Where we have it from, in words: ``DATABASE_URL in .env``."""

    @property
    def name(self) -> str:
        """``HOST/DATABASE``, as it is declared in guard.yml; never with a password."""
        if self.kind == SQLITE:
            return self.database
        where = f"container:{self.container}" if self.container else self.host or "localhost"
        where = "localhost" if where.startswith("/") or where in ("127.0.0.1", "::1") else where
        port = f":{self.port}" if self.port not in ("", "5432") else ""
        return f"{where}{port}/{self.database}"

    @property
    def typed(self) -> str:
        """What somebody types to confirm: the database's own name."""
        return Path(self.database).name if self.kind == SQLITE else self.database


def parse(text: str, source: str, *, folder: str = ".") -> Address:
    """
    An address from a URL (``postgresql://…``, ``sqlite:///…``), or from libpq's ``host=… dbname=…``.

    Passwords may hold any sign, also those that ought to be percent-encoded and are not.

    + folder: what a relative path of SQLite stands in

    Raises:
        NotAnAddress: it is none.
    """
    text = text.strip().strip("\"'")
    match = _URL.fullmatch(text.removeprefix("jdbc:"))
    if match is None:
        if text.startswith("file:"):
            return Address(SQLITE, os.path.normpath(Path(folder, text[5:].partition("?")[0])), source=source)
        if "=" in text:
            return _from_pairs(text, source)
        raise NotAnAddress(f"{source}: expected a connection string such as postgresql://USER@HOST/DATABASE")
    scheme = (
        match["scheme"].lower().partition("+")[0]
        if match["scheme"] != "prisma+postgres"
        else "prisma+postgres"
    )
    rest = match["rest"].partition("?")[0]
    if scheme in ("sqlite", "sqlite3"):
        path = unquote(rest.removeprefix("/"))
        return Address(SQLITE, os.path.normpath(Path(folder, path)), source=source)
    return _from_url(POSTGRESQL if scheme in _POSTGRESQL else OTHER, match["rest"], source)


def _parts(rest: str) -> tuple[str, str, str]:
    """
    Login, place and query of a URL. A password may hold "/", "?" and "@" as they are, and so may the query:
    the login ends at the last "@" behind which a host and a database stand.
    """
    ends = [index for index, sign in enumerate(rest) if sign == "@"]
    for end in reversed(ends):
        if match := _PLACE.fullmatch(rest, end + 1):
            return rest[:end], match["place"], match["query"] or ""
    place, _, query = rest[ends[0] + 1 if ends else 0 :].partition("?")
    return rest[: ends[0]] if ends else "", place, query


def _from_url(kind: str, rest: str, source: str) -> Address:
    login, place, query = _parts(rest)
    user, _, password = login.partition(":")
    where, _, database = place.partition("/")
    host, port = _host_port(where)
    known = {name: value for name, value in parse_qsl(query) if name in _LIBPQ}
    more = {
        name: value
        for name, value in known.items()
        if name not in ("host", "port", "user", "password", "dbname")
    }
    found = Address(
        kind,
        unquote(database) or known.get("dbname", "") or unquote(user),
        host=unquote(host) or known.get("host", ""),
        port=port or known.get("port", ""),
        user=unquote(user) or known.get("user", ""),
        password=unquote(password) or known.get("password", ""),
        more=tuple(more.items()),
        source=source,
    )
    if not found.database:
        raise NotAnAddress(f"{source}: expected the database's name behind the host")
    return found


def _host_port(where: str) -> tuple[str, str]:
    if where.startswith("["):
        host, _, port = where[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = where.partition(":")
    return host, port


def _from_pairs(text: str, source: str) -> Address:
    pairs = {name: (quoted or plain).replace("\\'", "'") for name, quoted, plain in _PAIR.findall(text)}
    if not pairs:
        raise NotAnAddress(f"{source}: expected pairs such as host=… dbname=…")
    return Address(
        POSTGRESQL,
        pairs.pop("dbname", "") or pairs.get("user", ""),
        host=pairs.pop("host", pairs.pop("hostaddr", "")),
        port=pairs.pop("port", ""),
        user=pairs.pop("user", ""),
        password=pairs.pop("password", ""),
        more=tuple((name, value) for name, value in pairs.items() if name in _LIBPQ),
        source=source,
    )


def with_defaults(address: Address, environment: Mapping[str, str], account: str) -> Address:
    """What libpq fills in: PGHOST and its kin, then the account's name."""
    if address.kind != POSTGRESQL:
        return address
    given = {key: environment[name] for name, key in _VARIABLES.items() if environment.get(name)}
    more = dict(address.more)
    if environment.get("PGSSLMODE"):
        more.setdefault("sslmode", environment["PGSSLMODE"])
    user = address.user or given.get("user") or account
    return replace(
        address,
        host=address.host or given.get("host", ""),
        port=address.port or given.get("port", ""),
        user=user,
        password=address.password or given.get("password", ""),
        database=address.database or given.get("database") or user,
        more=tuple(more.items()),
    )
