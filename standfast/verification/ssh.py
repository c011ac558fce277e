"""
The one place that knows pytest-testinfra: a `host` for a declared server, over one SSH connection.

testinfra starts one ssh a command; with a control socket they share a connection (138 commands: 32 s
without it, 1.4 s with it). Its paramiko backend does not check host keys, so OpenSSH is used. What our own
assertions ask is one command for all of them.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import testinfra
from testinfra.host import Host as LiveHost

from standfast.errors import StandfastError
from standfast.inventory.schema import Host, Ssh
from standfast.verification import looks
from standfast.verification.expected import guarded, open_to
from standfast.verification.outside import Outside, answers
from standfast.verification.seen import Seen, unpacked

CONNECT_SECONDS = 10
PARTS_OF_A_CONNECTION = 4


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


@dataclass(frozen=True)
class Connection:
    """One SSH connection to a server, kept for all assertions."""

    command: Sequence[str]
    """The beginning of every ssh command that goes through it."""
    host: LiveHost
    """The server as testinfra sees it; commands run as root."""
    place: str
    """Name or address, for messages."""

    def see(self, name: str, declared: Host, connected: Callable[[Sequence[str]], object]) -> Seen:
        """
        Have all looks answered in one command.

        + connected: called before the answers are there, with address and port of this machine, address and
          port of the server, as the server sees them

        Raises:
            StandfastError: the server cannot be reached, or the account may not become root.
        """
        asked = looks.looks(name, declared)
        # Only the login shell knows the connection; sudo hides it.
        remote = 'echo "$SSH_CONNECTION"; exec sudo -n sh -s'
        with subprocess.Popen(
            [*self.command, f"sh -c {shlex.quote(remote)}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as ssh:
            assert ssh.stdin is not None
            assert ssh.stdout is not None
            with suppress(BrokenPipeError), ssh.stdin:  # a connection that fails says why
                ssh.stdin.write(looks.script(asked).encode())
            ssh.stdin = None
            connection = ssh.stdout.readline().decode(errors="replace").split()
            at = time.time()  # the looks begin now; they may wait for containers as long as clocks may differ
            if connection:
                connected(connection)
            archive, errors = ssh.communicate()
        if ssh.returncode != 0:
            raise StandfastError(f"{self.place}: no assertion could be made: {_last_line(errors)}")
        return Seen(unpacked(archive, list(asked)), at)

    def outside(self, declared: Host, connection: Sequence[str]) -> Outside:
        """
        Try from here what the firewall lets in.

        + connection: address and port of this machine, address and port of the server
        """
        settings = self._settings()
        address, port = settings.get("hostname", ""), settings.get("port", "")
        if not {"proxyjump", "proxycommand"}.isdisjoint(settings):
            return Outside(cannot="the connection leads through another server")
        if len(connection) != PARTS_OF_A_CONNECTION or connection[3] != port:
            return Outside(cannot="the connection comes through a forwarded port")
        client = connection[0].partition("%")[0]
        family = socket.AF_INET6 if ":" in client else socket.AF_INET
        try:
            found = socket.getaddrinfo(address, None, family, socket.SOCK_STREAM)
        except OSError as error:  # only ssh knows the name
            return Outside(cannot=f"{address}: {error}")
        address = str(found[0][4][0])
        return Outside(address, client, answers(address, open_to(declared, client), guarded(declared)))

    def _settings(self) -> dict[str, str]:
        """What ssh itself makes of its configuration."""
        *_, address = self.command
        command = [*self.command[:-1], "-G", address]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        pairs = [line.partition(" ") for line in told.splitlines()]
        return {key: value for key, _, value in pairs if value != "none"}


@contextmanager
def connected(address: str, ssh: Ssh, root: Path) -> Iterator[Connection]:
    """A connection that opens with its first command; several threads may use it after that one."""
    with TemporaryDirectory(prefix="standfast-") as folder:
        configuration = Path(folder) / "ssh_config"
        configuration.write_text(client_configuration(address, ssh, root, Path(folder)), encoding="utf-8")
        command = ["ssh", "-F", str(configuration), address]
        live = testinfra.get_host(f"ssh://{address}", ssh_config=str(configuration), sudo=True)
        try:
            yield Connection(command, live, address)
        finally:
            subprocess.run([*command, "-O", "exit"], capture_output=True, check=False)


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no reason given"
