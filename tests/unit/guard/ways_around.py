"""
Ways around the guards of a developer's machine, each one tried, and the table in docs/guards.md made of it.

``python -m tests.unit.guard.ways_around`` writes what a test has seen into the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs/guards.md"
BEGIN, END = "<!-- ways around: made by a test -->\n", "<!-- end -->\n"
STOPPED, PASSES = "stopped", "**passes**"


@dataclass(frozen=True)
class Way:
    """One way, as a line for bash; `$DATABASE_URL` is set, the shims are first in PATH."""

    told: str
    line: str
    result: str
    why: str


DESTROY = 'psql "$DATABASE_URL" -qc "TRUNCATE notes"'
WAYS = [
    Way("typed at the prompt", DESTROY, STOPPED, "the shim comes first in PATH"),
    Way("`sh -c`, a script, a Makefile's child", f"sh -c '{DESTROY}'", STOPPED, "children inherit PATH"),
    Way("a script in package.json", "npm run --silent clear", STOPPED, "npm's shim reads package.json"),
    Way(
        "an alias",
        f"shopt -s expand_aliases; alias away='{DESTROY}'\naway",
        STOPPED,
        "the shell resolves it first",
    ),
    Way(
        "words from variables",
        'a=TRUNCATE; psql "$DATABASE_URL" -qc "$a notes"',
        STOPPED,
        "the shell resolves them first",
    ),
    Way("a file, `-f`", 'psql -q -f clear.sql "$DATABASE_URL"', STOPPED, "the file is read first"),
    Way("a file as input, `<`", 'psql -q "$DATABASE_URL" < clear.sql', STOPPED, "a file can be read ahead"),
    Way(
        "through a pipe",
        'cat clear.sql | psql -q "$DATABASE_URL"',
        STOPPED,
        "a pipe cannot be read ahead, so it counts as destructive",
    ),
    Way("another folder", f"cd /; {DESTROY}", STOPPED, "PATH is the same everywhere"),
    Way(
        "`env -i` with PATH kept",
        f'env -i PATH="$PATH" HOME="$HOME" {DESTROY}',
        STOPPED,
        "env finds the shim",
    ),
    Way(
        "a Node tool by its path, `./node_modules/.bin/…`",
        "./node_modules/.bin/prisma db execute --file clear.sql --schema prisma/schema.prisma",
        STOPPED,
        "it is started by `env node`, and node has a shim",
    ),
    Way(
        "the variable of a command that was let pass, set by hand",
        f"STANDFAST_GUARD_PASSING=0123456789abcdef {DESTROY}",
        STOPPED,
        "it must name a file of a process that runs",
    ),
    Way(
        "an absolute path",
        '{psql} "$DATABASE_URL" -qc "TRUNCATE notes"',
        PASSES,
        "nothing of PATH is asked",
    ),
    Way(
        "`env -i` without PATH, sudo, cron, systemd",
        f"env -i DATABASE_URL=\"$DATABASE_URL\" /bin/sh -c '{DESTROY}'",
        PASSES,
        "they have a PATH of their own",
    ),
    Way(
        "a shell without the line of `guard install`",
        f"PATH=${{PATH#*:}}; {DESTROY}",
        PASSES,
        "the shims are not in its PATH",
    ),
    Way(
        "statements typed into psql",
        "script -qec 'psql -q \"$DATABASE_URL\"' /dev/null <<'E'\nTRUNCATE notes;\n\\q\nE",
        PASSES,
        "nobody reads along in a session",
    ),
    Way(
        "a program that connects by itself",
        "node -e \"const c = new (require('pg').Client)(process.env.DATABASE_URL); c.connect().then(() => c.query('TRUNCATE notes')).then(() => c.end())\"",
        PASSES,
        "no command names what it does",
    ),
    Way(
        "a DELETE whose WHERE is true for every row",
        "psql \"$DATABASE_URL\" -qc 'DELETE FROM notes WHERE id > 0'",
        PASSES,
        "only a missing or trivial WHERE is seen",
    ),
    Way(
        "a function that deletes",
        "psql \"$DATABASE_URL\" -qc 'SELECT empty_notes()'",
        PASSES,
        "its body is in the database",
    ),
]


def table(results: dict[str, str]) -> str:
    """The table of the page."""
    rows = [f"| {way.told} | {results[way.told]} | {way.why} |\n" for way in WAYS]
    return "| way | what happened | why |\n|---|---|---|\n" + "".join(rows)


def shown() -> str:
    """What stands in the page."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    expected = table({way.told: way.result for way in WAYS})
    PAGE.write_text(
        text.replace(shown(), expected) if shown() else text.replace(BEGIN, BEGIN + expected), "utf-8"
    )
