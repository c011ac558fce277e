"""
A session that is open before it is needed: one round trip less for every command of an apply.

Before a command can be sent, the server has to open a session, and that is waited for. Here the next one
is opened while the command before still runs. What a server is asked to do, and in which order, is the
same: a command is sent when the one before has ended.
"""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
from collections.abc import Mapping
from typing import Any

import gevent
from paramiko import Channel, ChannelException, SSHException
from pyinfra.connectors.sshuserclient import SSHClient
from typing_extensions import override

AGAIN = (0.05, 0.2, 1.0)
"""Seconds after which a refused session is tried again: one that has ended still counts for a moment."""
BROKEN = (SSHException, OSError, EOFError)


class ReadyClient(SSHClient):
    """An SSH client with a session that is open before it is needed."""

    ahead = False
    """Whether commands follow each other, so that the next one's session is worth opening."""
    _opening: gevent.Greenlet[[], Channel | None] | None = None
    _refused = False

    def session(self, timeout: float | None = None) -> Channel:
        """
        A session for one command.

        Raises:
            SSHException: the connection is lost, or the server allows no further session.
        """
        opening, self._opening = self._opening, None
        ready: Channel | None = opening.get() if opening is not None else None
        if ready is not None and not ready.closed:
            return ready
        transport = self.get_transport()
        if transport is None:
            raise SSHException("there is no connection")
        for pause in AGAIN:
            try:
                return transport.open_session(timeout=timeout)
            except ChannelException:
                gevent.sleep(pause)
        return transport.open_session(timeout=timeout)

    # pyinfra calls it for every command.
    @override
    def exec_command(
        self,
        command: str,
        bufsize: int = -1,
        timeout: float | None = None,
        get_pty: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> tuple[Any, Any, Any]:
        if get_pty or environment:
            return super().exec_command(command, bufsize, timeout, get_pty, environment)
        channel = self.session(timeout)
        channel.settimeout(timeout)
        if self.ahead and not self._refused:
            self._opening = gevent.spawn(self._open)
        channel.exec_command(command)
        return (
            channel.makefile_stdin("wb", bufsize),
            channel.makefile("r", bufsize),
            channel.makefile_stderr("r", bufsize),
        )

    def _open(self) -> Channel | None:
        """A session for the next command; ``None`` where the server allows no further one."""
        transport = self.get_transport()
        try:
            return transport.open_session() if transport is not None else None
        except BROKEN:  # whoever needs one next opens it, and is told why not
            self._refused = True
            return None
