"""
A conversation with a program on a server, line by line, through a channel of the SSH connection.

Both sides tell each other that they are still there. When the server has been silent for too long,
the whole connection is given up: whoever takes this server over must not meet us at work.
"""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import time
from contextlib import suppress

import gevent
from gevent.queue import Queue
from paramiko import SSHException

from standfast.engine.connector import StandfastConnector

BEAT = 5
"""Seconds between two signs of life."""
SILENCE = 30
"""Seconds without a sign of life after which the other side is taken for gone. Longer than a Wi-Fi
takes to come back, shorter than a person waits for a lock whose owner has gone."""


class LineChannel:
    """A program that reads lines and answers them. An empty line, answered by ``.``, is a sign of life."""

    def __init__(self, ssh: StandfastConnector, command: str) -> None:
        self.ssh = ssh
        self.channel = ssh.session()
        self.channel.exec_command(command)
        self.heard = time.monotonic()
        self.lines: Queue[str | None] = Queue()
        self.closing = False
        self.greenlets = [gevent.spawn(self._read), gevent.spawn(self._beat)]

    def send(self, line: str) -> None:
        """Send a line; one that cannot be sent any more is noticed by `receive`."""
        with suppress(SSHException, OSError, EOFError):
            self.channel.sendall(f"{line}\n".encode())

    def receive(self) -> str | None:
        """The next line that is not a sign of life; ``None`` when the program or the connection has ended."""
        line = self.lines.get()
        if line is None:
            self.lines.put(None)
        return line

    def waiting(self) -> str | None:
        """A line that is there already."""
        return None if self.lines.empty() else self.receive()

    def errors(self) -> tuple[int, str]:
        """Exit status and error output, after the program has ended."""
        with suppress(SSHException, OSError, EOFError):
            text = self.channel.makefile_stderr("rb").read().decode(errors="replace")
            return self.channel.recv_exit_status(), text.strip()
        return -1, ""

    def close(self) -> None:
        """Hang up; the program sees the end of its input."""
        self.closing = True
        gevent.killall(self.greenlets)
        with suppress(SSHException, OSError, EOFError):
            self.channel.close()

    def _read(self) -> None:
        rest = b""
        with suppress(SSHException, OSError, EOFError):
            while received := self.channel.recv(65536):
                self.heard = time.monotonic()
                *whole, rest = (rest + received).split(b"\n")
                for line in whole:
                    if line != b".":
                        self.lines.put(line.decode(errors="replace"))
        self.lines.put(None)

    def _beat(self) -> None:
        while not self.closing:
            gevent.sleep(BEAT)
            if self.channel.exit_status_ready():
                return
            if time.monotonic() - self.heard > SILENCE + BEAT:
                self.ssh.transport.close()
                return
            self.send("")
