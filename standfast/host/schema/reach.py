"""PostgreSQL's programs and the way to a database: in a container, by a socket, over the network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from standfast.host.backup import programs
from standfast.host.backup.faults import Fault

READ_ONLY = "-c default_transaction_read_only=on"
APPLICATION = "standfast schema"


@dataclass(frozen=True)
class Reach:
    """How programs reach one database. Passwords are in the environment, never in arguments."""

    words: str
    """For people, without a password: ``shop on 127.0.0.1:5432``."""
    database: str
    prefix: tuple[str, ...] = ()
    """What comes before a program, for example ``docker exec --interactive ID``."""
    folder: str = ""
    """Where PostgreSQL's programs are; empty: on the PATH."""
    options: tuple[str, ...] = ()
    """Host, port and role, as every program of PostgreSQL takes them."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    writes: bool = False
    """Whether it is a throwaway database; every other session may only read."""
    session: str = ""
    """Settings of a throwaway database's session, as ``PGOPTIONS`` has them."""

    def command(self, program: str, *arguments: str) -> list[str]:
        """The arguments of a program that connects."""
        path = f"{self.folder}/{program}" if self.folder else program
        target = ["--no-password", *self.options, "--dbname", self.database]
        return [*self.prefix, *self._handed_over(), path, *target, *arguments]

    def psql(self, script: str, *, seconds: float = programs.SHORT) -> str:
        """
        What psql answers to a script; it stops at the first error.

        Raises:
            Fault: PostgreSQL does not answer or refuses.
        """
        done = self.run(
            "psql", "-XAtq", "--set", "ON_ERROR_STOP=1", "--file", "-", stdin=script, seconds=seconds
        )
        if done.code != 0:
            raise Fault(f"{self.words}: {_said(done)}")
        return done.output

    def run(
        self, program: str, *arguments: str, stdin: str = "", seconds: float = programs.SHORT
    ) -> programs.Done:
        """Run a program to its end; its exit code is the caller's to judge."""
        return programs.run(
            self.command(program, *arguments),
            stdin=stdin,
            seconds=seconds,
            environment={**_own(), **self._settings(), **self.environment},
        )

    def _settings(self) -> dict[str, str]:
        settings = {"PGAPPNAME": APPLICATION, "PGCONNECT_TIMEOUT": "10"}
        return {**settings, "PGOPTIONS": self.session if self.writes else READ_ONLY}

    def _handed_over(self) -> list[str]:
        """A program in a container has the container's environment; these settings hold no secret."""
        if not self.prefix:
            return []
        return ["env", *(f"{name}={value}" for name, value in self._settings().items())]


def _own() -> dict[str, str]:
    """Where certificates of the user are, and the programs."""
    return {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}


def _said(done: programs.Done) -> str:
    """PostgreSQL's own words from the error on: the place in the text, details and hints stand after it."""
    lines = [line.rstrip() for line in done.errors.splitlines() if line.strip()]
    errors = [number for number, line in enumerate(lines) if "ERROR:" in line or "FATAL:" in line]
    said = lines[errors[0] :] if errors else lines[-3:]
    first = said[:1] and [
        said[0].removeprefix("psql: ").removeprefix("error: ").removeprefix("psql:<stdin>:")
    ]
    return "\n    ".join([*first, *said[1:6]]) or done.reason
