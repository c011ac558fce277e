"""A command line taken apart: options, their values, and what stands between them."""

from __future__ import annotations

from standfast.host.guard.words import Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NamedTuple

    from standfast.host.guard.catalogue import Program
else:
    from standfast.host.guard.named_tuple import NamedTuple

_NOT = ("false", "0", "no")


class Argument(NamedTuple):
    """A word that is no option."""

    word: Word
    doubtful: bool = False
    """It follows an option that we do not know, so it may be that option's value."""


class Arguments:
    """What a program was given."""

    def __init__(self) -> None:
        self.plain: list[Argument] = []
        self.options: list[str] = []
        self.values: list[tuple[str, Word]] = []
        self.open = False
        """A word that only the shell knows may be any option."""

    def has(self, spellings: str, *, abbreviated: bool = False) -> bool:
        """Whether one of the options ``-v|--volumes`` is there."""
        return any(
            given == each or (abbreviated and len(given) > 3 and given[:2] == "--" and each.startswith(given))
            for each in spellings.split("|")
            for given in self.options
        )

    def of(self, options: Sequence[str]) -> list[Word]:
        """Values of some options, in their order."""
        return [word for name, word in self.values if name in options]


def read(program: Program, words: Sequence[Word], plain_options: Sequence[str] = ()) -> Arguments:
    """
    Take a command line apart.

    + words: without the program itself
    + plain_options: options without a value, besides those that the program lists
    """
    found = Arguments()
    rest = list(words)
    known = {*program.plain_options, *plain_options, *program.help} - {*program.doubtful_options}
    doubtful = False
    while rest:
        word = rest.pop(0)
        text = word.text
        if not word.known and word.split:
            found.open = True
        if text == "--" and word.known:
            found.plain += [Argument(each) for each in rest]
            break
        if not text.startswith("-") or text == "-":
            found.plain.append(Argument(word, doubtful))
            doubtful = False
            continue
        doubtful = _option(program, word, rest, found, known)
    return found


def _option(program: Program, word: Word, rest: list[Word], found: Arguments, known: set[str]) -> bool:
    """Note one option; whether the next word may be its value."""
    name, equals, value = word.text.partition("=")
    short = (*program.options_with_value, *program.glued_options)
    long = len(name) > 2 and equals and name[:2] not in short
    if word.text.startswith("--") or name in program.options_with_value or name in known or long:
        if equals:
            found.values.append((name, Word(value, word.known, word.split)))
            if value.lower() not in _NOT:
                found.options.append(name)
            return False
        found.options.append(name)
        if name in program.options_with_value:
            if rest:
                found.values.append((name, rest.pop(0)))
            return False
        return name not in known
    cluster = word.text[1:]
    for index, letter in enumerate(cluster):
        option = f"-{letter}"
        found.options.append(option)
        if option in program.options_with_value:
            remainder = cluster[index + 1 :]
            if remainder:
                found.values.append((option, Word(remainder.removeprefix("="), word.known, word.split)))
            elif rest:
                found.values.append((option, rest.pop(0)))
            return False
        if option in program.glued_options:
            return False
    if len(cluster) > 1:
        found.options.append(word.text)  # a long option with one dash, as in `rclone` or `terraform`
    return len(cluster) > 0 and f"-{cluster[-1]}" not in known
