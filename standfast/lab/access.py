"""How servers are reached: the lab's key, its OpenSSH configuration and the known host keys."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Protocol

from standfast.lab.image import ACCOUNT
from standfast.lab.places import Lab, write_atomically
from standfast.lab.programs import run


class Reachable(Protocol):
    """What the SSH files need to know about a server."""

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def host_keys(self) -> list[str]:
        """Public host keys, each `type base64`."""
        ...


def ensure_key(lab: Lab) -> None:
    """Make the lab's client key; it belongs to whoever called sudo, so that their ssh can read it."""
    if lab.key.exists() and lab.key.with_suffix(".pub").exists():
        return
    lab.root.mkdir(parents=True, exist_ok=True)
    lab.key.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "standfast-lab", "-f", str(lab.key)])
    user, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if user and group:
        os.chown(lab.key, int(user), int(group))


def write(lab: Lab, servers: Iterable[Reachable]) -> None:
    """Write the SSH files for these servers; without any server they go, and the key with them."""
    found = sorted(servers, key=lambda server: server.name)
    if not found:
        for path in (lab.ssh_config, lab.known_hosts, lab.key, lab.key.with_suffix(".pub")):
            path.unlink(missing_ok=True)
        return
    keys = [f"{server.name},{server.address} {key}\n" for server in found for key in server.host_keys]
    write_atomically(lab.known_hosts, "".join(keys))
    write_atomically(lab.ssh_config, "\n".join(_block(lab, server) for server in found))


def _block(lab: Lab, server: Reachable) -> str:
    return f"""Host {server.name}
    HostName {server.address}
    User {ACCOUNT}
    IdentityFile {lab.key}
    IdentitiesOnly yes
    UserKnownHostsFile {lab.known_hosts}
    GlobalKnownHostsFile none
    StrictHostKeyChecking yes
    UpdateHostKeys no
    PasswordAuthentication no
"""
