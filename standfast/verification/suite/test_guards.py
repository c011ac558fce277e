"""Guards: in force, or switched off by somebody on purpose; never silently gone."""

from __future__ import annotations

import pytest
from testinfra.host import Host as LiveHost

from standfast.inventory.schema import Environment, Host


def test_the_guard_of_docker_is_in_force(host: LiveHost, declared: Host, environment: Environment) -> None:
    wanted = environment.precious if declared.guards.docker is None else declared.guards.docker
    if declared.docker is None or not wanted:
        pytest.skip("not declared")
    status = host.check_output("standfast-host guard status")
    assert status.startswith(("Docker: in force", "Docker: off: /etc/standfast/guards-off"))


def test_protected_databases_are_guarded(host: LiveHost, declared: Host) -> None:
    protected = [name for name, database in declared.databases.items() if database.protect]
    if not protected:
        pytest.skip("no database is protected")
    status = host.check_output("standfast-host guard status")
    assert [name for name in protected if f"database {name}: in force" not in status] == []
