"""
Cases of operations: what a real server answered, and what must be planned then.

A case is a YAML file: the operation with its arguments, the raw output of each fact's command as a
server gave it (so the parser runs too), and either the changes or the refusal. `capture` writes them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pyinfra.context import ctx_host

from standfast.errors import Refused
from standfast.facts.answer import Fact
from standfast.inventory.schema import SshRule, User
from standfast.operations.change import Step
from standfast.rendering import plain

T = TypeVar("T")
PACKAGE = "standfast.operations."

# What a YAML value stands for, by the name of the argument.
MEANING: dict[str, Callable[[Any], Any]] = {
    "content": plain,
    "settings": plain,
    "ipv4": plain,
    "ipv6": plain,
    "ssh": SshRule.model_validate,
    "people": lambda people: {name: User.model_validate(user) for name, user in people.items()},
}


@dataclass
class Outcome:
    """What an operation did."""

    changes: list[str] = field(default_factory=list)
    """``action target``, and the detail after a bar."""
    commands: list[str] = field(default_factory=list)
    stdin: list[str] = field(default_factory=list)
    diffs: str = ""
    refused: str = ""


class RecordedHost:
    """Answers facts from a case file."""

    def __init__(self, facts: list[dict[str, Any]]) -> None:
        self.facts = facts

    def noop(self, _: str) -> None:
        """An operation has nothing to do."""

    def get_fact(self, fact: type[Fact[T]], **arguments: object) -> T:
        """The parsed answer of the first recorded fact that fits."""
        for each in self.facts:
            wanted: Mapping[str, Any] = each.get("arguments", {})
            if each["fact"] == fact_name(fact) and all(
                _plain(arguments[key]) == wanted[key] for key in wanted
            ):
                return fact().process(each["output"].splitlines())
        raise AssertionError(f"the case has no answer for {fact_name(fact)} {arguments}")


def _plain(value: object) -> object:
    """As YAML has it, which knows no tuples."""
    return list(value) if isinstance(value, tuple) else value


def fact_name(fact: type) -> str:
    """For example ``apt.Packages``."""
    return f"{fact.__module__.rsplit('.', 1)[-1]}.{fact.__name__}"


def load(path: Path) -> dict[str, Any]:
    """A case as it stands in its file."""
    case: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return case


def arguments_of(case: Mapping[str, Any]) -> dict[str, Any]:
    """The operation's arguments as the values that it wants."""
    return {name: MEANING.get(name, lambda v: v)(value) for name, value in case.get("arguments", {}).items()}


def run(case: Mapping[str, Any], host: object = None) -> Outcome:
    """
    What the operation does when the server answers as recorded.

    + host: who answers instead, for a new recording
    """
    module, name = case["operation"].split(".")
    operation = getattr(importlib.import_module(PACKAGE + module), name)
    outcome = Outcome()
    with ctx_host.use(host or RecordedHost(case.get("facts", []))):
        try:
            for step in operation._inner(**arguments_of(case)):
                assert isinstance(step, Step)
                outcome.commands.append(step.get_raw_value())
                outcome.stdin.append(str(step.connector_arguments.get("_stdin", "")))
                for change in step.changes:
                    detail = f" | {change.detail}" if change.detail else ""
                    outcome.diffs += f"{change.diff}\n"
                    outcome.changes.append(f"{change.action} {change.target}{detail}")
        except Refused as refusal:
            outcome.refused = str(refusal)
    return outcome
