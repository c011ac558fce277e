"""
A server's life from nothing to nothing, in this order: what the container and the VM must both go through.

The tests build on each other, as a server's days do; run them with ``-x`` (script/test-vm does).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from standfast.lab import processes
from standfast.lab.drivers import Driver, Server
from tests.server.backed_up import declare_backups
from tests.server.conftest import Repository
from tests.server.toybox import ROOT, ask, build_images, counts, full_toybox, manage
from tests.vm import ledger

# Where a processor is emulated, on a machine that does other things too.
APPLY_SECONDS = 1800
HEALTHY_SECONDS = 600
CONFIRM_SECONDS = 60
POLL_SECONDS = 2  # to ask is work for an emulated processor


@pytest.fixture(scope="module")
def server(driver: Driver) -> Iterator[Server]:
    """A server as on its first day; whatever is left of it at the end goes."""
    yield driver.up("web-1", report=print)
    if "web-1" in driver.names():
        driver.destroy("web-1")


@pytest.fixture(scope="module")
def infra(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Repository:
    """The example with backups, declared for this server."""
    images = tmp_path_factory.mktemp("images")
    build_images(images)
    repository = Repository(tmp_path_factory.mktemp("infra"))
    full_toybox(repository, server, images)
    declare_backups(repository, "/var/backups/standfast")
    path = repository.root / "inventories/lab.yml"
    health = "health: http://127.0.0.1:8000/healthz"
    path.write_text(path.read_text().replace(health, f"{health}\n        start_timeout: {HEALTHY_SECONDS}"))
    return repository


@pytest.fixture(scope="module")
def planned(infra: Repository) -> dict[str, Any]:
    """The plan of a blank server."""
    return plan(infra)


def plan(infra: Repository, expect: int = 2) -> dict[str, Any]:
    """What apply would do, as data."""
    done = infra.standfast("plan", "lab", "--json", expect=expect, timeout=APPLY_SECONDS)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def apply(infra: Repository) -> dict[str, Any]:
    """Apply with verification, as data."""
    done = infra.standfast("apply", "lab", "--yes", "--json", expect=0, timeout=APPLY_SECONDS)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def verify(infra: Repository) -> None:
    """Make all assertions on the live server."""
    infra.standfast("verify", "lab", expect=0, timeout=APPLY_SECONDS)


def wait_until_healthy(server: Server) -> None:
    """Nobody helps: wait until the site answers from outside, and Docker has noticed that it does."""
    deadline = time.monotonic() + HEALTHY_SECONDS
    while (answer := ask(server)).returncode != 0 or not all_healthy(server):
        assert time.monotonic() < deadline, answer.stderr
        time.sleep(POLL_SECONDS)


def all_healthy(server: Server) -> bool:
    """Whether Docker's own checks of both services have passed."""
    return server.run("sudo docker ps --format '{{.Status}}'").stdout.count("(healthy)") == 2


