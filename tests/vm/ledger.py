"""A database that is written to without pause, by somebody who knows which rows were promised."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from standfast.lab.drivers import Server

PSQL = (
    "sudo docker compose -p toybox exec -T db sh -c "
    "'exec psql -qAtX -v ON_ERROR_STOP=1 -U $POSTGRES_USER -d $POSTGRES_DB'"
)
SECONDS = 300


class Writer:
    """
    Inserts rows, each in a transaction of its own.

    psql prints a row's number when the database has confirmed its commit, not before.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._promised: list[int] = []
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._ask, self._listen)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, rows: int) -> None:
        """Wait until so many rows are promised."""
        deadline = time.monotonic() + SECONDS
        while len(self._promised) < rows:
            assert self._process.poll() is None, f"the writer has ended after {len(self._promised)} rows"
            assert time.monotonic() < deadline, f"only {len(self._promised)} rows in {SECONDS} s"
            time.sleep(0.05)

    def promised(self) -> set[int]:
        """End it; the numbers of all rows whose commit was confirmed."""
        self._process.kill()
        for thread in self._threads:
            thread.join(30)
        return set(self._promised)

    def _ask(self) -> None:
        assert self._process.stdin
        with suppress(OSError):  # the server is gone: that is the test
            while True:
                self._process.stdin.write(b"insert into ledger default values returning id;\n")

    def _listen(self) -> None:
        assert self._process.stdout
        # A line without its end was cut off on its way.
        for line in self._process.stdout:
            if line.endswith(b"\n"):
                self._promised.append(int(line))


def make(server: Server) -> None:
    """Make the table."""
    server.run(PSQL, input="create table if not exists ledger (id bigserial primary key);\n")


def rows(server: Server) -> set[int]:
    """The rows that are there."""
    return {int(line) for line in server.run(PSQL, input="select id from ledger;\n").stdout.split()}


@contextmanager
def writer(server: Server) -> Iterator[Writer]:
    """Write until the end of the block, or until the server is gone."""
    argv = ["ssh", "-F", str(server.ssh_config), "-o", "BatchMode=yes", server.name, "--", PSQL]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    try:
        yield Writer(process)
    finally:
        process.kill()
        process.wait()
