"""One subject of a server, declared, applied and looked at from outside."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass, field
from typing import Any

from standfast.lab.nspawn import Server
from tests.server.conftest import Repository


@dataclass
class Subject:
    """A repository that declares one part of one server."""

    repository: Repository
    server: Server
    name: str
    """The subject to which every run is limited."""
    host: dict[str, Any] = field(default_factory=dict)
    """The server's part of the inventory."""

    def declare(self, **settings: object) -> None:
        """Write the inventory; settings stay from call to call."""
        self.host |= settings
        own = {"address": self.server.name, "ssh": {"config": str(self.server.ssh_config)}}
        inventory = {"environment": "lab", "hosts": {self.server.name: {**own, **self.host}}}
        self.repository.write("inventories/lab.yml", json.dumps(inventory))

    def apply(self, expect: int = 0) -> str:
        """Apply, which compares again afterwards and fails unless nothing is left; returns what was said."""
        arguments = ("apply", "lab", "--yes", "--no-verify", "--only", self.name)
        done = self.repository.standfast(*arguments, expect=expect)
        return done.stdout + done.stderr

    def changes(self) -> list[dict[str, Any]]:
        """What is planned."""
        plan = self.repository.plan("lab", "--only", self.name)
        return [change for host in plan["hosts"] for change in host["changes"]]

    def targets(self) -> list[str]:
        """The targets of what is planned."""
        return [change["target"] for change in self.changes()]

    def refusal(self) -> str:
        """What the plan is refused with."""
        return self.repository.standfast("plan", "lab", "--only", self.name, expect=6).stderr

    def root(self, command: str, *, check: bool = True) -> str:
        """Output of a command on the server, as root."""
        return self.server.run(f"sudo sh -c {shlex.quote(command)}", check=check).stdout

    def ssh(self, *options: str, command: str = "true") -> subprocess.CompletedProcess[str]:
        """A connection of its own with further options of ssh."""
        always = ("-F", str(self.server.ssh_config), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5")
        return subprocess.run(
            ["ssh", *always, *options, self.server.name, command],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
