"""Whether a command line is like an entry of the catalogue."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.host.guard.arguments import Argument, Arguments
    from standfast.host.guard.catalogue import Pattern, Program
    from standfast.host.guard.words import Word

NO, MAYBE, YES = 0, 1, 2


def like(pattern: Pattern, given: Arguments, program: Program, kinds: Sequence[str], cwd: str) -> int:
    """
    NO, YES, or MAYBE when it depends on words that only the shell knows.

    + kinds: of the destructive SQL statements that it would run
    """
    if any(given.has(each) for each in (*pattern.without, *program.help)):
        return NO
    after, sure = _after_words(pattern.words, given.plain)
    if after is None:
        return NO
    for flag in pattern.flags:
        if not given.has(flag, abbreviated=program.abbreviations):
            if not given.open:
                return NO
            sure = MAYBE
    rest = given.plain[after:]
    for judged in (
        _values(pattern, given),
        _any(pattern.any, rest),
        _paths(pattern.paths, rest, cwd),
        YES if not pattern.sql or set(pattern.sql) & set(kinds) else NO,
    ):
        sure = min(sure, judged)
    return sure


def _after_words(words: Sequence[str], plain: Sequence[Argument]) -> tuple[int | None, int]:
    """Where the words end; ``None`` when they are not there."""
    if not words or not plain:
        return (None, NO) if words else (0, YES)
    first = plain[0]
    if not first.word.known and first.word.split:
        return len(plain), MAYBE
    if not first.word.known or alike(first.word.text, words[0]):
        after, sure = _after_words(words[1:], plain[1:])
        if after is not None:
            return after + 1, sure if first.word.known else MAYBE
    if first.doubtful:
        after, sure = _after_words(words, plain[1:])
        return (None, NO) if after is None else (after + 1, sure)
    return None, NO


def _values(pattern: Pattern, given: Arguments) -> int:
    for names, wanted in pattern.values.items():
        values = given.of(names.split("|"))
        if not any(each.known and alike(each.text, wanted) for each in values):
            return MAYBE if given.open or any(not each.known for each in values) else NO
    return YES


def _any(wanted: Sequence[str], rest: Sequence[Argument]) -> int:
    if not wanted or any(each.word.known and alike(each.word.text, one) for each in rest for one in wanted):
        return YES
    return MAYBE if any(not each.word.known for each in rest) else NO


def _paths(wanted: Sequence[str], rest: Sequence[Argument], cwd: str) -> int:
    if not wanted or any(
        each.word.known and _reaches(each.word, one, cwd) for each in rest for one in wanted
    ):
        return YES
    return MAYBE if any(not each.word.known for each in rest) else NO


def _reaches(word: Word, folder: str, cwd: str) -> bool:
    """Whether a path is a folder, above it or below it."""
    text = word.text.rstrip("*") if word.text.endswith("/*") else word.text
    path = os.path.normpath(os.path.join(cwd, text)).replace("//", "/")
    return path == "/" or f"{folder}/".startswith(f"{path}/") or f"{path}/".startswith(f"{folder}/")


def alike(text: str, pattern: str) -> bool:
    """Whether a word is like ``a|b*``."""
    return any(_fits(text, each.split("*")) for each in pattern.split("|"))


def _fits(text: str, parts: Sequence[str]) -> bool:
    """Whether a text is these parts with anything between them; fnmatch compiles, which takes longer."""
    if len(parts) == 1:
        return text == parts[0]
    first, *between, last = parts
    if not text.startswith(first) or not text[len(first) :].endswith(last):
        return False
    rest = text[len(first) : len(text) - len(last)]
    for part in between:
        place = rest.find(part)
        if place < 0:
            return False
        rest = rest[place + len(part) :]
    return True
