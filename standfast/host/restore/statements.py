"""SQL for a restore: a database beside the one that is there, the roles that are missing, the swap."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^\s;"]+)'
_ROLE = re.compile(rf"(?:CREATE|ALTER) ROLE ({_IDENTIFIER})[ ;]")
_MEMBERSHIP = re.compile(rf"GRANT ({_IDENTIFIER}) TO ({_IDENTIFIER})[ ;]")
_OF_A_DATABASE = (
    "CREATE DATABASE |ALTER DATABASE |COMMENT ON DATABASE |ALTER ROLE .* IN DATABASE |"
    "(?:GRANT|REVOKE) .* ON DATABASE |SECURITY LABEL .* ON DATABASE "
)
# For pg_restore these are a part of the schema, for pg_dump they are none.
_REFRESH = re.compile(
    r"^-- Name: .*; Type: MATERIALIZED VIEW DATA; .*\n--\n\nREFRESH MATERIALIZED VIEW .*\n", re.MULTILINE
)
_META_COMMAND = re.compile(r"^\\(?:un)?(?:restrict|connect) .*\n", re.MULTILINE)


def identifier(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal; with standard_conforming_strings, which psql's sessions have."""
    return "'" + text.replace("'", "''") + "'"


def renamed(creation: str, name: str, new: str) -> str:
    """
    The statements that make a database, for a database of another name.

    + creation: what ``pg_restore --create --schema-only --schema NONE --file -`` prints: the database
      itself, its settings, rights and comment, and nothing in it
    """
    plain = _META_COMMAND.sub("", creation)
    spelled = f"{re.escape(name)}|{re.escape(identifier(name))}"
    pattern = re.compile(rf"^({_OF_A_DATABASE})(?:{spelled})(?=[ ;])", re.MULTILINE)
    return pattern.sub(lambda match: match[1] + identifier(new), plain)


def without_refreshes(schema: str) -> str:
    """What ``pg_restore --schema-only`` prints, as ``pg_dump --schema-only`` would."""
    return _REFRESH.sub("", schema)


def missing_roles(dumped: str, present: Collection[str]) -> str:
    """
    The statements of ``pg_dumpall --globals-only`` for roles that are not there.

    Roles that are there stay as they are: their passwords may have been changed since.
    """
    return "".join(f"{line}\n" for line in _of_missing(dumped, present))


def _of_missing(dumped: str, present: Collection[str]) -> Iterator[str]:
    for line in dumped.splitlines():
        if match := _ROLE.match(line):
            if _name(match[1]) not in present:
                yield line
        elif (match := _MEMBERSHIP.match(line)) and not {_name(match[1]), _name(match[2])} <= set(present):
            # Whoever granted it may be a role that another server has and this one has not.
            yield re.sub(rf" GRANTED BY {_IDENTIFIER};$", ";", line)


def _name(spelled: str) -> str:
    return spelled[1:-1].replace('""', '"') if spelled.startswith('"') else spelled


def swap(name: str, new: str, before: str | None) -> str:
    """
    One transaction that ends the sessions of two databases and gives the new one the old one's name.

    + before: name for the one that is there; ``None`` when none is
    """
    names = ", ".join(literal(each) for each in (name, new))
    away = f"ALTER DATABASE {identifier(name)} RENAME TO {identifier(before)};\n" if before else ""
    return (
        "BEGIN;\n"
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        f"WHERE datname IN ({names}) AND pid <> pg_backend_pid();\n"
        f"{away}ALTER DATABASE {identifier(new)} RENAME TO {identifier(name)};\n"
        "COMMIT;\n"
    )
