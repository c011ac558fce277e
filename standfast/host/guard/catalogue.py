"""
What the catalogue of destructive commands holds; ``standfast/guard/catalogue.yml`` is its source.

Named tuples here and in the modules beside: every command behind a shim would wait 20 ms for `dataclasses`,
and for `typing` too, see `named_tuple`.
"""

from __future__ import annotations

from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NamedTuple
else:
    from standfast.host.guard.named_tuple import NamedTuple

FORMAT = 1
NOTHING: Mapping[str, str] = MappingProxyType({})


class Pattern(NamedTuple):
    """One way to recognise a command; everything that is given must hold."""

    words: tuple[str, ...] = ()
    """Subcommands, in order: the first arguments that are no options. ``a|b`` and ``*`` are understood."""
    any: tuple[str, ...] = ()
    """At least one argument behind the words is like one of these."""
    flags: tuple[str, ...] = ()
    """Options that must all be there; ``-v|--volumes`` is one option with two spellings."""
    values: Mapping[str, str] = NOTHING
    """Options, and what their value must be like."""
    without: tuple[str, ...] = ()
    """Options with which it does nothing: ``--dry-run``."""
    paths: tuple[str, ...] = ()
    """At least one argument is one of these folders, above one or below one."""
    sql: tuple[str, ...] = ()
    """Kinds of SQL statements, as `sql.Statement` names them."""


class Entry(NamedTuple):
    """One destructive command."""

    name: str
    does: str
    """What it does to data, in plain words: one or two sentences."""
    programs: tuple[str, ...]
    when: tuple[Pattern, ...]
    hits: tuple[str, ...]
    """``database``, ``docker volumes``, ``firewall``, ``disk``, ``backups``, ``services``, ``cloud``."""
    examples: tuple[str, ...] = ()


class Sql(NamedTuple):
    """Where a program takes SQL from."""

    text: tuple[str, ...] = ()
    """Options whose value is SQL."""
    files: tuple[str, ...] = ()
    """Options whose value names a file."""
    arguments: int = -1
    """Arguments from this one on are SQL; -1: none is."""
    stdin: str = "never"
    """``default``: when there is no other SQL; ``--option``: when that is given; ``never``."""
    words: tuple[str, ...] = ()
    """Subcommands with which it takes SQL at all."""


class Program(NamedTuple):
    """How the command line of a program is read."""

    name: str
    names: tuple[str, ...] = ()
    """Files that are this program; its own name when empty."""
    options_with_value: tuple[str, ...] = ()
    plain_options: tuple[str, ...] = ()
    """Options without a value. What follows an option of neither list may be its value; both are tried."""
    doubtful_options: tuple[str, ...] = ()
    """Options that take a value with some subcommands only."""
    glued_options: tuple[str, ...] = ()
    """Options whose value, if any, is in the same word: ``-psecret``."""
    help: tuple[str, ...] = ("--help", "--version")
    """Options with which it only prints."""
    abbreviations: bool = False
    """Whether ``--cle`` is taken for ``--clean``."""
    sql: Sql | None = None


class Wrapper(NamedTuple):
    """A program that runs the command in its arguments."""

    name: str
    options_with_value: tuple[str, ...] = ()
    skip: int = 0
    """Arguments between its options and the command."""
    after: tuple[str, ...] = ()
    """Subcommands of which one must be there; else it wraps nothing."""
    assignments: bool = False
    """Whether ``NAME=value`` may stand before the command."""
    env_files: tuple[str, ...] = ()
    """Options whose value names a file of variables for the command."""
    overrides: bool = False
    """Whether those count more than what is set already, without an option that says so."""
    last_counts: bool = False
    """Whether the last of several such files counts, not the first."""


class Catalogue:
    """Everything that is known."""

    def __init__(
        self,
        entries: Mapping[str, Entry],
        programs: Mapping[str, Program],
        wrappers: Mapping[str, Wrapper],
        broken: Mapping[str, str] = NOTHING,
    ) -> None:
        self.entries = entries
        self.programs = programs
        self.wrappers = wrappers
        self.broken = broken
        """Programs of which a user's entry could not be read, and why: they are guarded whatever is asked.

        ``*`` stands for all of them."""
        self.by_file = {file: each.name for each in programs.values() for file in each.names or (each.name,)}
        """Name of a file to name of a program."""
        self.by_program: dict[str, list[Entry]] = {}
        """The entries of each program."""
        for entry in entries.values():
            for program in entry.programs:
                self.by_program.setdefault(program, []).append(entry)

    def program(self, file: str) -> Program | None:
        """The guarded program that a file is, by its name; ``None`` when it is none."""
        base = file.rpartition("/")[2]
        for ending in ("", ".exe", ".cmd", ".js", ".mjs", ".cjs", ".phar"):
            name = self.by_file.get(base.removesuffix(ending))
            if name is not None:
                return self.programs[name]
        return self.programs["mkfs"] if base.startswith("mkfs.") and "mkfs" in self.programs else None


def shipped() -> Catalogue:
    """The catalogue that comes with standfast."""
    from standfast.host.guard import shipped_catalogue

    return of(shipped_catalogue.DATA)


def of(data: Mapping[str, Any]) -> Catalogue:
    """
    A catalogue from JSON.

    Raises:
        ValueError: it is of another format.
    """
    if data.get("format") != FORMAT:
        raise ValueError(f"expected a catalogue of format {FORMAT}")
    return Catalogue(
        {name: _entry(name, each) for name, each in data["entries"].items()},
        {name: _program(name, each) for name, each in data["programs"].items()},
        {name: Wrapper(name, **_tuples(each)) for name, each in data["wrappers"].items()},
        dict(data.get("broken", {})),
    )


def _entry(name: str, data: Mapping[str, Any]) -> Entry:
    patterns = tuple(Pattern(**_tuples(each)) for each in data["when"])
    return Entry(name, **{**_tuples(data), "when": patterns})


def _program(name: str, data: Mapping[str, Any]) -> Program:
    sql = Sql(**_tuples(data["sql"])) if data.get("sql") else None
    return Program(name, **{**_tuples(data), "sql": sql})


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(each) if isinstance(each, list) else each for name, each in data.items()}
