"""What is planned for roles and guards of a database, from what the database says."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest

from standfast.errors import CouldNotLook, InventoryError, Refused
from standfast.facts.answer import Answer
from standfast.facts.database_guard import DatabaseGuard, GuardState
from standfast.facts.database_roles import DatabaseRoles, RolesState
from standfast.inventory.schema import Database, Environment
from standfast.operations import database_guard, database_roles

TRIGGERS = {"standfast_guard_end": True, "standfast_guard_drop": True, "standfast_guard_start": True}
WHOLE = GuardState(True, 170006, "standfast 1", "production", TRIGGERS)


def planned(state: GuardState | None) -> str:
    change = database_guard._change("toy", state, "standfast 1", Environment.production)
    return f"{change.action} {change.detail}" if change else ""


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (None, "create it refuses DROP and TRUNCATE outside of a window; environment production"),
        (GuardState(), "create it refuses DROP"),
        (WHOLE, ""),
        (GuardState(silent="Connection refused"), "update made whole when the database runs (Connection"),
        (
            GuardState(
                True, 170006, "standfast 1", "production", {**TRIGGERS, "standfast_guard_drop": False}
            ),
            "update event trigger standfast_guard_drop is off",
        ),
        (GuardState(True, 170006, "standfast 1", "lab", TRIGGERS), "update environment lab → production"),
        (GuardState(True, 170006, "standfast 0", "production", TRIGGERS), "update another version"),
        (
            GuardState(True, 170006, "standfast 1", "production", TRIGGERS, ("a", "b", "c", "d")),
            "update not on a, b, c and 1 more tables",
        ),
    ],
)
def test_what_is_planned_for_a_guard(state: GuardState | None, said: str) -> None:
    found = planned(state)
    assert found == said if said == "" else found.startswith(said)


def test_what_cannot_be_guarded() -> None:
    database = Database.model_validate({"app": "toy", "user": "app"})
    with pytest.raises(Refused, match="expected a superuser"):
        database_guard._possible("toy", database, GuardState(superuser=False, server=170006))
    with pytest.raises(Refused, match="PostgreSQL 14 or newer, found 13"):
        database_guard._possible("toy", database, GuardState(server=130011))


def test_three_answers_never_mixed_up() -> None:
    for fact in (DatabaseGuard(), DatabaseRoles()):
        assert fact.parse(Answer(["absent"], 0, [])) is None
        silent = fact.parse(Answer(["silent psql: error: FATAL:  the database system is starting up"], 0, []))
        assert silent is not None
        assert "starting up" in silent.silent
        with pytest.raises(CouldNotLook):
            fact.parse(Answer(["NOTICE"], 0, []))
        with pytest.raises(CouldNotLook):
            fact.parse(Answer([], 1, ["Cannot connect to the Docker daemon"]))
    found = {"present": ["app"], "powerful": [], "owned": 2, "closed": 0}
    assert DatabaseRoles().parse(Answer([json.dumps(found)], 0, [])) == RolesState(("app",), (), 2, 0)


@pytest.mark.parametrize(
    ("state", "targets"),
    [
        (None, ["role migrate of database toy", "role app of database toy"]),
        (RolesState(("app", "migrate")), []),
        (RolesState(("app",), (), 3), ["role migrate of database toy", "owner of 3 tables of database toy"]),
        (RolesState(("app", "migrate"), (), 0, 2), ["rights on 2 tables of database toy"]),
        (RolesState(silent="it is down"), ["roles of database toy"]),
    ],
)
def test_what_is_planned_for_roles(state: RolesState | None, targets: list[str]) -> None:
    assert [each.target for each in database_roles._changes("toy", state, "migrate", "app")] == targets


def test_a_password_goes_as_a_verifier() -> None:
    """That PostgreSQL takes it, tests/server/test_database_guard.py shows by logging in."""
    made = database_roles.scram("app", "s3cr3t", "toy")
    assert made == database_roles.scram("app", "s3cr3t", "toy")
    assert made != database_roles.scram("app", "other", "toy")
    assert "s3cr3t" not in made
    kind, rounds, keys = made.split("$")
    assert (kind, rounds.split(":")[0]) == ("SCRAM-SHA-256", "4096")
    assert [len(b64decode(each)) for each in keys.split(":")] == [32, 32]
    with pytest.raises(InventoryError, match="ASCII"):
        database_roles.scram("app", "pässword", "toy")