def killed_on_trial(infra: Repository) -> None:
    """Apply a change of the firewall; the controller is gone before it has confirmed it."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.server.careless_controller", "the firewall", "kill", ""),
            *("apply", "lab", "--yes", "--no-verify", "--only", "firewall"),
        ],
        cwd=infra.root,
        env={**os.environ, "XDG_STATE_HOME": str(infra.root / ".state"), "PYTHONPATH": str(ROOT)},
        timeout=APPLY_SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


def rules(server: Server) -> list[str]:
    """All rules of both families, whoever made them, seen by a new connection."""
    found = server.run("sudo iptables-save; sudo ip6tables-save").stdout.splitlines()
    return [line for line in found if line.startswith("-")]


def boot_id(server: Server) -> str:
    """Another one after each boot."""
    return server.run("cat /proc/sys/kernel/random/boot_id").stdout


@pytest.mark.kernel
def test_the_plan_of_a_blank_server_changes_nothing(infra: Repository, planned: dict[str, Any]) -> None:
    assert len(planned["hosts"][0]["changes"]) > 25
    assert plan(infra)["hosts"][0]["changes"] == planned["hosts"][0]["changes"]


@pytest.mark.kernel
def test_apply_does_what_the_plan_listed(infra: Repository, planned: dict[str, Any]) -> None:
    done = apply(infra)
    assert done["hosts"][0]["done"] == planned["hosts"][0]["changes"]
    assert [check for check in done["verification"]["checks"] if check["outcome"] == "failed"] == []


@pytest.mark.kernel
def test_a_second_apply_changes_nothing(infra: Repository) -> None:
    assert apply(infra)["hosts"][0]["done"] == []


@pytest.mark.kernel
def test_the_site_answers_from_outside(server: Server) -> None:
    manage(server, "fill --users 20")
    assert json.loads(ask(server).stdout)
    assert "og:title" in ask(server, "/posts/1/").stdout


def test_a_snapshot_brings_lost_rows_back(infra: Repository, driver: Driver, server: Server) -> None:
    before = counts(server)
    driver.snapshot(server.name, "filled")
    wait_until_healthy(server)
    manage(server, "flush --no-input")
    assert counts(server) != before
    driver.restore(server.name, "filled")
    wait_until_healthy(server)
    assert counts(server) == before


def test_everything_is_back_after_a_reboot(infra: Repository, driver: Driver, server: Server) -> None:
    before, boot = counts(server), boot_id(server)
    driver.reboot(server.name)
    assert boot_id(server) != boot
    wait_until_healthy(server)
    assert counts(server) == before
    verify(infra)


@pytest.mark.kernel
def test_a_power_cut_loses_no_row_that_was_promised(
    infra: Repository, driver: Driver, server: Server
) -> None:
    ledger.make(server)
    with ledger.writer(server) as writer:
        writer.wait_for(30)
        driver.power_cut(server.name)
        promised = writer.promised()
    driver.power_on(server.name)
    wait_until_healthy(server)
    found = ledger.rows(server)
    print(f"{len(promised)} rows were promised, {len(found)} are there")
    assert promised <= found
    verify(infra)


def test_a_change_of_the_firewall_that_nobody_confirms_is_undone(infra: Repository, server: Server) -> None:
    path = infra.root / "inventories/lab.yml"
    declared = path.read_text()
    inventory = yaml.safe_load(declared)
    firewall = inventory["hosts"][server.name]["firewall"]
    firewall["confirm_seconds"] = CONFIRM_SECONDS
    firewall["allow"].append({"port": 9999})
    path.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    before = rules(server)
    killed_on_trial(infra)
    assert any("9999" in line for line in rules(server)), "the change was never in force"
    deadline = time.monotonic() + CONFIRM_SECONDS * 2
    while rules(server) != before:
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)
    path.write_text(declared, encoding="utf-8")
    assert plan(infra, expect=0)["hosts"][0]["changes"] == []
    assert ask(server).returncode == 0


def test_what_is_deleted_comes_back_from_the_backup(infra: Repository, server: Server) -> None:
    before = counts(server)
    infra.standfast("backup", "lab", expect=0, timeout=APPLY_SECONDS)
    server.run(
        "sudo docker compose -p toybox down && sudo docker volume rm toybox_pgdata toybox_media",
        timeout=HEALTHY_SECONDS,
    )
    infra.standfast("apply", "lab", "--yes", "--no-verify", expect=0, timeout=APPLY_SECONDS)
    assert counts(server) != before, "nothing was deleted"
    infra.standfast("restore", "lab", "--all", "--yes", expect=0, timeout=APPLY_SECONDS)
    assert counts(server) == before
    verify(infra)


def test_nothing_has_to_be_changed_after_all_that(infra: Repository) -> None:
    assert plan(infra, expect=0)["hosts"][0]["changes"] == []


@pytest.mark.kernel
def test_nothing_is_left_behind(driver: Driver, server: Server) -> None:
    folder: Path = server.folder
    driver.destroy(server.name)
    assert not folder.exists()
    assert processes.of(folder) == set()
    assert server.name not in driver.names()
