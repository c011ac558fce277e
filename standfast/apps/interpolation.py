"""
Variables in Compose files, as Compose itself fills them in.

Values come from the ``.env`` file beside the Compose file and from nowhere else: what standfast runs
on a server sees no other environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*[=:][ \t]*")
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}


class Unfilled(ValueError):
    """A variable reference that cannot be filled in; the text says why."""


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """
    Fill in ``$NAME``, ``${NAME}``, ``${NAME:-default}``, ``${NAME:?message}``, ``${NAME:+other}``.

    ``$$`` is a dollar sign. A variable without a value and without a default is empty.

    Raises:
        Unfilled: a required variable has no value, or the reference is not well formed.
    """
    filled: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        filled.append(text[position:dollar])
        value, position = _reference(text, dollar + 1, variables)
        filled.append(value)
    return "".join(filled) + text[position:]


def environment(text: str) -> dict[str, str]:
    """
    Variables of a ``.env`` file: quotes, comments and earlier variables as Compose reads them.

    Raises:
        Unfilled: a value refers to a required variable that has none, or a quote is not closed.
    """
    variables: dict[str, str] = {}
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
        elif (match := ASSIGNMENT.match(text, position)) and not text.startswith("#", position):
            value, position = _value(text, match.end(), variables)
            variables[match.group(1)] = value
        else:
            position = _end_of_line(text, position)
    return variables


def _reference(text: str, start: int, variables: Mapping[str, str]) -> tuple[str, int]:
    """The value of the reference whose dollar sign stands right before `start`, and where it ends."""
    if text.startswith("$", start):
        return "$", start + 1
    if text.startswith("{", start):
        end = _closing_brace(text, start + 1)
        return _braced(text[start + 1 : end], variables), end + 1
    match = NAME.match(text, start)
    if match is None:
        raise Unfilled(f"`${text[start : start + 10]}` is no variable; write `$$` for a dollar sign")
    return variables.get(match.group(), ""), match.end()


def _closing_brace(text: str, start: int) -> int:
    depth = 1
    for position in range(start, len(text)):
        if text[position] == "}":
            depth -= 1
        elif text.startswith("${", position):
            depth += 1
        if depth == 0:
            return position
    raise Unfilled(f"`${{{text[start:]}` has no closing brace")


def _braced(inner: str, variables: Mapping[str, str]) -> str:
    match = NAME.match(inner)
    if match is None:
        raise Unfilled(f"`${{{inner}}}` does not begin with the name of a variable")
    name, rest = match.group(), inner[match.end() :]
    value = variables.get(name)
    if not rest:
        return value or ""
    present = bool(value) if rest.startswith(":") else value is not None
    kind, word = rest.removeprefix(":")[:1], rest.removeprefix(":")[1:]
    if kind == "-":
        return value or "" if present else interpolate(word, variables)
    if kind == "+":
        return interpolate(word, variables) if present else ""
    if kind == "?":
        if not present:
            why = interpolate(word, variables) or "required"
            raise Unfilled(f"the variable {name} has no value ({why}). Set it in the file that `env` names")
        return value or ""
    raise Unfilled(f"`${{{inner}}}` is no variable reference; expected `:-`, `:?` or `:+` after {name}")


def _value(text: str, start: int, variables: Mapping[str, str]) -> tuple[str, int]:
    quote = text[start : start + 1]
    if quote in {'"', "'"}:
        end = _closing_quote(text, start + 1, quote)
        inner = text[start + 1 : end]
        if quote == '"':
            inner = interpolate(re.sub(r"\\(.)", _unescape, inner, flags=re.DOTALL), variables)
        return inner, _end_of_line(text, end)
    end = _end_of_line(text, start)
    value = re.split(r"(?:^|[ \t])#", text[start:end], maxsplit=1)[0].strip()
    return interpolate(value, variables), end


def _unescape(match: re.Match[str]) -> str:
    return ESCAPES.get(match.group(1), match.group(0))


def _closing_quote(text: str, start: int, quote: str) -> int:
    position = start
    while (position := text.find(quote, position)) >= 0:
        if text[position - 1] != "\\":
            return position
        position += 1
    raise Unfilled(f"a value that begins with {quote} does not end with it")


def _end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end
