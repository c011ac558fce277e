"""What is wrong with a file that is not YAML, in words that help to repair it."""

from __future__ import annotations

import re

import yaml

from standfast.inventory.faults import Fault

# PyYAML's message, as a pattern: what we say. `{line}` is where the thing that is not finished began.
MESSAGES: tuple[tuple[str, str], ...] = (
    (r"'\\t'", "expected spaces, not a tab: YAML is indented with spaces only"),
    (r"but found another document", "expected one inventory in the file, not a second one after `---`"),
    (
        r"mapping values are not allowed here",
        "expected one `name: value`, not a second `: `; put a value that contains `: ` in quotes, or indent",
    ),
    (
        r"expected <block end>",
        "expected the same column as the entries before it, which begin in line {line}",
    ),
    (r"unexpected end of stream.*quoted", "expected a closing quote for the one opened in line {line}"),
    (r"expected ',' or '([}\]])'", r"expected `,` or `\1`: what was opened in line {line} is not closed"),
    (r"could not find expected ':'", "expected `: ` after the name that stands in line {line}"),
    (r"undefined alias '(.*)'", r"expected an anchor `&\1` above, because `*\1` refers to it"),
    (
        r"expected alphabetic or numeric.*scanning an alias",
        "expected quotes around text that begins with `*`",
    ),
    (
        r"expected alphabetic or numeric.*scanning an anchor",
        "expected quotes around text that begins with `&`",
    ),
    (r"duplicate anchor '(.*)'", r"expected each anchor once, not a second `&\1`"),
    (r"character '(.)' that cannot start", r"expected quotes around text that begins with `\1`"),
)
FULL_WIDTH = {"：": ":", "　": " ", "，": ",", "［": "[", "］": "]", "｛": "{", "｝": "}", "－": "-"}


def fault(error: yaml.MarkedYAMLError, text: str, file: str) -> Fault:
    """A fault for an error of PyYAML."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    begun = error.context_mark.line + 1 if error.context_mark else line
    message = _message(f"{error.problem} {error.context or ''}").replace("{line}", str(begun))
    nearby = text.splitlines()[max(min(begun, line - 1) - 1, 0) : line]
    return Fault(file, line, column, "", message + full_width("\n".join(nearby)))


def _message(problem: str) -> str:
    for pattern, words in MESSAGES:
        found = re.search(pattern, problem)
        if found:
            return found.expand(words)
    return f"expected YAML: {problem.strip()}"


def full_width(text: str) -> str:
    """A hint when a text has characters of a Japanese keyboard that look like YAML's own; else nothing."""
    found = [f"`{wide}` is not `{narrow}`" for wide, narrow in FULL_WIDTH.items() if wide in text]
    return f" (full-width: {', '.join(found)})" if found else ""
