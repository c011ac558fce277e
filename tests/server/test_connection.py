"""One connection a server, without delay; what is only read survives that it is cut once."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from standfast.lab.nspawn import Server
from tests.listening import listening
from tests.server.conftest import Repository
from tests.server.test_engine import only_this_deploy, remote

ROOT = Path(__file__).parents[2]
# Their contents cannot be compressed, so that an answer is longer than the bytes after which the link breaks.
BODY = """
import random
for number in range(40):
    files.file(f"/etc/trial/{number}", random.Random(number).randbytes(3_000).hex())
"""
CUT = 30_000


@pytest.fixture(autouse=True)
def clean(server: Server) -> None:
    remote(server, "rm -rf /etc/trial; mkdir /etc/trial")


def link(server: Server, *options: str) -> AbstractContextManager[int]:
    """A link to a server's SSH port; its port here."""
    return listening("bench.link", "--to", f"{server.address}:22", *options)


def through(repository: Repository, server: Server, port: int) -> None:
    """Have the inventory lead through a link."""
    known = "".join(f"[127.0.0.1]:{port} {key}\n" for key in server.host_keys)
    repository.write("known_hosts", known)
    repository.write(
        "inventories/link.yml",
        f"environment: lab\nhosts:\n  {server.name}:\n    address: 127.0.0.1\n"
        f"    ssh: {{port: {port}, user: ops, key: {server.ssh_config.parent / 'id_ed25519'}, "
        f"known_hosts: known_hosts}}\n",
    )


def sessions(server: Server) -> int:
    """How many connections sshd has accepted."""
    return int(remote(server, "journalctl -q -u ssh -o cat | grep -c 'Accepted publickey' || true"))


@pytest.fixture
def converged(repository: Repository, server: Server) -> Repository:
    only_this_deploy(repository, server, BODY)
    repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    return repository


@pytest.mark.parametrize("command", ["plan", "drift"])
def test_a_connection_that_is_cut_while_it_reads_is_made_again_once(
    converged: Repository, server: Server, command: str
) -> None:
    with link(server, "--cut", str(CUT)) as port:
        through(converged, server, port)
        before = sessions(server)
        done = converged.standfast(command, "link", "--only", "trial", expect=0)
        assert sessions(server) - before == 3, "two of the command, and the one that counts"
    assert "lost" not in done.stderr
    remote(server, "echo other > /etc/trial/7")
    with link(server, "--cut", str(CUT)) as port:
        through(converged, server, port)
        assert "/etc/trial/7" in converged.standfast(command, "link", "--only", "trial", expect=2).stdout


def test_an_apply_whose_connection_is_cut_stops(converged: Repository, server: Server) -> None:
    remote(server, "echo other > /etc/trial/7")
    with link(server, "--cut", str(CUT)) as port:
        through(converged, server, port)
        done = converged.standfast("apply", "link", "--yes", "--no-verify", expect=1)
    assert "the connection was lost" in done.stderr
    assert remote(server, "cat /etc/trial/7") == "other\n"
    converged.standfast("apply", "lab", "--yes", "--no-verify", expect=0)


def test_plan_changes_and_checks_share_one_connection(converged: Repository, server: Server) -> None:
    remote(server, "echo other > /etc/trial/7")
    before = sessions(server)
    converged.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    assert sessions(server) - before == 2, "one of apply, and the one that counts"


def test_small_commands_are_not_held_back(converged: Repository, server: Server) -> None:
    """Without TCP_NODELAY the system holds small packets back, 40 ms a command."""
    code = (
        "import socket, sys; from pathlib import Path\n"
        "from standfast.engine.servers import connected, connector\n"
        "from standfast.engine.declarations import declarations\n"
        "from standfast.inventory.loader import load\n"
        "loaded = load(Path('inventories/lab.yml'))\n"
        "with connected(loaded, declarations(loaded)) as servers:\n"
        "    (host,) = servers.connected()\n"
        "    transport = connector(host).transport\n"
        "    print(transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=converged.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) != 0
