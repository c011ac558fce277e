"""
An SSH server on the loopback that lets in and passes on, and runs nothing.

``python -m tests.unit.ssh_server HOST_KEY [PUBLIC_KEY]`` prints its port. With a public key only that one is
let in, else every one.
"""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED


class Door(paramiko.ServerInterface):
    """Who is let in, and where to."""

    def __init__(self, allowed: str | None) -> None:
        self.allowed = allowed
        self.targets: dict[int, tuple[str, int]] = {}

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = self.allowed is None or key.get_base64() == self.allowed
        return AUTH_SUCCESSFUL if good else AUTH_FAILED

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        self.targets[chanid] = destination
        return OPEN_SUCCEEDED


def pump(source: socket.socket | paramiko.Channel, sink: socket.socket | paramiko.Channel) -> None:
    """Pass on until the end."""
    with suppress(OSError):  # the other direction has ended
        while received := source.recv(65536):
            sink.sendall(received)
    sink.close()


def serve(connection: socket.socket, host_key: paramiko.PKey, allowed: str | None) -> None:
    """One connection."""
    door = Door(allowed)
    transport = paramiko.Transport(connection)
    transport.add_server_key(host_key)
    try:
        transport.start_server(server=door)
    except (paramiko.SSHException, EOFError):
        return
    while transport.is_active():
        channel = transport.accept(1)
        if channel is not None:
            onward = socket.create_connection(door.targets[channel.chanid])
            for ends in ((channel, onward), (onward, channel)):
                threading.Thread(target=pump, args=ends, daemon=True).start()


def main(host_key: str, public_key: str | None = None) -> None:
    """Serve until killed."""
    key = paramiko.Ed25519Key.from_private_key_file(host_key)
    allowed = Path(public_key).read_text(encoding="utf-8").split()[1] if public_key else None
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            threading.Thread(target=serve, args=(listening.accept()[0], key, allowed), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
