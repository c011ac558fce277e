"""Plan and apply on a real server, with small deploys of the user's own in place of ours."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import deploys
from standfast.lab.nspawn import Server
from tests.server.conftest import STANDFAST, Repository

DEPLOY = """
from pyinfra.api.deploy import deploy as subject
from standfast.operations import files
from standfast.rendering import Rendered
from pyinfra.operations import server

@subject("trial")
def deploy():
{body}
"""


def only_this_deploy(repository: Repository, server: Server, body: str, inventory: str = "") -> None:
    """Replace every deploy of ours by nothing, and add one of the user's own."""
    for name in deploys.ORDER:
        repository.write(f"deploys/{name}.py", "def deploy():\n    pass\n")
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    repository.write("deploys/trial.py", DEPLOY.format(body=lines))
    host = f"  {server.name}: {{address: {server.name}, ssh: {{config: {server.ssh_config}}}}}\n"
    repository.write("inventories/lab.yml", f"environment: lab\nhosts:\n{host}{inventory}")


@pytest.fixture(autouse=True)
def clean(server: Server) -> None:
    server.run("sudo rm -rf /etc/trial; sudo mkdir /etc/trial")


def remote(server: Server, command: str) -> str:
    """Output of a command, as root."""
    return server.run(f"sudo sh -c {shlex.quote(command)}").stdout


def test_first_apply_changes_what_the_plan_said_and_the_second_nothing(
    repository: Repository, server: Server
) -> None:
    only_this_deploy(
        repository,
        server,
        'files.directory("/etc/trial/data", mode="750")\n'
        'files.file("/etc/trial/deep/down/one.conf", "a = 1\\nb = 2\\n", mode="640", group="adm")\n'
        'files.file("/etc/trial/it\'s $(odd) name", "x\\n")',
    )
    planned = repository.plan()["hosts"][0]["changes"]
    assert [change["target"] for change in planned] == [
        "/etc/trial/data/",
        "/etc/trial/deep/down/one.conf",
        "/etc/trial/it's $(odd) name",
    ]
    assert "+a = 1" in planned[1]["diff"]
    assert remote(server, "ls -A /etc/trial") == "", "a plan writes nothing"

    done = json.loads(repository.standfast("apply", "lab", "--yes", "--json", "--no-verify", expect=0).stdout)
    assert done["hosts"][0]["done"] == planned
    assert remote(server, "cat /etc/trial/deep/down/one.conf") == "a = 1\nb = 2\n"
    assert remote(
        server, "stat -c '%U:%G %a' /etc/trial/deep/down/one.conf /etc/trial/data /etc/trial/deep"
    ).split("\n")[:3] == ["root:adm 640", "root:root 750", "root:root 755"]
    repository.standfast("plan", "lab", expect=0)
    again = json.loads(repository.standfast("apply", "lab", "--yes", "--json", expect=0).stdout)
    assert again["hosts"][0]["done"] == []


def test_an_edit_by_hand_is_shown_with_its_diff_and_repaired(repository: Repository, server: Server) -> None:
    only_this_deploy(repository, server, 'files.file("/etc/trial/one.conf", "port = 80\\n")')
    repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    remote(server, "echo 'port = 81' > /etc/trial/one.conf; chmod 666 /etc/trial/one.conf")
    shown = repository.standfast("plan", "lab", expect=2).stdout
    assert "-port = 81" in shown
    assert "+port = 80" in shown
    assert "666 → root:root 644" in shown
    repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    assert remote(server, "cat /etc/trial/one.conf") == "port = 80\n"


LIARS = """
from pyinfra import host
from standfast.facts.files import File
from standfast.operations.change import Change, Step
from standfast.operations.named import operation

@operation
def nothing(path):
    if host.get_fact(File, path=path) is None:
        yield Step("true", changes=[Change("create", path)])

@operation
def more(path, other):
    if host.get_fact(File, path=path) is None:
        yield Step(f"touch {path}; rm {other}", changes=[Change("create", path)])

@operation
def silent(path, folder):
    if host.get_fact(File, path=path) is None:
        yield Step(f"touch {path}; rm {folder}; mkdir {folder}", changes=[Change("create", path)])
"""


def test_an_operation_that_does_less_than_it_says_is_reported(repository: Repository, server: Server) -> None:
    only_this_deploy(repository, server, f'{LIARS}\nnothing("/etc/trial/none")')
    failed = repository.standfast("apply", "lab", "--yes", "--no-verify", expect=1)
    assert "everything was done, and yet a second plan is not empty" in failed.stderr
    assert (
        "    trial: trial.nothing /etc/trial/none: create /etc/trial/none\n"
        "      this apply said that it does this, and it is not so\n"
    ) in failed.stderr
    assert "look at your own deploys/trial.py" in failed.stderr
    assert "report it with this message and with what `standfast plan lab --json`" in failed.stderr
    record = json.loads(repository.standfast("audit", "lab", "--json").stdout)["records"][-1]
    assert (record["outcome"], record["exit"]) == ("not converged", 1)
    assert "trial.nothing /etc/trial/none" in record["reason"]


