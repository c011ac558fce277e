"""Guards: in force, or switched off by somebody on purpose; never silently gone."""

from __future__ import annotations

import pytest

from standfast.inventory.schema import Environment, Host
from standfast.verification.seen import Seen


def test_the_guard_of_docker_is_in_force(seen: Seen, declared: Host, environment: Environment) -> None:
    wanted = environment.precious if declared.guards.docker is None else declared.guards.docker
    if declared.docker is None or not wanted:
        pytest.skip("not declared")
    assert seen.text("guards").startswith(("Docker: in force", "Docker: off: /etc/standfast/guards-off"))


def test_protected_databases_are_guarded(seen: Seen, declared: Host) -> None:
    protected = [name for name, database in declared.databases.items() if database.protect]
    if not protected:
        pytest.skip("no database is protected")
    status = seen.text("guards")
    assert [name for name in protected if f"database {name}: in force" not in status] == []
