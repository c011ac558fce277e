"""Which SQL a command reads, and what of it runs."""

from __future__ import annotations

import os

import pytest

from standfast.host.guard.classification import classify


@pytest.mark.parametrize("line", ["psql --version", "psql -l", "psql -?", "sqlite3 --version"])
def test_what_only_prints_reads_no_pipe(line: str) -> None:
    reading, writing = os.pipe()
    try:
        assert classify(line.split(), cwd="/srv/nowhere", stdin=reading).harmless
        assert classify(["psql", "shop"], cwd="/srv/nowhere", stdin=reading).level == "unknown"
    finally:
        os.close(reading)
        os.close(writing)
