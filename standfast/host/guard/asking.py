"""``standfast-host guard-ask``: what shims in sessions call; it asks before what cannot be undone."""

from __future__ import annotations

import os
import sys

from standfast.host.guard.classification import DESTRUCTIVE, Verdict, classify_all

REFUSED = 6
QUESTION = 'This may not be undone. Type "yes" to do it all the same: '


def main(arguments: list[str]) -> int:
    """
    Judge a command, and ask when it is destructive; nothing is run here.

    + arguments: the command

    Returns 0 when it may run; 6 when it was refused, by the person or for want of a terminal.
    """
    found = [each for each in classify_all(arguments) if each.level == DESTRUCTIVE]
    if not found:
        return 0
    from standfast.host.guard import window  # harmless commands would wait for its imports

    opened = window.current()
    if opened is not None:
        _record("let through", arguments, opened.reason)
        return 0
    sys.stderr.write(f"standfast: {_said(found)}\n")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        sys.stderr.write(
            "Refused, because nobody can be asked here. Nothing was done. If it is meant, in a script too: "
            'sudo standfast-host guard allow --for 10m --reason "…", and run it as root.\n'
        )
        _record("refused", arguments, "no terminal")
        return REFUSED
    agreed = _answer() == "yes"
    _record("let through" if agreed else "refused", arguments, "asked")
    if not agreed:
        sys.stderr.write("Nothing was done.\n")
    return 0 if agreed else REFUSED


def _said(found: list[Verdict]) -> str:
    return "\n           ".join(each.reason for each in found)


def _answer() -> str:
    sys.stderr.write(QUESTION)
    sys.stderr.flush()
    try:
        return sys.stdin.readline().strip()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return ""


def _record(decision: str, arguments: list[str], reason: str) -> None:
    """In the journal; for root in our own record too. Only the program: the rest may hold secrets."""
    import shlex
    import syslog

    from standfast.host.guard import window

    said = f"{decision} ({reason}): {shlex.quote(arguments[0])} … by {window.person()}"
    syslog.openlog("standfast", facility=syslog.LOG_AUTH)
    syslog.syslog(syslog.LOG_WARNING, said)
    if os.geteuid() == 0:
        window.record(decision, {"guard": "session", "request": f"{arguments[0]} …", "reason": reason})
