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


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("COPY t (a) FROM stdin;\n1\n\\.\n\nTRUNCATE users CASCADE;", "destructive"),
        ("COPY t FROM STDIN WITH (FORMAT csv);\nit's\n\\.\nTRUNCATE users;", "destructive"),
        ("COPY t FROM stdin; TRUNCATE users;\n1\n\\.\n", "destructive"),
        ("COPY t FROM stdin;\nx; TRUNCATE users;\n\\.\nSELECT 1;", "harmless"),
    ],
)
def test_the_rows_of_a_copy_are_no_statements_and_hide_none(text: str, level: str) -> None:
    assert classify(["sh", "-c", f"psql shop <<'END'\n{text}\nEND\n"], cwd="/srv/nowhere").level == level


@pytest.mark.parametrize("password", ["-psecret", "-proot", "-p", "-ptoph"])
def test_a_password_of_mysql_is_no_cluster_of_options(password: str) -> None:
    """`-psecret` looks like -p, -s and -e with the statement `cret`."""
    line = f"mysql -uroot {password} shop <<'END'\nDROP TABLE users;\nEND\n"
    assert classify(["sh", "-c", line], cwd="/srv/nowhere").level == "destructive"
