"""Differences between two texts as people read them, with secrets hidden on both sides."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

from standfast.guard.masking import masked_line
from standfast.rendering import Rendered

# A value must follow: the last line of a key in base64 may end with ``=``.
ASSIGNMENT = re.compile(r"^(\s*(?:export\s+)?[\w.-]+\s*[=:]\s*)(?=[^\s=])")


def unified(old: bytes | None, new: Rendered, *, confidential: bool = False) -> str:
    """
    Unified diff without its two header lines; a new file is shown whole.

    An old line is shown as the new text shows it. Of one that the new text does not have, values whose
    names sound secret are masked; no more than the name is kept when the file holds secrets.

    + old: content on the server; ``None`` when the file does not exist
    + new: content to write
    + confidential: whether the old content may hold secrets though the new one has none
    """
    old_text = "" if old is None else _decode(old)
    if old_text is None:
        return "(binary content)"
    shown_old = _shown_old(old_text, new, _name_only if confidential or new.sensitive else masked_line)
    lines = difflib.unified_diff(shown_old.splitlines(), new.shown.splitlines(), lineterm="", n=3)
    body = list(lines)[2:]
    if not body and old_text != new.text:
        return "(only hidden values or line ends change)"
    return "\n".join(body)


def _decode(content: bytes) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _shown_old(old_text: str, new: Rendered, hide: Callable[[str], str]) -> str:
    """The old text, its lines as the new text shows them; of other lines what `hide` leaves."""
    known = dict(zip(new.text.splitlines(), new.shown.splitlines(), strict=False))
    return "\n".join(known[line] if line in known else hide(line) for line in old_text.splitlines())


def _name_only(line: str) -> str:
    if not line.strip():
        return line
    if line.strip().startswith("#"):  # a value that was commented out is still one
        return "# (hidden)"
    match = ASSIGNMENT.match(line)
    return f"{match.group(1)}(hidden)" if match else "(hidden)"
