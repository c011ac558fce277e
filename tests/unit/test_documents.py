"""What machines read: the page, the schema and the code are one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from standfast.documents import DOCUMENTS, reference
from standfast.engine.outcome import HostResult, Outcome
from standfast.engine.plan import HostPlan, Plan, PlannedOperation
from standfast.errors import StandfastError
from standfast.operations.change import Change, Step
from tests.documents import valid

ROOT = Path(__file__).parents[2]
CHANGE = Change("update", "/etc/x", "for a moment", "-a\n+b")
PLAN = Plan(
    "production",
    [
        HostPlan(
            "web-1", "203.0.113.1", 3, [PlannedOperation("base", "", (Step("true", changes=[CHANGE]),), "1")]
        ),
        HostPlan("web-2", "203.0.113.2", error=StandfastError("off")),
    ],
)


@pytest.mark.parametrize("name", reference.generated())
def test_the_page_and_the_schema_are_those_of_the_code(name: str) -> None:
    shown = (ROOT / name).read_text(encoding="utf-8")
    assert shown == reference.generated()[name], "run `python -m standfast.documents.reference`"


def test_every_field_is_described() -> None:
    parts: dict[str, Any] = reference.json_schema()["$defs"]
    bare = [
        f"{name}.{field}"
        for name, part in parts.items()
        for field, each in part["properties"].items()
        if not each.get("description")
    ]
    assert bare == []
    assert all(part["description"] for part in parts.values())
    assert {each.__name__ for each in DOCUMENTS} <= parts.keys()
    Draft202012Validator.check_schema(reference.json_schema())


def test_plans_and_outcomes_are_documents() -> None:
    assert valid(PLAN.as_json())["kind"] == "plan"
    hosts = [
        HostResult("a", done=[("base", CHANGE)], begun=True),
        HostResult("b", error=StandfastError("no")),
    ]
    assert valid(Outcome("lab", hosts, stopped="b failed").as_json())["kind"] == "apply"


def test_a_field_that_is_not_in_the_schema_is_found() -> None:
    with pytest.raises(AssertionError, match="more"):
        valid({**PLAN.as_json(), "more": 1})
