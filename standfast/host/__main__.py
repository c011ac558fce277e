"""Finds a command of the host program and runs it."""

from __future__ import annotations

import sys
from importlib import import_module

from standfast import __version__

# name: (module with a function `main(arguments) -> exit code`, one line of help); imported when asked for.
COMMANDS: dict[str, tuple[str, str]] = {
    "backup": ("standfast.host.backup.command", "make, check and list backups"),
    "copies": ("standfast.host.restore.copies", "what the backups hold, and whether it was ever restored"),
    "drill": ("standfast.host.restore.drill", "bring the newest copies back into throwaway containers"),
    "safety-copy": (
        "standfast.host.restore.before_changes",
        "copy all databases before something is changed",
    ),
    "restore": ("standfast.host.restore.command", "bring databases and volumes back from a backup"),
    "schema": ("standfast.host.schema.command", "hold databases against what their migrations build"),
    "firewall": ("standfast.host.firewall.command", "changes on trial, the confirmed rules, the watchdog"),
}


def main(arguments: list[str]) -> int:
    """
    Run one command.

    + arguments: its name, then what it takes

    Returns its exit code; 3 when there is no such command, and nothing was done.
    """
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        sys.stdout.write("usage: standfast-host COMMAND [...]\n\n")
        sys.stdout.writelines(f"  {each:12}{text}\n" for each, (_, text) in COMMANDS.items())
        return 0
    if name == "--version":
        sys.stdout.write(f"standfast-host {__version__}\n")
        return 0
    if name not in COMMANDS:
        known = ", ".join(COMMANDS) or "none"
        sys.stderr.write(f"standfast-host: no command {name!r}; there is: {known}\n")
        return 3
    code: int = import_module(COMMANDS[name][0]).main(rest)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
