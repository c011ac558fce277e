"""sshd's configuration and its services: kept, and put back so that it answers."""

from __future__ import annotations

import socket
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from standfast.host.firewall import durable
from standfast.host.firewall.programs import Failure, run, succeeds

FILES = (
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d/**/*",
    "/etc/default/ssh",
    "/etc/systemd/system/ssh.service",
    "/etc/systemd/system/ssh.service.d/*",
    "/etc/systemd/system/ssh.socket",
    "/etc/systemd/system/ssh.socket.d/*",
)
BANNER_SECONDS = 3
ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104 - sshd's words; nothing listens here


def keep() -> dict[str, Any]:
    """All that decides how sshd behaves, as values for JSON. Private keys are not among it."""
    return {
        "files": {str(path): _file(path) for path in _present()},
        "socket": succeeds("systemctl", "is-active", "--quiet", "ssh.socket"),
        "addresses": _addresses(),
    }


def put_files_back(kept: dict[str, Any]) -> list[str]:
    """Make the files what they were; returns the paths of those that were different."""
    changed = []
    for path in _present():
        if str(path) not in kept["files"]:
            durable.remove(path)
            changed.append(str(path))
    for name, was in kept["files"].items():
        path = Path(name)
        if _file(path) == was:
            continue
        if "link" in was:
            path.unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(was["link"])
        else:
            content = b64decode(was["content"])
            durable.write(path, content, mode=was["mode"], owner=(was["user"], was["group"]))
        changed.append(name)
    return changed


def put_back(kept: dict[str, Any]) -> list[str]:
    """
    Make files and services what they were, and sshd answer; open connections stay.

    Returns what was done.

    Raises:
        Failure: sshd does not answer.
    """
    changed = put_files_back(kept)
    if any(path.startswith("/etc/systemd/") for path in changed):
        run("systemctl", "daemon-reload")
    if changed:
        if kept["socket"]:
            run("systemctl", "restart", "ssh.socket")
            run("systemctl", "try-restart", "ssh.service")
        else:
            succeeds("systemctl", "reload", "ssh.service")
            time.sleep(0.3)
    if not answers(kept["addresses"]):
        _restart(kept)
        changed.append("restart of ssh.service")
    return changed


def answers(addresses: list[list[Any]]) -> bool:
    """Whether sshd shows its banner at one of its addresses; unknown ones count as yes."""
    return not addresses or any(_banner(host, port) for host, port in addresses)


def _restart(kept: dict[str, Any]) -> None:
    unit = "ssh.socket" if kept["socket"] else "ssh.service"
    for name in {unit, "ssh.service"}:
        if _is_masked(name):
            succeeds("systemctl", "unmask", name)
            succeeds("systemctl", "unmask", "--runtime", name)
    # One that hangs does not end by itself. Only the listener: sessions are processes of their own.
    succeeds("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "ssh.service")
    succeeds("systemctl", "reset-failed", "ssh.service", "ssh.socket")
    run("systemctl", "restart", unit)
    deadline = time.monotonic() + 5
    while not answers(kept["addresses"]):
        if time.monotonic() > deadline:
            raise Failure("sshd does not answer after a restart")
        time.sleep(0.2)


def _is_masked(unit: str) -> bool:
    with suppress(Failure):
        return "masked" in run("systemctl", "show", "--property=LoadState", "--value", unit)
    return False


def _addresses() -> list[list[Any]]:
    """Where sshd listens, as something on this server can reach it."""
    with suppress(Failure):
        lines = run("sshd", "-T").splitlines()
        places = [line.split()[1] for line in lines if line.startswith("listenaddress ")]
        pairs = [place.rpartition(":") for place in places]
        return [[ANYWHERE.get(host, host.strip("[]")), int(port)] for host, _, port in pairs]
    return []


def _banner(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=BANNER_SECONDS) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _present() -> Iterator[Path]:
    for pattern in FILES:
        for path in sorted(Path("/").glob(pattern[1:])):
            if path.is_symlink() or path.is_file():
                yield path


def _file(path: Path) -> dict[str, Any] | None:
    try:
        if path.is_symlink():
            return {"link": str(path.readlink())}
        status = path.stat()
        content = b64encode(path.read_bytes()).decode()
    except OSError:
        return None
    return {
        "content": content,
        "mode": status.st_mode & 0o7777,
        "user": status.st_uid,
        "group": status.st_gid,
    }
