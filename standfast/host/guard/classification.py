"""What a command would do: harmless, destructive, or not to be known."""

from __future__ import annotations

import os
import stat

from standfast.host.guard import catalogue as catalogues
from standfast.host.guard import matching, unwrapping
from standfast.host.guard.catalogue import NOTHING, Catalogue, Entry, Program
from standfast.host.guard.unwrapping import Simple
from standfast.host.guard.words import Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import NamedTuple

    from standfast.host.guard.arguments import Arguments
    from standfast.host.guard.unwrapping import EnvFile
else:
    from standfast.host.guard.named_tuple import NamedTuple

HARMLESS, UNKNOWN, DESTRUCTIVE = "harmless", "unknown", "destructive"
READ_AHEAD = 4_000_000
EVERY_PROGRAM = "*"


class Verdict(NamedTuple):
    """What is known about one command."""

    level: str
    """``harmless``, ``destructive``, or ``unknown``: guarded, and it depends on what nobody sees."""
    reason: str = ""
    """In plain words; empty when harmless."""
    entry: Entry | None = None
    hits: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    """The command that is meant, without what it was wrapped in. It may hold secrets."""
    program: str = ""
    """Name of the guarded program, as the catalogue has it."""
    environment: Mapping[str, str] = NOTHING
    """Variables that were set on the command line."""
    cleared: bool = False
    """Nothing else is inherited (``env -i``)."""
    cwd: str = ""
    inside: str = ""
    """Where it runs when it is not here: ``container db``, ``service db``, ``host web-1``."""
    through: tuple[str, ...] = ()
    """Words that say which container that is: ``docker compose -p shop``."""
    database: str | None = ""
    """Name of the database that its SQL drops or connects to, ``None`` when nobody knows it; empty when it
    hits the one that it is connected to from the beginning."""
    env_files: tuple[EnvFile, ...] = ()
    """Files of variables that its wrappers read; of two that set the same, the first counts."""

    @property
    def harmless(self) -> bool:
        """Whether it may simply run."""
        return self.level == HARMLESS


_shipped: list[Catalogue] = []


def shipped() -> Catalogue:
    """The catalogue that comes with standfast, read once."""
    if not _shipped:
        _shipped.append(catalogues.shipped())
    return _shipped[0]


def classify(
    argv: Sequence[str],
    *,
    catalogue: Catalogue | None = None,
    cwd: str | None = None,
    stdin: int | None = None,
) -> Verdict:
    """
    Judge a command by the worst that it runs; nothing is run, contacted or changed.

    + argv: the program and its arguments, as they would be executed
    + catalogue: the shipped one when left out
    + cwd: folder in which it would run; this one when left out
    + stdin: the open file that it would read; without one, its input counts as a terminal's
    """
    verdicts = classify_all(argv, catalogue=catalogue, cwd=cwd, stdin=stdin)
    order = {DESTRUCTIVE: 0, UNKNOWN: 1}
    return min(verdicts, key=lambda each: order[each.level], default=Verdict(HARMLESS))


def classify_all(
    argv: Sequence[str],
    *,
    catalogue: Catalogue | None = None,
    cwd: str | None = None,
    stdin: int | None = None,
) -> list[Verdict]:
    """Every destructive or unknown command in a command, in the order in which they would run."""
    known = catalogue or shipped()
    if not argv:
        return []
    words = tuple(Word(each) for each in argv)
    start = Simple(words, cwd or os.getcwd(), stdin=_stdin(stdin))
    found: list[Verdict] = []
    try:
        for simple in unwrapping.simple_commands(start, known):
            found += _judged(simple, known)
    except unwrapping.Unreadable as problem:
        found.append(_verdict(UNKNOWN, f"It cannot be known what this runs: {problem}.", start, "", None))
    return _once(found)