def test_an_operation_that_does_more_than_it_says_is_reported(repository: Repository, server: Server) -> None:
    remote(server, "echo 1 > /etc/trial/one")
    body = f'{LIARS}\nfiles.file("/etc/trial/one", "1\\n")\nmore("/etc/trial/two", "/etc/trial/one")'
    only_this_deploy(repository, server, body)
    assert repository.targets() == ["/etc/trial/two"]
    failed = repository.standfast("apply", "lab", "--yes", "--no-verify", expect=1)
    assert (
        "    trial: files.file /etc/trial/one: create /etc/trial/one root:root 644\n"
        "      it was as declared before this apply, which did not say that it touches it\n"
    ) in failed.stderr


def test_what_cannot_be_compared_afterwards_is_not_called_unchanged(
    repository: Repository, server: Server
) -> None:
    remote(server, "echo 1 > /etc/trial/one")
    body = f'{LIARS}\nfiles.file("/etc/trial/one", "1\\n")\nsilent("/etc/trial/two", "/etc/trial/one")'
    only_this_deploy(repository, server, body)
    failed = repository.standfast("apply", "lab", "--yes", "--no-verify", expect=1)
    assert "all 1 changes were made. Whether they hold is not known" in failed.stderr
    assert "expected a file or nothing, found a directory" in failed.stderr


def test_secrets_reach_the_file_and_nothing_else(repository: Repository, server: Server) -> None:
    only_this_deploy(
        repository,
        server,
        'files.file("/etc/trial/env", Rendered("KEY=s3cr3t value\\nPLAIN=1\\n", "KEY=‹key›\\nPLAIN=1\\n"), mode="600")',
    )
    remote(server, "echo 'KEY=0ld-secret' > /etc/trial/env")
    outputs = [
        repository.standfast("plan", "lab", expect=2),
        repository.standfast("plan", "lab", "--json", expect=2),
        repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0),
    ]
    assert remote(server, "cat /etc/trial/env") == "KEY=s3cr3t value\nPLAIN=1\n"
    for done in outputs:
        assert "s3cr3t" not in done.stdout + done.stderr
        assert "0ld-secret" not in done.stdout + done.stderr


def test_a_failed_operation_says_what_was_done_and_the_next_apply_goes_on(
    repository: Repository, server: Server
) -> None:
    only_this_deploy(
        repository,
        server,
        'files.file("/etc/trial/one", "1\\n")\n'
        'files.file("/etc/trial/two", "2\\n", validate="echo not good enough >&2; exit 1")\n'
        'files.file("/etc/trial/three", "3\\n")',
    )
    failed = repository.standfast("apply", "lab", "--yes", expect=1)
    assert "could not create /etc/trial/two" in failed.stderr
    assert "not good enough" in failed.stderr
    assert "Changed before that: /etc/trial/one. Not done: 2 of 3 changes." in failed.stderr
    assert "Traceback" not in failed.stderr
    assert remote(server, "ls -A /etc/trial") == "one\n"
    only_this_deploy(
        repository, server, 'files.file("/etc/trial/one", "1\\n")\nfiles.file("/etc/trial/two", "2\\n")'
    )
    assert repository.targets() == ["/etc/trial/two"]


def test_a_reload_that_fails_leaves_the_old_file(repository: Repository, server: Server) -> None:
    remote(server, "echo old > /etc/trial/service.conf; chmod 640 /etc/trial/service.conf")
    only_this_deploy(
        repository,
        server,
        "from standfast.operations.change import Change\n"
        'reload = files.Activation(Change("reload", "trial.service"), "grep -q old /etc/trial/service.conf")\n'
        'files.file("/etc/trial/service.conf", "new\\n", activate=reload)',
    )
    failed = repository.standfast("apply", "lab", "--yes", expect=1)
    assert "the file is as it was before" in failed.stderr
    assert remote(server, "cat /etc/trial/service.conf; ls -A /etc/trial") == "old\nservice.conf\n"
    assert remote(server, "stat -c %a /etc/trial/service.conf") == "640\n"


def test_full_disk_leaves_the_old_file_whole(repository: Repository, server: Server) -> None:
    remote(server, "mount -t tmpfs -o size=64k none /etc/trial && echo old > /etc/trial/big")
    try:
        only_this_deploy(
            repository,
            server,
            'import random\nfiles.file("/etc/trial/big", random.Random(1).randbytes(99_999).hex())',
        )
        failed = repository.standfast("apply", "lab", "--yes", expect=1)
        assert "No space left on device" in failed.stderr
        assert remote(server, "cat /etc/trial/big; ls -A /etc/trial") == "old\nbig\n"
    finally:
        remote(server, "umount /etc/trial")


def test_a_stock_operation_of_pyinfra_is_shown_and_run(repository: Repository, server: Server) -> None:
    only_this_deploy(
        repository,
        server,
        'from pyinfra.operations import files as stock\nstock.line("/etc/trial/lines", "hello = world")',
    )
    remote(server, "touch /etc/trial/lines")
    assert repository.plan()["hosts"][0]["changes"][0]["action"] == "run"
    repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)
    assert "hello = world" in remote(server, "cat /etc/trial/lines")


