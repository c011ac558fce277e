"""How servers are reached: the lab's key, its OpenSSH configuration and the known host keys."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from standfast.errors import StandfastError
from standfast.lab import programs
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


class Answering(Protocol):
    """What it takes to run a command on a server."""

    @property
    def name(self) -> str: ...
    @property
    def ssh_config(self) -> Path:
        """The OpenSSH configuration that knows this server by its name."""
        ...


def run_on(
    server: Answering,
    command: str,
    *,
    check: bool = True,
    input: str | None = None,
    timeout: float | None = 120,
    connect: int = 10,
) -> subprocess.CompletedProcess[str]:
    """
    Run a shell command on a server over SSH, as the account that its configuration names.

    + connect: seconds until there must be a connection

    Raises:
        StandfastError: it took longer than ``timeout`` seconds; or, with check, it failed.
    """
    argv = ["ssh", "-F", str(server.ssh_config), "-o", "BatchMode=yes", "-o", f"ConnectTimeout={connect}"]
    try:
        done = subprocess.run(
            [*argv, server.name, "--", command],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            **({"stdin": subprocess.DEVNULL} if input is None else {"input": input}),
        )
    except subprocess.TimeoutExpired:
        raise StandfastError(f"{server.name}: `{command}` did not end within {timeout} s") from None
    if check and done.returncode != 0:
        raise StandfastError(
            f"{server.name}: `{command}` failed with {done.returncode}: {programs.last_words(done)}"
        )
    return done


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
    # The post-quantum key exchange takes five times the processor of all else that ssh does, and the lab is
    # on this machine.
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
    KexAlgorithms curve25519-sha256
"""
