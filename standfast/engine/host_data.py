"""From a declaration to what pyinfra knows about a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from standfast.declaration import HOST_DATA_KEY, Declaration


def host_data(declaration: Declaration) -> dict[str, Any]:
    """pyinfra's host data: how to connect, and the declaration for the deploys."""
    ssh = declaration.host.ssh
    data: dict[str, Any] = {
        HOST_DATA_KEY: declaration,
        "ssh_hostname": declaration.host.address,
        "ssh_strict_host_key_checking": "yes",
        "_sudo": True,
    }
    if ssh.user:
        data["ssh_user"] = ssh.user
    if ssh.port:
        data["ssh_port"] = ssh.port
    for key, value in (
        ("ssh_key", ssh.key),
        ("ssh_config_file", ssh.config),
        ("ssh_known_hosts_file", ssh.known_hosts),
    ):
        if value:
            data[key] = str((declaration.root / Path(value).expanduser()).resolve())
    return data
