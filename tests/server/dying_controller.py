"""
The real command line, which ends itself or loses its connection at one chosen moment of an apply.

python -m tests.server.dying_controller WAY MOMENT NUMBER apply lab --yes

+ WAY: ``kill`` (SIGKILL) or ``cut`` (the TCP connection is reset from outside)
+ MOMENT: ``before`` command NUMBER is sent, right after it was ``sent`` (its standard input was not), or
  ``after`` its answer has arrived
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import Any

import standfast.engine.patched  # noqa: F401 - gevent first
from standfast.cli.main import main
from standfast.engine.connector import StandfastConnector

WAY, MOMENT, NUMBER = sys.argv[1], sys.argv[2], int(sys.argv[3])
original = StandfastConnector.run_shell_command
commands = 0


def end(connector: StandfastConnector) -> None:
    """Do what WAY says."""
    if WAY == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    sock = connector.transport.sock
    assert isinstance(sock, socket.socket)
    port, (host, *_) = sock.getsockname()[1], sock.getpeername()
    subprocess.run(["ss", "-K", "dst", host, "sport", "=", f":{port}"], check=True, capture_output=True)


def run_shell_command(self: StandfastConnector, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - handed on
    """Count the commands that change something, and die at the chosen one."""
    global commands
    if self.around is None:
        return original(self, *arguments, **options)
    commands += 1
    chosen = commands == NUMBER + 1
    if chosen and MOMENT == "before":
        end(self)
    if chosen and MOMENT == "sent":
        _end_when_sent(self)
    result = original(self, *arguments, **options)
    if chosen and MOMENT == "after":
        end(self)
    return result


def _end_when_sent(connector: StandfastConnector) -> None:
    assert connector.client is not None
    send = connector.client.exec_command

    def exec_command(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - handed on
        buffers = send(*arguments, **options)
        end(connector)
        return buffers

    connector.client.exec_command = exec_command  # type: ignore[method-assign] # for one command


StandfastConnector.run_shell_command = run_shell_command  # type: ignore[method-assign] # the point of it
sys.argv[1:4] = []
main()
