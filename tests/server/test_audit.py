"""The audit log on real servers: what it holds, and that no record can be touched unnoticed."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from standfast.engine.shell import shell
from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.test_engine import only_this_deploy, remote
from tests.server.test_lock import OWNER

LOG = "/var/log/standfast/audit.jsonl"


@pytest.fixture
def history(repository: Repository, spare_server: Server) -> Repository:
    """Five applies, each with one change, on a server whose log begins with them."""
    remote(
        spare_server,
        f"rm -rf /etc/trial; mkdir /etc/trial; chattr -a {LOG} 2>/dev/null; "
        "rm -rf /var/log/standfast /var/lib/standfast/audit.head",
    )
    for number in range(1, 6):
        only_this_deploy(repository, spare_server, f'files.file("/etc/trial/one", "{number}\\n")')
        repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    assert "5 records, 5 of them copied here: none altered" in verified(repository)
    return repository


def verified(repository: Repository, expect: int = 0, state: str = ".state") -> str:
    """What the proof says."""
    env = {"XDG_STATE_HOME": str(repository.root / state)}
    return repository.standfast("audit", "lab", "--verify", expect=expect, env=env).stdout


def records(repository: Repository, *arguments: str, state: str = ".state") -> list[dict[str, Any]]:
    """The timeline as data."""
    env = {"XDG_STATE_HOME": str(repository.root / state)}
    done = repository.standfast("audit", "lab", "--json", *arguments, env=env)
    found: list[dict[str, Any]] = json.loads(done.stdout)["records"]
    return found


def test_a_record_says_who_what_and_from_which_state(repository: Repository, spare_server: Server) -> None:
    remote(spare_server, "rm -rf /etc/trial; mkdir /etc/trial")
    only_this_deploy(repository, spare_server, 'files.file("/etc/trial/one", "1\\n")')
    for command in (
        "init -q",
        "add .",
        "-c user.name=x -c user.email=x@example.com commit -qm x",
    ):
        subprocess.run(["git", "-C", str(repository.root), *command.split()], check=True)
    commit = subprocess.run(
        ["git", "-C", str(repository.root), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    repository.write(".gitignore", ".state\n")
    plan = repository.standfast("plan", "lab", expect=2)
    assert "could not be recorded" not in plan.stderr
    repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    planned, applied, idle = records(repository, "--since", "1h")[-3:]
    for record in (planned, applied, idle):
        assert record["who"] == OWNER
        assert (record["revision"], record["dirty"]) == (commit, True)
        assert record["environment"] == "lab"
        assert record["host"] == "test-spare"
        assert re.fullmatch(r"[0-9a-f]{64}", record["inventory"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["time"])
        assert record["seconds"] >= 0
    assert (planned["action"], planned["outcome"], planned["exit"]) == ("plan", "changes", 2)
    assert planned["planned"] == applied["changed"] == ["trial: create /etc/trial/one"]
    assert planned["plan"] == applied["plan"]
    assert planned["only_here"] is True, "a plan writes nothing on servers"
    assert (applied["action"], applied["outcome"], applied["exit"]) == ("apply", "done", 0)
    assert applied["from"] == spare_server.address.rpartition(".")[0] + ".1"
    assert applied["account"] == "ops"
    assert "only_here" not in applied
    assert (idle["outcome"], idle["changed"], idle["not_done"]) == ("no changes", [], [])


def test_failures_and_refusals_are_records_too(repository: Repository, spare_server: Server) -> None:
    remote(spare_server, "rm -rf /etc/trial; mkdir -p /etc/trial/folder")
    only_this_deploy(
        repository,
        spare_server,
        'files.file("/etc/trial/one", "1\\n")\n'
        'files.file("/etc/trial/two", "2\\n", validate="echo pa55word >&2; exit 1")',
        "  gone: {address: 127.0.0.1, ssh: {port: 9, user: nobody}}\n",
    )
    repository.standfast("apply", "lab", "--yes", "--no-verify", expect=1)
    only_this_deploy(repository, spare_server, 'files.file("/etc/trial/folder", "1\\n")')
    repository.standfast("apply", "lab", "--yes", expect=6)
    found = records(repository)
    failed = next(each for each in reversed(found) if each["outcome"] == "failed")
    assert failed["changed"] == ["trial: create /etc/trial/one"]
    assert failed["not_done"] == ["trial: create /etc/trial/two"]
    assert failed["exit"] == 1
    assert "pa55word" not in json.dumps(found), "what a command says may hold secrets"
    refused = found[-1]
    assert (refused["outcome"], refused["exit"]) == ("refused", 6)
    assert refused["reason"].startswith("/etc/trial/folder: expected a file or nothing, found a directory")
    text = repository.standfast("audit", "lab").stdout
    assert "test-spare  apply: failed" in text
    assert "not done: trial: create /etc/trial/two" in text


def test_a_server_that_was_off_is_a_record_here(repository: Repository, spare_server: Server) -> None:
    only_this_deploy(
        repository, spare_server, "pass", "  gone: {address: 127.0.0.1, ssh: {port: 9, user: nobody}}\n"
    )
    repository.standfast("apply", "lab", "--yes", expect=1)
    done = repository.standfast("audit", "lab", "--json", expect=1)
    assert "gone (127.0.0.1): no SSH connection" in done.stderr
    gone = [each for each in json.loads(done.stdout)["records"] if each["host"] == "gone"]
    assert [(each["outcome"], each["exit"], each["only_here"]) for each in gone] == [("unreachable", 1, True)]
    assert "✗" in repository.standfast("audit", "lab", "--verify", expect=1).stderr, "unread is not whole"


@pytest.mark.parametrize("number", [1, 3, 4])
def test_an_altered_record_is_found(history: Repository, spare_server: Server, number: int) -> None:
    remote(spare_server, f'sed -i \'{number}s/"who":"[^"]*"/"who":"nobody"/\' {LOG}')
    for state in (".state", ".another-machine"):
        assert f"✗ record {number} was altered" in verified(history, 1, state)
    assert f'The copy here: {{"n":{number},' in verified(history, 1)
    assert OWNER in verified(history, 1)


@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_removed_record_is_found(history: Repository, spare_server: Server, number: int) -> None:
    remote(spare_server, f"sed -i {number}d {LOG}")
    for state in (".state", ".another-machine"):
        assert f"✗ record {number} was removed" in verified(history, 1, state)


def test_an_inserted_record_is_found(history: Repository, spare_server: Server) -> None:
    lines = remote(spare_server, f"cat {LOG}").splitlines()
    forged = json.dumps(json.loads(lines[2]) | {"who": "nobody"})
    remote(spare_server, f"sed -i '3i\\\\{forged}' {LOG}")
    assert len(remote(spare_server, f"cat {LOG}").splitlines()) == 6
    for state in (".state", ".another-machine"):
        assert "✗ line 3 was inserted before record 3" in verified(history, 1, state)


def test_a_cut_end_is_found_by_the_servers_count_or_by_the_copies_here(
    history: Repository, spare_server: Server
) -> None:
    remote(spare_server, f"sed -i 4,5d {LOG}")
    for state in (".state", ".another-machine"):
        assert "✗ records 4 to 5 were removed from the end" in verified(history, 1, state)
    digest = remote(spare_server, f"tail -n 1 {LOG} | tr -d '\\n' | sha256sum").split()[0]
    remote(spare_server, f"echo '3 {digest}' > /var/lib/standfast/audit.head")
    assert "✗ records 4 to 5 were removed from the end" in verified(history, 1)
    assert "3 records: none altered" in verified(history, 0, ".another-machine"), "only copies can know"


def test_a_log_that_was_begun_anew_is_found_by_the_copies_here(
    history: Repository, spare_server: Server
) -> None:
    remote(spare_server, f"rm {LOG} /var/lib/standfast/audit.head")
    assert "✗ records 1 to 5 were removed from the end" in verified(history, 1)
    history.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    assert "✗" in verified(history, 1)


def test_an_alteration_of_the_log_here_is_found(history: Repository) -> None:
    log = history.root / ".state/standfast/audit" / history.root.name / "lab.jsonl"
    log.write_text(log.read_text().replace("create /etc/trial/one", "create /etc/trial/two"))
    assert "✗ this machine  5 records: not whole" in verified(history, 1)


def test_a_server_installed_anew_is_no_alteration(history: Repository, spare_server: Server) -> None:
    remote(spare_server, f"rm {LOG} /var/lib/standfast/audit.head; cp /etc/machine-id /etc/machine-id.old")
    try:
        remote(spare_server, "head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n' > /etc/machine-id")
        history.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
        said = verified(history, 0)
        assert "1 records, 1 of them copied here: none altered" in said
        assert "5 records of an earlier machine of this name are only here" in said
    finally:
        remote(spare_server, "mv /etc/machine-id.old /etc/machine-id")


def test_another_controller_sees_the_same_records(history: Repository) -> None:
    assert len(records(history)) == len(records(history, state=".another-machine")) == 5
    assert records(history, "--since", "2099-01-01") == []
    assert "--since: expected 30m" in history.standfast("audit", "lab", "--since", "soon", expect=3).stderr


def test_two_runs_that_end_together_are_both_in_the_chain(history: Repository, spare_server: Server) -> None:
    """A refused run writes its record while the other one holds the lock."""
    script = f"{shell('audit')}\nclient=10.0.0.1; for n in 1 2 3 4 5; do audit_append '{{\"n_\":'$n'}}' >/dev/null; done"
    many = "\n".join(f"( {script}\n) &" for _ in range(6))
    spare_server.run("sudo bash", input=f"{many}\nwait\n")
    assert "35 records, 5 of them copied here: none altered" in verified(history)
