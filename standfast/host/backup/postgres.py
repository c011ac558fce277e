"""PostgreSQL's own programs, run where the database is: in its container, or on the host."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from standfast.host.backup import programs
from standfast.host.backup.faults import Fault

MARK = "standfast: end of the answer"
LOCK_MILLISECONDS = 5 * 60 * 1000
"""For which pg_dump waits for a table that somebody has locked; as long as a session here does."""
# What a role or a database may have set must not change how rows look as text, nor end a long backup. To
# compile a query that is asked once takes longer than it saves.
PREPARE = """
SET statement_timeout = 0; SET lock_timeout = '5min'; SET idle_in_transaction_session_timeout = 0;
SET search_path = pg_catalog; SET timezone = 'UTC'; SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex';
SET lc_monetary = 'C'; SET client_encoding = 'UTF8'; SET jit = off;
"""


@dataclass(frozen=True)
class Place:
    """Where PostgreSQL's programs are, and how they reach the server."""

    prefix: tuple[str, ...]
    """What comes before a program: ``docker exec -i …``, ``runuser -u … --``."""
    user: str
    socket: str | None = None
    container: str | None = None
    """Id or name of the container, when it is in one."""

    def command(self, program: str, *arguments: str) -> list[str]:
        """A program that connects to the server."""
        host = ["--host", self.socket] if self.socket else []
        return [*self.prefix, program, *host, "--username", self.user, "--no-password", *arguments]

    def ask(self, sql: str, database: str) -> list[str]:
        """
        Lines of an answer.

        Raises:
            Fault: the server does not answer, or refuses.
        """
        with self.session(database) as session:
            return session.ask(sql)

    @contextmanager
    def session(self, database: str) -> Iterator[Session]:
        """A connection that stays open, with settings of its own."""
        arguments = self.command(
            "psql", "-XAtq", "--set", "ON_ERROR_STOP=1", "--dbname", database, "--file", "-"
        )
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=programs.surroundings(),
                preexec_fn=programs.tied,
                text=True,
                encoding="utf-8",
            )
            try:
                session = Session(process, errors, database)
                session.ask(PREPARE)
                yield session
            finally:
                process.kill()
                process.communicate()


class Session:
    """An open psql."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[bytes], database: str) -> None:
        self._process = process
        self._errors = errors
        self._database = database

    def ask(self, sql: str) -> list[str]:
        """
        Lines of the answer to some statements.

        Raises:
            Fault: PostgreSQL refuses, or the connection is gone.
        """
        assert self._process.stdin is not None  # noqa: S101 - both are pipes
        assert self._process.stdout is not None  # noqa: S101
        try:
            self._process.stdin.write(f"{sql}\n\\echo {MARK}\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended; why, it has said
        lines: list[str] = []
        for line in self._process.stdout:
            if line.rstrip("\n") == MARK:
                return lines
            lines.append(line.rstrip("\n"))
        self._process.wait()
        self._errors.seek(0)
        said = [line.strip() for line in self._errors.read().decode(errors="replace").splitlines()]
        words = "; ".join([line for line in said if line][-3:])
        raise Fault(f"database {self._database}: {words or 'the connection was closed without a word'}")


def in_container(container: str, user: str) -> Place:
    """
    PostgreSQL in a container, with the programs of its image.

    + container: id or name
    + user: role that the local socket lets in without a password
    """
    return Place(("docker", "exec", "--interactive", container), user, container=container)


def on_host(socket: str, user: str) -> Place:
    """
    PostgreSQL of the host, as the account of the role's name: Debian's ``peer``.

    + socket: folder of the socket, usually ``/var/run/postgresql``
    """
    return Place(("runuser", "--user", user, "--"), user, socket)


def version(place: Place, program: str) -> str:
    """The version of a program, for example ``17.4``."""
    done = programs.run([*place.prefix, program, "--version"])
    if done.code != 0:
        raise Fault(f"{program}: {done.reason}")
    return done.output.split(")")[-2].split("(")[0].split()[-1] if done.output else ""
