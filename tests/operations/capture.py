"""
Write a case from a real server: ``python -m tests.operations.capture INVENTORY < case.yml > new.yml``

The input has `operation` and `arguments`; the output has the server's answers and what the operation
did with them. Read it before it is committed: a case says what must be, not what happens to be.
"""

from standfast import engine  # noqa: F401 - gevent comes first

# isort: split

import sys
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pyinfra.api import Host

from standfast.engine.declarations import declarations
from standfast.engine.servers import connected
from standfast.facts.answer import Fact
from standfast.inventory.loader import load
from tests.operations import cases

T = TypeVar("T")


class RecordingHost:
    """Asks a real host and remembers the answers."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.facts: list[dict[str, Any]] = []

    def noop(self, _: str) -> None:
        """An operation has nothing to do."""

    def get_fact(self, fact: type[Fact[T]], **arguments: object) -> T:
        """Ask, and remember."""
        _, output = self.host.run_shell_command(fact().command(**arguments), _sudo=True)
        short = {key: value for key, value in arguments.items() if len(str(value)) < 60}
        lines = "".join(f"{line}\n" for line in output.stdout_lines)
        self.facts.append({"fact": cases.fact_name(fact), "arguments": short, "output": lines})
        return fact().process(output.stdout_lines)


def main() -> None:
    """Read a case, complete it, write it."""
    case = yaml.safe_load(sys.stdin)
    loaded = load(Path(sys.argv[1]))
    with connected(loaded, declarations(loaded)) as servers:
        recording = RecordingHost(servers.connected()[0])
        outcome = cases.run(case, recording)
    case["facts"] = recording.facts
    case["changes"] = outcome.changes
    if outcome.refused:
        case["refused"] = outcome.refused
    yaml.dump(case, sys.stdout, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Several lines as a block."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)

if __name__ == "__main__":
    main()
