"""Differences between two texts as people read them, with secrets hidden on both sides."""

from __future__ import annotations

import difflib
import re

from standfast.rendering import Rendered

ASSIGNMENT = re.compile(r"^(\s*(?:export\s+)?[\w.-]+\s*[=:]\s*)")


def unified(old: bytes | None, new: Rendered) -> str:
    """
    Unified diff without its two header lines; a new file is shown whole.

    + old: content on the server; ``None`` when the file does not exist
    + new: content to write
    """
    old_text = "" if old is None else _decode(old)
    if old_text is None:
        return "(binary content)"
    shown_old = _hide_old(old_text, new) if new.sensitive else old_text
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


def _hide_old(old_text: str, new: Rendered) -> str:
    """Show an old line only where the new text shows it; of other lines keep no more than the name."""
    known = dict(zip(new.text.splitlines(), new.shown.splitlines(), strict=False))

    def hide(line: str) -> str:
        if line in known:
            return known[line]
        if line.strip().startswith("#") or not line.strip():
            return line
        match = ASSIGNMENT.match(line)
        return f"{match.group(1)}(hidden)" if match else "(hidden)"

    return "\n".join(hide(line) for line in old_text.splitlines())
