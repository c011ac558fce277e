"""The commands in a text for a shell, as far as they can be known without running it."""

from __future__ import annotations

import re

from standfast.host.guard.catalogue import NOTHING
from standfast.host.guard.words import Word, assignment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NamedTuple
else:
    from standfast.host.guard.named_tuple import NamedTuple

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORDS = {
    "if",
    "then",
    "elif",
    "else",
    "while",
    "until",
    "do",
    "!",
    "{",
    "}",
    "time",
    "fi",
    "done",
    "esac",
}
_OPERATORS = ("&&", "||", ";;", "|&", ";", "&", "|", "\n", "(", ")")
_REDIRECTIONS = re.compile(r"(?:[0-9]*|&)(?:<<<|<<-?|<>|<|>>|>\||>&|<&|>)")


class Command(NamedTuple):
    """A simple command."""

    words: tuple[Word, ...]
    environment: Mapping[str, str] = NOTHING
    stdin: str = "inherited"
    """``inherited``, ``pipe``, ``file:NAME`` or ``text:…``."""


def commands(text: str, variables: Mapping[str, str]) -> list[Command]:
    """
    All commands of a text, those in substitutions and functions too.

    + variables: values that are known already
    """
    return _Reader(text, variables).read()


class _Reader:
    def __init__(self, text: str, variables: Mapping[str, str], depth: int = 0) -> None:
        self.text = text
        self.at = 0
        self.depth = depth
        self.variables = dict(variables)
        self.own: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.found: list[Command] = []
        self.words: list[Word] = []
        self.stdin = "inherited"
        self.here: list[str] = []

    def read(self) -> list[Command]:
        while self.at < len(self.text):
            self._next()
        self._end()
        return self.found

    def _next(self) -> None:
        rest = self.text[self.at :]
        if rest.startswith("\\\n"):
            self.at += 2
        elif rest[0] in " \t\r":
            self.at += 1
        elif rest[0] == "#":
            self.at += len(rest.partition("\n")[0])
        elif operator := next((each for each in _OPERATORS if rest.startswith(each)), None):
            if operator == "&" and rest.startswith("&>"):
                self._redirection("&>")
                return
            self.at += len(operator)
            self._end(piped=operator in ("|", "|&"))
            if operator == "\n":
                self._here_documents()
        elif match := _REDIRECTIONS.match(rest):
            self._redirection(match[0])
        else:
            self.words.append(self._word())

    def _redirection(self, operator: str) -> None:
        self.at += len(operator)
        while self.text[self.at : self.at + 1] in (" ", "\t"):
            self.at += 1
        word = self._word()
        kind = operator.lstrip("0123456789")
        if kind == "<":
            self.stdin = f"file:{word.text}" if word.known else "pipe"
        elif kind == "<<<":
            self.stdin = f"text:{word.text}" if word.known else "pipe"
        elif kind in ("<<", "<<-"):
            self.here.append(word.text)
            # The text comes after this line, when the command has been read.
            self.stdin = "here"

    def _here_documents(self) -> None:
        for end in self.here:
            lines = []
            while self.at < len(self.text):
                line, _, _ = self.text[self.at :].partition("\n")
                self.at += len(line) + 1
                if line.strip("\t") == end:
                    break
                lines.append(line)
            text = "\n".join(lines)
            for index, each in enumerate(self.found):
                if each.stdin == "here":
                    self.found[index] = Command(each.words, each.environment, f"text:{text}")
                    break
        self.here = []

    def _end(self, *, piped: bool = False) -> None:
        words, self.words = self.words, []
        stdin, self.stdin = self.stdin, "pipe" if piped else "inherited"
        while words and words[0].known and words[0].text in _KEYWORDS:
            words = words[1:]
        environment: dict[str, str] = {}
        while words and words[0].known and (assigned := assignment(words[0].text)):
            environment[assigned[0]] = assigned[1]
            words = words[1:]
        if not words:
            self.variables.update(environment)
            self.own.update(environment)
            return
        if words[0].text == "export":
            self._assigned(words[1:])
        elif words[0].text == "alias":
            self._named(words[1:])
        elif words[0].text in self.aliases and self.depth < 8:
            inner = _Reader(self.aliases[words[0].text], self.variables, self.depth + 1).read()
            if inner:
                last = inner[-1]
                inner[-1] = Command((*last.words, *words[1:]), {**last.environment, **environment}, stdin)
            self.found += inner
            return
        self.found.append(Command(tuple(words), {**self.own, **environment}, stdin))

    def _assigned(self, words: list[Word]) -> None:
        for word in words:
            if word.known and (assigned := assignment(word.text)):
                name, value = assigned
                self.variables[name] = self.own[name] = value

    def _named(self, words: list[Word]) -> None:
        for word in words:
            if word.known and "=" in word.text:
                name, _, value = word.text.partition("=")
                self.aliases[name] = value

    def _word(self) -> Word:
        text, known, split = "", True, False
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t\r\n;&|<>()":
                break
            if char == "'":
                end = self._closing("'", self.at + 1)
                text += self.text[self.at + 1 : end]
                self.at = end + 1
            elif char == '"':
                more, sure = self._double()
                text, known = text + more, known and sure
            elif char == "\\":
                if self.text[self.at + 1 : self.at + 2] != "\n":
                    text += self.text[self.at + 1 : self.at + 2]
                self.at += 2
            elif char in "$`":
                more, sure = self._expansion()
                text, known, split = text + more, known and sure, split or not sure
            else:
                text += char
                self.at += 1
        return Word(text, known, split)

    def _double(self) -> tuple[str, bool]:
        text, known = "", True
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != '"':
            char = self.text[self.at]
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in ('"', "\\", "$", "`", "\n"):
                text += self.text[self.at + 1 : self.at + 2].replace("\n", "")
                self.at += 2
            elif char in "$`":
                more, sure = self._expansion()
                text, known = text + more, known and sure
            else:
                text += char
                self.at += 1
        self.at += 1
        return text, known

    def _expansion(self) -> tuple[str, bool]:
        """A ``$…`` or backticks: its text when it is known, else as it is written."""
        rest = self.text[self.at :]
        if rest[0] == "`":
            end = self._closing("`", self.at + 1)
            return self._substitution(self.text[self.at + 1 : end], end + 1)
        if rest.startswith("$((") or rest[1:2] in ("$", "#", "?"):
            end = self._closing("))", self.at) if rest[1:2] == "(" else self.at
            self.at = end + 2
            return "0", True  # a number
        if rest.startswith("$("):
            end = self._parenthesis(self.at + 2)
            return self._substitution(self.text[self.at + 2 : end], end + 1)
        if rest.startswith("$'"):
            end = self._closing("'", self.at + 2)
            inner = self.text[self.at + 2 : end]
            self.at = end + 1
            return inner, "\\" not in inner
        return self._variable(rest)

    def _variable(self, rest: str) -> tuple[str, bool]:
        if rest.startswith("${"):
            end = self._closing("}", self.at + 2)
            written = self.text[self.at : end + 1]
        else:
            match = _NAME.match(rest, 1)
            special = rest[1:2] in tuple("0123456789@*-!")
            written = rest[: match.end()] if match else rest[: 1 + special]
        self.at += len(written)
        name = written[1:].strip("{}")
        if name in self.variables and _NAME.fullmatch(name):
            return self.variables[name], True
        return written, written == "$"

    def _substitution(self, inner: str, after: int) -> tuple[str, bool]:
        written = self.text[self.at : after]
        self.at = after
        if self.depth < 8:
            self.found += _Reader(inner, self.variables, self.depth + 1).read()
        return written, False

    def _closing(self, sign: str, start: int) -> int:
        end = self.text.find(sign, start)
        return len(self.text) if end < 0 else end

    def _parenthesis(self, start: int) -> int:
        depth, at, quote = 1, start, ""
        while at < len(self.text):
            char = self.text[at]
            if quote:
                quote = "" if char == quote else quote
            elif char in "'\"":
                quote = char
            elif char == "(":
                depth += 1
            elif char == ")":
                depth -= 1
                if not depth:
                    return at
            at += 1
        return len(self.text)
