"""Connections to real SSH servers on the loopback: jump hosts, and keys with a passphrase."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.listening import listening

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


def ssh_server(*arguments: Path) -> AbstractContextManager[int]:
    """A server; its port."""
    return listening("tests.unit.ssh_server", *map(str, arguments))


def connect(folder: Path, port: int, agent: str = "", **ssh: str) -> str:
    """What connecting to the server at the port comes to; somebody at the terminal says yes to everything."""
    settings = ", ".join(f"{name}: {value}" for name, value in {"user": "ops", **ssh}.items())
    (folder / "inventories").mkdir(exist_ok=True)
    (folder / "inventories/lab.yml").write_text(
        f"environment: lab\nhosts: {{web-1: {{address: 127.0.0.1, ssh: {{port: {port}, {settings}}}}}}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", CONNECT],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT), "SSH_AUTH_SOCK": agent},
        input="y\ny\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.strip()


@contextmanager
def ssh_agent(folder: Path) -> Iterator[str]:
    """An agent that holds nothing; its socket."""
    address = folder / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(address)], stdout=subprocess.DEVNULL)
    try:
        while not address.exists():
            time.sleep(0.02)
        yield str(address)
    finally:
        process.kill()
        process.wait()


def add_to_agent(agent: str, key: Path, passphrase: str) -> None:
    """What somebody does with `ssh-add`, who types the passphrase."""
    asked = key.parent / "askpass"
    asked.write_text(f"#!/bin/sh\necho {passphrase}\n")
    asked.chmod(0o700)
    environment = {"SSH_AUTH_SOCK": agent, "SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force"}
    subprocess.run(
        ["ssh-add", "-q", str(key)], env={**os.environ, **environment}, stdin=subprocess.DEVNULL, check=True
    )


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


@pytest.mark.parametrize(
    ("options", "beside"),
    [
        (("-t", "ed25519"), True),
        (("-t", "ed25519"), False),
        (("-t", "rsa", "-b", "2048"), False),
        (("-t", "rsa", "-b", "2048", "-m", "PEM"), True),
        (("-t", "ecdsa", "-m", "PEM"), True),
    ],
)
def test_a_key_with_a_passphrase_is_used_through_the_agent(
    folder: Path, options: tuple[str, ...], beside: bool
) -> None:
    key, host_key = folder / "deploy", make_key(folder / "target")
    make_key(key, "opensesame", *options)
    allowed = (folder / "deploy.pub").rename(folder / "allowed")
    if beside:
        (folder / "deploy.pub").write_text(allowed.read_text())
    with ssh_agent(folder) as agent, ssh_server(folder / "target", allowed) as port:
        (folder / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
        add_to_agent(agent, folder / ".ssh/id_ed25519", "")
        assert connect(folder, port, agent, key=str(key)) == (
            "web-1 (127.0.0.1): `ssh.key` has a passphrase, and ssh-agent does not hold that key. "
            f"Run `ssh-add {key}`, and try again. Nothing was changed there."
        )
        add_to_agent(agent, key, "opensesame")
        assert connect(folder, port, agent, key=str(key)) == "connected as ops"
    assert "has a passphrase" in connect(folder, port, key=str(key)), "no agent at all"


def test_a_key_that_is_none_is_named(folder: Path) -> None:
    said = f"web-1 (127.0.0.1): `ssh.key`: expected a private key at {folder / 'deploy'}, found: "
    rest = ". Check the path and the file. Nothing was changed there."
    assert connect(folder, 1, key="deploy") == f"{said}nothing there{rest}"
    (folder / "deploy").write_text("no key\n")
    assert connect(folder, 1, key="deploy") == f"{said}something else{rest}"
    (folder / "deploy").write_bytes(bytes(range(256)))
    assert connect(folder, 1, key="deploy") == f"{said}something else{rest}"


def test_a_configuration_that_is_not_there_is_named(folder: Path) -> None:
    said = connect(folder, 1, config="ssh_config")
    assert f"`ssh.config`: expected an SSH client configuration at {folder / 'ssh_config'}, found" in said


def test_a_port_that_is_closed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert "no SSH connection: Connection refused. Is it running" in connect(tmp_path, port)
