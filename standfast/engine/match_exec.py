"""
`Match exec "command"` in the user's SSH configuration, as OpenSSH does it.

pyinfra hands the command to the shell as the name of a script, so that one with arguments never
matches, and lets it write among our own output.
"""

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import os
import subprocess
from dataclasses import dataclass

from pyinfra.connectors.sshuserclient.config import paramiko  # by then its own runner is where ours goes


@dataclass(frozen=True)
class Answer:
    """What the command said."""

    ok: bool
    """It left with 0, so the block holds."""


class MatchExec:
    """What paramiko calls for it, in place of the package invoke."""

    @staticmethod
    def run(command: str, **_: object) -> Answer:
        """Run the command with the user's shell; its output on stdout goes nowhere. Source: ssh_config(5)."""
        argv = [os.environ.get("SHELL") or "/bin/sh", "-c", command]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
        return Answer(done.returncode == 0)


paramiko.config.invoke = MatchExec  # type: ignore[attr-defined] # a global variable of paramiko's module