def test_a_bug_in_a_deploy_keeps_its_traceback(repository: Repository, server: Server) -> None:
    only_this_deploy(repository, server, "raise ZeroDivisionError('surprise')")
    failed = repository.standfast("plan", "lab", expect=1)
    assert "ZeroDivisionError: surprise" in failed.stderr
    assert "Traceback" in failed.stderr


def test_one_server_off_the_other_is_done(repository: Repository, server: Server) -> None:
    only_this_deploy(
        repository,
        server,
        'files.file("/etc/trial/one", "1\\n")',
        "  gone: {address: 127.0.0.1, ssh: {port: 9, user: nobody}}\n",
    )
    done = repository.standfast("apply", "lab", "--yes", "--no-verify", expect=1)
    assert "gone (127.0.0.1): no SSH connection" in done.stderr
    assert "Nothing was changed there" in done.stderr
    assert remote(server, "cat /etc/trial/one") == "1\n"
    limited = repository.standfast("plan", "lab", "--limit", server.name, expect=0)
    assert "gone" not in limited.stderr


def test_a_changed_host_key_is_refused(repository: Repository, server: Server, tmp_path: Path) -> None:
    only_this_deploy(repository, server, "pass")
    key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text().split()
    known = repository.write("known_hosts", f"{server.address} {public[0]} {public[1]}\n")
    config = server.ssh_config.read_text()
    inventory = (repository.root / "inventories/lab.yml").read_text()
    assert server.name in config
    repository.write(
        "inventories/lab.yml",
        inventory.replace("ssh: {config", f"ssh: {{known_hosts: {known}, config"),
    )
    refused = repository.standfast("plan", "lab", expect=1)
    assert "its host key is not the one in known_hosts" in refused.stderr
    known.write_text("")
    unknown = repository.standfast("plan", "lab", expect=1)
    assert "its host key is not known yet" in unknown.stderr
    assert known.read_text() == "", "a key is never recorded silently"


def test_an_account_without_sudo_is_told_what_to_do(repository: Repository, server: Server) -> None:
    only_this_deploy(repository, server, "pass")
    remote(
        server,
        "id guest 2>/dev/null || useradd -m guest; mkdir -p ~guest/.ssh; "
        "cp ~ops/.ssh/authorized_keys ~guest/.ssh/; chown -R guest ~guest/.ssh",
    )
    inventory = (repository.root / "inventories/lab.yml").read_text()
    repository.write("inventories/lab.yml", inventory.replace("ssh: {", "ssh: {user: guest, "))
    refused = repository.standfast("plan", "lab", expect=1)
    remote(server, "userdel -rf guest")
    assert "may not use sudo without a password" in refused.stderr
    assert "Nothing was changed" in refused.stderr


def test_ctrl_c_ends_the_running_operation_and_then_stops(repository: Repository, server: Server) -> None:
    only_this_deploy(
        repository,
        server,
        'files.file("/etc/trial/slow", "1\\n", validate="touch /etc/trial/started; sleep 3")\n'
        'files.file("/etc/trial/after", "2\\n")',
    )
    process = subprocess.Popen(
        [*STANDFAST, "apply", "lab", "--yes"],
        cwd=repository.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 30
    while "started" not in remote(server, "ls /etc/trial") and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "1 changes are left" in errors
    assert remote(server, "cat /etc/trial/slow") == "1\n", "the running operation was finished"
    assert "after" not in remote(server, "ls /etc/trial")
    repository.standfast("apply", "lab", "--yes", "--no-verify", expect=0)


def test_apply_without_a_terminal_wants_yes(repository: Repository, server: Server) -> None:
    only_this_deploy(repository, server, 'files.file("/etc/trial/one", "1\\n")')
    assert "--yes" in repository.standfast("apply", "lab", expect=3).stderr
    assert remote(server, "ls /etc/trial") == ""


def test_stock_pyinfra_runs_the_same_deploys(repository: Repository, server: Server) -> None:
    only_this_deploy(
        repository,
        server,
        'files.file("/etc/trial/one", Rendered("KEY=s3cr3t\\n", "KEY=‹key›\\n"), mode="600")',
    )
    pyinfra = str(Path(sys.executable).with_name("pyinfra"))

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [pyinfra, *arguments],
            cwd=repository.root,
            env={**os.environ, "PYINFRA_PROGRESS": "off"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "s3cr3t" not in done.stdout + done.stderr
        return done.stderr

    assert "1 (test-shared)" in run("@standfast/lab", "deploys.site", "--dry")
    assert remote(server, "ls /etc/trial") == ""
    run("@standfast/inventories/lab.yml", "deploys.site", "-y", "--debug")
    assert remote(server, "cat /etc/trial/one") == "KEY=s3cr3t\n"
    repository.standfast("plan", "lab", expect=0)
