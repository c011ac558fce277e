"""
The one place that knows pytest-testinfra: a `host` for a declared server, over one SSH connection.

testinfra starts one ssh a command; with a control socket they share a connection (138 commands: 32 s
without it, 1.4 s with it). Its paramiko backend does not check host keys, so OpenSSH is used.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import testinfra
from testinfra.host import Host

from standfast.errors import StandfastError
from standfast.inventory.schema import Ssh

CONNECT_SECONDS = 10


def client_configuration(address: str, ssh: Ssh, root: Path, control: Path) -> str:
    """An OpenSSH client configuration that reaches the server as standfast itself does."""
    settings = {
        "ControlMaster": "auto",
        "ControlPath": f'"{control}/%C"',
        "ControlPersist": "60",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "LogLevel": "ERROR",
    }
    if ssh.user:
        settings["User"] = ssh.user
    if ssh.port:
        settings["Port"] = str(ssh.port)
    if ssh.key:
        settings["IdentityFile"] = f'"{_path(ssh.key, root)}"'
    if ssh.known_hosts:
        settings["UserKnownHostsFile"] = f'"{_path(ssh.known_hosts, root)}"'
    lines = [f"Host {address}", *(f"  {key} {value}" for key, value in settings.items())]
    included = _path(ssh.config or "~/.ssh/config", root)
    return "\n".join([*lines, "Host *", f'  Include "{included}"', ""])


def _path(name: str, root: Path) -> Path:
    return root / Path(name).expanduser()


@contextmanager
def live_host(address: str, ssh: Ssh, root: Path) -> Iterator[Host]:
    """
    A testinfra host that runs commands as root.

    Raises:
        StandfastError: the server cannot be reached.
    """
    with TemporaryDirectory(prefix="standfast-") as folder:
        configuration = Path(folder) / "ssh_config"
        configuration.write_text(client_configuration(address, ssh, root, Path(folder)), encoding="utf-8")
        command = ["ssh", "-F", str(configuration), address]
        reached = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
        if reached.returncode != 0:
            raise StandfastError(f"{address}: no SSH connection: {reached.stderr.strip()}")
        try:
            yield testinfra.get_host(f"ssh://{address}", ssh_config=str(configuration), sudo=True)
        finally:
            subprocess.run([*command, "-O", "exit"], capture_output=True, check=False)
