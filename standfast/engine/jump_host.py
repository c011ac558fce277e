"""
Jump hosts of the user's SSH configuration (``ProxyJump``), checked as strictly as the servers behind them.

pyinfra connects to each of them with a client of its own and does not tell it how host keys are checked:
for an unknown one that client asks at the terminal, in the middle of a run, or trusts it.
"""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
from contextvars import ContextVar
from typing import Any

from paramiko import SSHException
from pyinfra.connectors.sshuserclient import client
from typing_extensions import override

PORT = 22

known_hosts: ContextVar[str | None] = ContextVar("known_hosts", default=None)
"""The inventory's file of host keys, while a server is connected to; its jump hosts may stand in it."""


class JumpHostUnreachable(SSHException):
    """No connection to a jump host; the cause says why."""

    def __init__(self, host: str, cause: Exception) -> None:
        super().__init__(f"jump host {host}: {cause}")
        self.host = host
        self.cause = cause


class JumpHost(client.SSHClient):
    """What pyinfra connects to a jump host with."""

    @override
    def connect(self, hostname: str, **options: Any) -> None:  # type: ignore[override] # so it is in pyinfra
        # From the configuration it is text, and the text "22" is not the port without which keys are listed.
        options["port"] = int(options.get("port") or PORT)
        options["_pyinfra_ssh_strict_host_key_checking"] = "yes"
        try:
            super().connect(hostname, **options)  # type: ignore[no-untyped-call] # so it is in pyinfra
        except (SSHException, OSError, EOFError) as error:
            self.close()
            raise JumpHostUnreachable(hostname, error) from error

    @override
    def parse_config(self, *arguments: Any, **options: Any) -> tuple[Any, ...]:
        """As pyinfra's; the inventory's host keys come before those that ssh itself uses for jump hosts."""
        parsed = super().parse_config(*arguments, **options)  # type: ignore[no-untyped-call] # as above
        *first, files, keep_alive, agent = parsed
        inventory = known_hosts.get()
        return (*first, (inventory, *files) if inventory else files, keep_alive, agent)


client.SSHClient = JumpHost  # type: ignore[misc] # the name that pyinfra finds when it connects to a jump host
