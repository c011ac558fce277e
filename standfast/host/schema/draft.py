"""
A migration for what the live database has and the migrations lack: a draft, that nobody but people applies.

Most of it are pg_dump's own statements, in pg_dump's order: what depends on something comes after it. A draft
never drops a policy and never switches row level security off: where the live one lacks these, it says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from standfast.host.schema.catalogue import Catalogue, Key
from standfast.host.schema.comparison import ONLY_LIVE, ONLY_OTHER, ROW_SECURITY, Difference, told
from standfast.host.schema.dump import Dump, Part, about
from standfast.host.schema.throwaway import identifier

OWNER = re.compile(r"^ALTER .* OWNER TO (?P<role>.*);$", re.MULTILINE)
REPLACED = {
    "VIEW": ("CREATE VIEW", "CREATE OR REPLACE VIEW"),
    "FUNCTION": ("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"),
    "PROCEDURE": ("CREATE PROCEDURE", "CREATE OR REPLACE PROCEDURE"),
}
MADE_ANEW = (
    *("MATERIALIZED VIEW", "POLICY", "TRIGGER", "RULE", "INDEX", "STATISTICS"),
    *("CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT"),
)
STRENGTH = {"on": 1, "on and forced": 2}
AS_IT_IS = ("DEFAULT", "COMMENT", "SEQUENCE OWNED BY")


@dataclass(frozen=True)
class Draft:
    """Statements, and what people have to decide themselves."""

    sql: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sides:
    """What is compared."""

    live: Catalogue
    built: Catalogue
    live_dump: Dump
    built_dump: Dump
    differences: Sequence[Difference]
    role: str
    """Who runs migrations: what it makes belongs to it without being said."""


def made(sides: Sides, left_out: Collection[Key]) -> Draft:
    """
    The draft.

    + left_out: objects that are not compared
    """
    statements = []
    for part, text in sides.live_dump.items():
        if about(part, left_out):
            continue
        if part not in sides.built_dump:
            statements.append(_without_owner(text, sides.role))
        elif text != sides.built_dump[part]:
            statements += _changed(part, text, sides)
    statements += _row_security(sides)
    return Draft("\n\n".join(each for each in statements if each.strip()), tuple(_notes(sides)))


def _changed(part: Part, text: str, sides: Sides) -> list[str]:
    if part.kind in ("TABLE", "FOREIGN TABLE"):
        return list(_table(part, sides))
    if part.kind in REPLACED:
        return [text.replace(*REPLACED[part.kind], 1)]
    if part.kind in MADE_ANEW:
        return [f"{_drop(part, sides)}\n{text}"]
    if part.kind == "ACL":
        return [f"{_revoked(part, sides)}{text}"]
    if part.kind == "TYPE":
        return list(_values(part, sides))
    return [text] if part.kind in AS_IT_IS else []


def _table(part: Part, sides: Sides) -> Iterator[str]:
    table = _qualified(part.schema, part.tag)
    for each in sides.differences:
        if each.key.schema != part.schema or part.tag not in (each.key.table, each.key.name):
            continue
        if each.key.kind == "column" and each.key.table == part.tag:
            yield from _column(table, each, sides)
        elif each.key.kind == "constraint" and each.key.table == part.tag and _inline(each.key, sides):
            name = identifier(each.key.name)
            if each.what == "definition":
                yield f"ALTER TABLE {table} DROP CONSTRAINT {name};"
            if each.what != ONLY_OTHER:
                definition = sides.live.objects[each.key]["definition"]
                yield f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition};"
        elif each.key == Key("table", part.schema, part.tag) and each.what == "owner":
            yield f"ALTER TABLE {table} OWNER TO {identifier(each.live)};"
        elif each.key == Key("table", part.schema, part.tag) and each.what == "options" and each.live:
            yield f"ALTER TABLE {table} SET ({each.live});"


def _column(table: str, difference: Difference, sides: Sides) -> Iterator[str]:
    name = identifier(difference.key.name)
    alter = f"ALTER TABLE {table} ALTER COLUMN {name}"
    if difference.what == ONLY_LIVE:
        has = sides.live.objects[difference.key]
        words = [
            has["type"],
            f"COLLATE {has['collation']}" if "collation" in has else "",
            f"DEFAULT {has['default']}" if "default" in has else "",
            f"GENERATED ALWAYS AS ({has['generated']}) STORED" if "generated" in has else "",
            f"GENERATED {has['identity'].upper()} AS IDENTITY" if "identity" in has else "",
            "NOT NULL" if has.get("not null") == "yes" else "",
        ]
        yield f"ALTER TABLE {table} ADD COLUMN {name} {' '.join(filter(None, words))};"
    elif difference.what == "type":
        yield f"{alter} TYPE {difference.live} USING {name}::{difference.live};"
    elif difference.what == "default":
        yield f"{alter} SET DEFAULT {difference.live};" if difference.live else f"{alter} DROP DEFAULT;"
    elif difference.what == "not null":
        yield f"{alter} SET NOT NULL;" if difference.live == "yes" else f"{alter} DROP NOT NULL;"
    elif difference.what == "identity" and difference.live:
        verb = (
            f"SET GENERATED {difference.live.upper()}"
            if difference.other
            else f"ADD GENERATED {difference.live.upper()} AS IDENTITY"
        )
        yield f"{alter} {verb};"


def _row_security(sides: Sides) -> Iterator[str]:
    """FORCE stands with the table in a dump, so a table that both sides have does not show it by itself."""
    for each in sides.differences:
        if each.what == ROW_SECURITY and each.live == "on and forced":
            yield f"ALTER TABLE {_qualified(each.key.schema, each.key.name)} FORCE ROW LEVEL SECURITY;"


def _values(part: Part, sides: Sides) -> Iterator[str]:
    key = Key("type", part.schema, part.tag)
    then = sides.built.objects.get(key, {}).get("values", "").split(", ")
    now = sides.live.objects.get(key, {}).get("values", "").split(", ")
    if now[: len(then)] == then:
        for value in now[len(then) :]:
            quoted = value.replace("'", "''")
            yield f"ALTER TYPE {_qualified(part.schema, part.tag)} ADD VALUE '{quoted}';"


def _drop(part: Part, sides: Sides) -> str:
    if part.kind in ("INDEX", "STATISTICS", "MATERIALIZED VIEW"):
        return f"DROP {part.kind} {_qualified(part.schema, part.tag)};"
    kind = {"POLICY": "policy", "TRIGGER": "trigger", "RULE": "rule"}.get(part.kind, "constraint")
    key = next(
        key
        for key in sides.live.of_kind(kind)
        if key.schema == part.schema and f"{key.table} {key.name}" == part.tag
    )
    table = _qualified(key.schema, key.table)
    if kind == "constraint":
        return f"ALTER TABLE {table} DROP CONSTRAINT {identifier(key.name)};"
    return f"DROP {part.kind} {identifier(key.name)} ON {table};"


def _revoked(part: Part, sides: Sides) -> str:
    """Whoever may do in the migrations what it may not in service loses it before the grants are written."""
    words = part.tag.split(" ", 1)
    lines = []
    for each in sides.differences:
        if each.what == "grants" and each.key.schema == part.schema and each.key.name == part.object:
            for grant in filter(None, each.other.split(", ")):
                role = grant.split(": ")[0]
                if grant not in each.live.split(", ") and len(words) == 2 and role != "its owner":
                    who = "PUBLIC" if role == "PUBLIC" else identifier(role)
                    lines.append(
                        f"REVOKE ALL ON {words[0]} {_qualified(part.schema, part.object)} FROM {who};\n"
                    )
    return "".join(lines)


def _notes(sides: Sides) -> Iterator[str]:
    for each in told(sides.differences):
        if each.what == ONLY_OTHER:
            yield f"{each.object}: the migrations make it, the live database does not have it"
        elif each.key.kind == "role":
            yield f"{each.object}: {each.what} {each.live or 'no'} in service; roles are not drafted"
        elif each.what == ROW_SECURITY and STRENGTH.get(each.live, 0) < STRENGTH.get(each.other, 0):
            yield f"{each.object}: {ROW_SECURITY} is {each.live}, in the migrations {each.other}: not drafted"
        elif each.key.kind == "policy" and each.what not in (ONLY_LIVE, ONLY_OTHER):
            yield f"{each.object}: drafted as it is in service; see whether it protects less ({each.what})"


def _inline(key: Key, sides: Sides) -> bool:
    """Whether a constraint stands inside its table's statement."""
    tag = f"{key.table} {key.name}"
    kinds = ("CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT")
    return not any(Part(kind, key.schema, tag) in sides.live_dump for kind in kinds)


def _without_owner(text: str, role: str) -> str:
    return OWNER.sub(lambda found: "" if found["role"].strip('"') == role else found[0], text).strip()


def _qualified(schema: str, name: str) -> str:
    return f"{identifier(schema)}.{identifier(name)}" if schema else identifier(name)