def _once(verdicts: Sequence[Verdict]) -> list[Verdict]:
    seen: list[Verdict] = []
    for each in verdicts:
        if all(_said(each) != _said(other) for other in seen):
            seen.append(each)
    return seen


def _said(verdict: Verdict) -> tuple[object, ...]:
    return verdict.reason, verdict.command, verdict.database


def _judged(simple: Simple, known: Catalogue) -> Iterator[Verdict]:
    first = simple.words[0]
    if not first.known:
        yield from _unknown_program(simple, known)
        return
    program = known.program(first.text)
    if program is None:
        return
    broken = known.broken.get(program.name) or known.broken.get(EVERY_PROGRAM)
    if broken:
        reason = f"It cannot be judged before this is right: {broken}"
        yield _verdict(UNKNOWN, reason, simple, program.name, None)
        return
    entries = known.by_program.get(program.name, ())
    given = _arguments(program, simple, entries)
    by_database, unread = _sql(program, given, simple, known)
    for entry in entries:
        for database, kinds in by_database.items():
            level = max(
                (matching.like(each, given, program, kinds, simple.cwd) for each in entry.when),
                default=matching.NO,
            )
            if level != matching.NO:
                yield _recognised(level, entry, simple, program)._replace(database=database)
    yield from unread


def _recognised(level: int, entry: Entry, simple: Simple, program: Program) -> Verdict:
    if level == matching.YES:
        return _verdict(DESTRUCTIVE, entry.does, simple, program.name, entry)
    words = next((each.text for each in simple.words if not each.known), "a variable")
    reason = f"What {words} stands for is not known here, and it can make this: {entry.does}"
    return _verdict(UNKNOWN, reason, simple, program.name, entry)


def _unknown_program(simple: Simple, known: Catalogue) -> Iterator[Verdict]:
    """A program that only the shell knows counts as a guarded one when the rest is like its commands."""
    for program in known.programs.values():
        entries = [
            each
            for each in known.by_program.get(program.name, ())
            if any(one.words or one.flags for one in each.when)
        ]
        given = _arguments(program, simple, entries)
        for entry in entries:
            if any(
                (one.words or one.flags)
                and matching.like(one, given, program, (), simple.cwd) == matching.YES
                for one in entry.when
            ):
                reason = f"If {simple.words[0].text} is {program.name}: {entry.does}"
                yield _verdict(UNKNOWN, reason, simple, program.name, entry)
                return


def _arguments(program: Program, simple: Simple, entries: Sequence[Entry]) -> Arguments:
    flags = [
        spelling
        for entry in entries
        for pattern in entry.when
        for flag in (*pattern.flags, *pattern.without)
        for spelling in flag.split("|")
        if spelling not in program.options_with_value
    ]
    return unwrapping.arguments(program, simple, flags)


def _verdict(level: str, reason: str, simple: Simple, program: str, entry: Entry | None) -> Verdict:
    return Verdict(
        level=level,
        reason=reason,
        entry=entry,
        hits=entry.hits if entry else (),
        command=simple.texts,
        program=program,
        environment=simple.environment,
        cleared=simple.cleared,
        cwd=simple.cwd,
        inside=simple.inside,
        through=simple.through,
        env_files=simple.env_files,
    )


def _sql(
    program: Program, given: Arguments, simple: Simple, known: Catalogue
) -> tuple[Mapping[str | None, Sequence[str]], list[Verdict]]:
    """Kinds of the destructive statements by what they hit, and verdicts on what could not be read."""
    source = program.sql
    if source is None or (source.words and not matching.alike(_first(given), "|".join(source.words))):
        return {"": ()}, []
    if any(given.has(each) for each in program.help):
        return {"": ()}, []
    reader = _SqlReader(program, simple, known)
    for name, word in given.values:  # in their order: what one of them connects to counts for the next
        if name in source.text:
            reader.text(word)
        elif name in source.files:
            reader.file(word)
    if source.arguments >= 0:
        for argument in given.plain[source.arguments :]:
            reader.text(argument.word)
    default = source.stdin == "default" and not reader.asked
    if default or given.has(source.stdin) or reader.stdin_named:
        reader.stdin()
    if given.open and not reader.asked:
        reader.unknown("its arguments are only known when it runs")
    return reader.kinds, reader.unread


