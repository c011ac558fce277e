"""Each tool as a command that can be timed, and the clock."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import others
from bench.items import Item
from standfast import __version__
from standfast.errors import StandfastError

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / "build/bench/venv/bin"
STANDFAST = "standfast"
DRIFT = "standfast drift"
PLAIN = "plain ssh"
PYINFRA = "pyinfra"
MITOGEN = "Ansible + mitogen"
PIPELINING = "Ansible, pipelining"
ANSIBLE = "Ansible"
SHORT = {
    "standfast": STANDFAST,
    "drift": DRIFT,
    "plain": PLAIN,
    "pyinfra": PYINFRA,
    "mitogen": MITOGEN,
    "pipelining": PIPELINING,
    "ansible": ANSIBLE,
}
"""The tools by their names on the command line."""
FORKS = 20


@dataclass(frozen=True)
class Target:
    """How a server is reached: directly, or by a slow link."""

    name: str
    address: str
    port: int
    key: Path
    known_hosts: Path


@dataclass(frozen=True)
class Run:
    """What one run took."""

    seconds: float
    megabytes: float
    """The largest of the processes, without those that ran beside it."""


class BenchError(StandfastError):
    """A tool did not do its work; a time for that would be worth nothing."""


def timed(
    command: Sequence[str],
    folder: Path,
    *,
    expect: tuple[int, ...] = (0,),
    variables: Mapping[str, str] | None = None,
) -> Run:
    """Run a command and take the time; its output is shown when it fails."""
    log = folder / "output.log"
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), **(variables or {})}
    # Who runs a tool has it compiled once.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in expect:
        text = log.read_text(errors="replace")[-3000:]
        raise BenchError(f"{shlex.join(command)[:200]} ended with {process.returncode}:\n{text}")
    return Run(seconds, usage.ru_maxrss / 1024)


class Contest:
    """All tools, prepared to bring the same servers into the same state."""

    def __init__(
        self, folder: Path, items: Sequence[Item], targets: Sequence[Target], inventory: str
    ) -> None:
        """
        + folder: where playbook, deploy and inventories go
        + inventory: of standfast, in ``inventories/`` of the same folder
        """
        self.folder, self.items, self.targets = folder, items, targets
        self.inventory = inventory
        others.playbook(items, folder)
        others.pyinfra_deploy(items, folder)
        self.write_inventories()

    def write_inventories(self) -> None:
        """Where the other tools find the servers; contests in one folder take turns."""
        hosts = {
            each.name: {
                "ansible_host": each.address,
                "ansible_port": each.port,
                "ansible_user": "ops",
                "ansible_ssh_private_key_file": str(each.key),
                "ansible_ssh_common_args": f"-o UserKnownHostsFile={each.known_hosts}",
                "ansible_python_interpreter": "/usr/bin/python3",
            }
            for each in self.targets
        }
        self._write("hosts.json", json.dumps({"all": {"hosts": hosts}}))
        data = [
            (
                each.name,
                {
                    "ssh_hostname": each.address,
                    "ssh_port": each.port,
                    "ssh_user": "ops",
                    "ssh_key": str(each.key),
                    "ssh_known_hosts_file": str(each.known_hosts),
                    "ssh_strict_host_key_checking": "yes",
                    "_sudo": True,
                },
            )
            for each in self.targets
        ]
        self._write("hosts.py", f"all = {data!r}\n")

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def nothing_to_do(self) -> dict[str, Callable[[], Run]]:
        """Every tool on servers that are as declared."""
        return {
            STANDFAST: lambda: self._standfast("plan", self.inventory),
            DRIFT: lambda: self._standfast("drift", self.inventory, expect=(0, 2)),
            PLAIN: self._plain,
            PYINFRA: lambda: self._pyinfra("--dry"),
            MITOGEN: lambda: self._ansible(pipelining=True, mitogen=True),
            PIPELINING: lambda: self._ansible(pipelining=True),
            ANSIBLE: lambda: self._ansible(),
        }

    def provision(self) -> dict[str, Callable[[], Run]]:
        """Every tool on blank servers."""
        return {
            STANDFAST: lambda: self._standfast("apply", self.inventory, "--yes", "--no-verify"),
            PLAIN: self._plain_provisioning,
            PYINFRA: lambda: self._pyinfra("-y"),
            MITOGEN: lambda: self._ansible(pipelining=True, mitogen=True),
            PIPELINING: lambda: self._ansible(pipelining=True),
            ANSIBLE: lambda: self._ansible(),
        }

    def verify(self) -> Run:
        """``standfast verify``."""
        return self._standfast("verify", self.inventory)

    def turns(self) -> dict[str, int]:
        """Round trips of plan and drift after the handshake, with one server."""
        counted, file = {}, self.folder / "turns"
        for tool, verb in ((STANDFAST, "plan"), (DRIFT, "drift")):
            command = [sys.executable, "-m", "tests.server.turns", str(file), verb, self.inventory]
            timed(command, self.folder, expect=(0, 2), variables={"PYTHONPATH": str(ROOT)})
            (counted[tool],) = json.loads(file.read_text())
        return counted

    def _standfast(self, *arguments: str, expect: tuple[int, ...] = (0,)) -> Run:
        return timed([sys.executable, "-m", "standfast.cli.main", *arguments], self.folder, expect=expect)

    def _pyinfra(self, *arguments: str) -> Run:
        command = [str(TOOLS / "pyinfra"), "hosts.py", "deploy.py", *arguments]
        return timed(command, self.folder, variables={"PYINFRA_PROGRESS": "off"})

    def _ansible(self, *, pipelining: bool = False, mitogen: bool = False) -> Run:
        variables = {
            "ANSIBLE_PIPELINING": str(pipelining),
            "ANSIBLE_FORKS": str(FORKS),
            "ANSIBLE_NOCOWS": "1",
            "LC_ALL": "C.UTF-8",  # Ansible refuses any other encoding
        }
        if mitogen:
            plugins = next(
                (TOOLS.parent / "lib").glob("python*/site-packages/ansible_mitogen/plugins/strategy")
            )
            variables |= {"ANSIBLE_STRATEGY_PLUGINS": str(plugins), "ANSIBLE_STRATEGY": "mitogen_linear"}
        # A connection that the run before has left open would save the next one its handshake.
        with TemporaryDirectory(prefix="bench-") as control:
            variables["ANSIBLE_SSH_CONTROL_PATH_DIR"] = control
            command = [str(TOOLS / "ansible-playbook"), "-i", "hosts.json", "site.yml"]
            try:
                return timed(command, self.folder, variables=variables)
            finally:
                for socket in Path(control).iterdir():
                    close = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "none"]
                    subprocess.run(close, capture_output=True, check=False)

    def _ssh(self, target: Target, *arguments: str) -> list[str]:
        options = ("BatchMode=yes", f"UserKnownHostsFile={target.known_hosts}", "StrictHostKeyChecking=yes")
        return [
            *("ssh", "-F", "none", "-i", str(target.key), "-p", str(target.port)),
            *(word for option in options for word in ("-o", option)),
            *(f"ops@{target.address}", *arguments),
        ]

    def _plain(self) -> Run:
        script = others.reading_script(self.items)
        command = f"sudo sh -c {shlex.quote(script)}"

        def ask(target: Target) -> Run:
            own = self.folder / "plain" / target.name
            own.mkdir(parents=True, exist_ok=True)
            return timed(self._ssh(target, command), own)

        started = time.monotonic()
        with ThreadPoolExecutor(FORKS) as pool:
            runs = list(pool.map(ask, self.targets))
        return Run(time.monotonic() - started, max(run.megabytes for run in runs))

    def _plain_provisioning(self) -> Run:
        (target,) = self.targets
        upload = self.folder / "upload"
        for item in self.items:
            if item.kind == "file":
                path = upload / "files" / item.name.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(item.content)
            elif item.kind == "image":
                link = upload / Path(item.names[1]).name
                link.unlink(missing_ok=True)
                link.symlink_to(item.names[1])
        script = others.provisioning_script(self.items)
        kept = others.KEPT
        unpack = f"mkdir -p {kept} && tar -xzf - -C {kept} --no-same-owner"
        inner = f"{unpack} && sudo sh -c {shlex.quote(script)}"
        send = shlex.join(self._ssh(target, inner))
        return timed(
            ["bash", "-o", "pipefail", "-c", f"tar -chf - -C {upload} . | gzip -1 | {send}"], self.folder
        )


def versions() -> list[str]:
    """What was measured, in one line each."""
    listed = subprocess.run(
        [str(TOOLS / "pip"), "list", "--format=json"], capture_output=True, text=True, check=True
    ).stdout
    found = {each["name"]: each["version"] for each in json.loads(listed)}
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr.strip()
    names = ("ansible-core", "mitogen", "pyinfra")
    own = f"standfast {__version__} (sources {_sources()})"
    return [own, *(f"{name} {found[name]}" for name in names), f"Python {sys.version.split()[0]}", ssh]


def _sources() -> str:
    """What standfast's own code is, short: figures of another one are not put together with these."""
    digest = hashlib.sha256()
    for room in ("standfast", "deploys", "templates"):
        for path in sorted((ROOT / room).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
