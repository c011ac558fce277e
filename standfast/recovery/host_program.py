"""Run the program on a server and follow it: progress line by line, its answer at the end."""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gevent
from paramiko import SSHException

from standfast.engine.connector import ConnectionLost, StandfastConnector
from standfast.errors import StandfastError

PATH = "/usr/local/sbin/standfast-host"
NOT_THERE = (126, 127)
"""What a shell answers when a program is not there."""

Report = Callable[[str], None]


class HostProgramFailed(StandfastError):
    """The program on the server ended with an error; its message says what was changed there."""


class NotThere(HostProgramFailed):
    """The program is not on the server yet."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the program has said."""

    code: int
    output: str
    errors: tuple[str, ...]
    """Lines: progress, and at the end what went wrong."""

    def document(self) -> dict[str, Any] | None:
        """Its answer as data; ``None`` when it gave none."""
        try:
            found = json.loads(self.output)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


def follow(
    ssh: StandfastConnector, arguments: Sequence[str], report: Report, *, stdin: bytes = b""
) -> Answer:
    """
    Run ``standfast-host ARGUMENTS`` as root; it goes on to its end when the connection breaks.

    + report: called with each line of progress
    + stdin: secrets travel here, never in arguments

    Raises:
        NoSudo: the account may not become root.
        NotThere: the program is not there.
        ConnectionLost: the connection broke; the program goes on.
    """
    command = shlex.join([PATH, *arguments])
    around = ssh.around
    line = around(command) if around else command
    sudo = "" if ssh.user == "root" else "sudo -H -n "
    try:
        channel = ssh.session()
        channel.exec_command(sudo + line)
        reader = gevent.spawn(channel.makefile("rb").read)
        channel.sendall(stdin)
        channel.shutdown_write()
        errors = []
        for each in channel.makefile_stderr("rb"):
            text = each.decode(errors="replace").rstrip() if isinstance(each, bytes) else str(each).rstrip()
            if text:
                errors.append(text)
                report(text)
        output = reader.get().decode(errors="replace")
        code = channel.recv_exit_status()
    except (SSHException, OSError, EOFError) as error:
        raise ConnectionLost(
            f"{ssh.place}: the connection was lost ({error or 'end of file'}). What was begun there goes on."
        ) from error
    if code == -1:
        raise ConnectionLost(f"{ssh.place}: the connection was lost. What was begun there goes on.")
    if code in NOT_THERE or f"sudo: {PATH}: command not found" in errors:
        raise NotThere(
            f"{ssh.place}: there is no {PATH}. Run `standfast apply` first; it puts the program there. "
            "Nothing was changed."
        )
    ssh.refuse_without_sudo(code, "\n".join(errors))
    return Answer(code, output, tuple(errors))