def _first(given: Arguments) -> str:
    return " ".join(each.word.text for each in given.plain[:2])


class _SqlReader:
    """Collects what the SQL of one command does."""

    def __init__(self, program: Program, simple: Simple, known: Catalogue) -> None:
        self.program = program
        self.simple = simple
        self.known = known
        self.kinds: dict[str | None, list[str]] = {"": []}
        """Of the destructive statements, by the database that they hit as `Verdict.database` names it."""
        self.connected: str | None = ""
        self.unread: list[Verdict] = []
        self.asked = False
        self.stdin_named = False
        self.files: set[str] = set()

    def text(self, word: Word) -> None:
        """SQL in an argument."""
        self.asked = True
        if not word.known and not word.text.strip().upper().startswith(
            ("SELECT", "INSERT", "SHOW", "EXPLAIN")
        ):
            self.unknown(f"the statement is only known when it runs: {word.text[:60]}")
        self._statements(word.text)

    def file(self, word: Word) -> None:
        """SQL in a file."""
        self.asked = True
        if word.text == "-":
            self.stdin_named = True
            return
        path = os.path.join(self.simple.cwd, os.path.expanduser(word.text))
        if path in self.files:
            return
        self.files.add(path)
        content = unwrapping.content(path) if word.known and not self.simple.inside else None
        if content is None:
            self.unknown(f"the file {word.text} cannot be read from here")
        else:
            self._statements(content)

    def stdin(self) -> None:
        """SQL that is piped in."""
        content = unwrapping.stdin_text(self.simple)
        if content is not None:
            self._statements(content)
        elif self.simple.stdin != "inherited":
            self.unknown("it takes its statements from a pipe, which cannot be read before it runs")

    def unknown(self, why: str) -> None:
        """Note something that nobody can see from here."""
        reason = f"What this {self.program.name} would do is not known: {why}."
        entry = next(
            (each for each in self.known.by_program.get(self.program.name, ()) if each.name == "sql-drop"),
            None,
        )
        verdict = _verdict(UNKNOWN, reason, self.simple, self.program.name, None)
        hits = entry.hits if entry else ("database",)
        self.unread.append(verdict._replace(hits=hits, database=self.connected))

    def _statements(self, text: str) -> None:
        from standfast.host.guard import sql  # its pattern takes milliseconds to compile

        for each in sql.destructive(text):
            if each.kind == "run file":
                self.file(Word(each.text))
            elif each.kind == "run shell":
                inner = unwrapping.text_commands(Word(each.text), self.simple)
                for one in inner:
                    for simple in unwrapping.simple_commands(one, self.known):
                        self.unread += _judged(simple, self.known)
            elif each.kind == "unreadable":
                self.unknown(each.text)
            elif each.kind == "connect":
                self.connected = each.database
            else:
                database = self.connected if each.database == "" else each.database
                self.kinds.setdefault(database, []).append(each.kind)


def _stdin(descriptor: int | None) -> str:
    """What an open file says to somebody who must not read it."""
    if descriptor is None:
        return "inherited"
    try:
        mode = os.fstat(descriptor).st_mode
        if os.isatty(descriptor):
            return "inherited"
        if stat.S_ISREG(mode):
            size = os.fstat(descriptor).st_size
            if size > READ_AHEAD:
                return "pipe"
            start = os.lseek(descriptor, 0, os.SEEK_CUR)
            return "text:" + os.pread(descriptor, size, start).decode(errors="replace")
    except OSError:
        return "inherited"
    # /dev/null and the like hold nothing.
    return "inherited" if stat.S_ISCHR(mode) else "pipe"
