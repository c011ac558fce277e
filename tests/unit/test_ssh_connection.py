"""Connections to real SSH servers on the loopback: jump hosts, and keys with a passphrase."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONNECT = """
from pathlib import Path
from standfast.engine.declarations import declarations
from standfast.engine.servers import connected, connector
from standfast.inventory.loader import load

loaded = load(Path("inventories/lab.yml"))
with connected(loaded, declarations(loaded)) as servers:
    for error in servers.failures.values():
        print(error)
    for host in servers.connected():
        print("connected as", connector(host).user)
"""


def make_key(path: Path, passphrase: str = "", *options: str) -> str:
    """Write a new key; its public half as it stands in known_hosts."""
    command = ["ssh-keygen", "-q", "-N", passphrase, "-f", str(path), *(options or ("-t", "ed25519"))]
    subprocess.run(command, check=True)
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


@contextmanager
def ssh_server(*arguments: Path) -> Iterator[int]:
    """A server; its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.ssh_server", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def connect(folder: Path, port: int, **ssh: str) -> str:
    """What connecting to the server at the port comes to; somebody at the terminal says yes to everything."""
    settings = ", ".join(f"{name}: {value}" for name, value in {"user": "ops", **ssh}.items())
    (folder / "inventories").mkdir(exist_ok=True)
    (folder / "inventories/lab.yml").write_text(
        f"environment: lab\nhosts: {{web-1: {{address: 127.0.0.1, ssh: {{port: {port}, {settings}}}}}}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", CONNECT],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT)},
        input="y\ny\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A home and a repository in one, with keys."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    make_key(tmp_path / ".ssh/id_ed25519")
    return tmp_path


@pytest.mark.parametrize("known", ["nowhere", "inventory", "home", "differs"])
@pytest.mark.parametrize("checking", ["", "  StrictHostKeyChecking no\n"])
def test_a_jump_host_is_checked_as_strictly_as_the_server(folder: Path, known: str, checking: str) -> None:
    keys = {name: make_key(folder / name) for name in ("jump", "target", "other")}
    with ssh_server(folder / "jump") as jump, ssh_server(folder / "target") as target:
        server = f"[127.0.0.1]:{target} {keys['target']}\n"
        entry = f"[127.0.0.1]:{jump} {keys['other' if known == 'differs' else 'jump']}\n"
        (folder / "known_hosts").write_text(server + entry * (known in {"inventory", "differs"}))
        (folder / ".ssh/known_hosts").write_text(entry if known == "home" else "")
        (folder / "ssh_config").write_text(
            f"Host bastion\n  HostName 127.0.0.1\n  Port {jump}\n  User kim\n{checking}"
            "Host 127.0.0.1\n  ProxyJump bastion\n"
        )
        said = connect(folder, target, config="ssh_config", known_hosts="known_hosts")
    if known in {"inventory", "home"}:
        assert said == "connected as ops"
    else:
        assert said.startswith("web-1 (127.0.0.1): its jump host bastion: its host key is not ")
        assert said.endswith("Nothing was changed there.")
        assert ("known yet. Connect once with ssh" in said) == (known == "nowhere")
    assert (folder / ".ssh/known_hosts").read_text() == (entry if known == "home" else "")
