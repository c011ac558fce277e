"""
Cases of drift: what the facts of a real server said, and what is to be found in it.

A case has the part of the inventory that counts, the raw output of facts, and one line a finding. To
write one from a server, after something was done to it by hand:
``python -m tests.operations.drift.scans INVENTORY FACT… > scans/name.yml``, and read it.
"""

from standfast import engine  # noqa: F401 - gevent comes first

# isort: split

import sys
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from standfast.drift.finding import Finding, merged
from standfast.drift.known import Known
from standfast.engine import drift, scan
from standfast.engine.declarations import declarations
from standfast.engine.servers import connected
from standfast.errors import CouldNotLook
from standfast.facts.answer import Fact
from standfast.inventory.loader import load
from standfast.inventory.schema import Host
from tests.operations.cases import fact_name

T = TypeVar("T")


class RecordedServer:
    """Answers the facts of a case; what was not recorded could not be read."""

    def __init__(self, answers: Mapping[str, list[str]]) -> None:
        self.answers = answers

    def get_fact(self, fact: type[Fact[T]]) -> T:
        """The parsed answer."""
        if fact_name(fact) not in self.answers:
            raise CouldNotLook("not recorded")
        return fact().process(self.answers[fact_name(fact)])


def found(case: Mapping[str, Any]) -> list[str]:
    """All findings of a case, one line each."""
    known = Known(
        host=Host.model_validate(case["host"]),
        name="web-1",
        login=case.get("login", "ops"),
        fingerprint=case.get("fingerprint"),
        port=22,
        paths=frozenset(case.get("paths", ())),
        packages=frozenset(case.get("packages", ())),
    )
    server: Any = RecordedServer(case["answers"])
    findings, _ = scan.findings(server, known)
    return [_line(each) for each in merged([], findings)]


def _line(finding: Finding) -> str:
    since = (
        f" ({finding.since:%Y-%m-%d %H:%M:%S}{f' by {finding.by}' if finding.by else ''})"
        if finding.since
        else ""
    )
    return f"{finding.kind} {finding.id} | {finding.what} | {finding.why}{since}"


def _nobodys(line: str) -> str:
    """Without the addresses of one machine's own network: what those files say is of no matter here."""
    kind, _, rest = line.partition(" ")
    path = rest.partition(" ")[2]
    if kind == "text" and path in {"/etc/apt/sources.list", "/etc/resolv.conf"}:
        return f"text {b64encode(b'nameserver 192.0.2.53').decode()} {path}"
    return line


def _declared(host: Host) -> dict[str, Any]:
    said: dict[str, Any] = host.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    for app in said.get("apps", {}).values():
        app.pop("secrets", None)
    return {**said, "address": "web-1", "ssh": {}}


def main() -> None:
    """Record a case."""
    loaded = load(Path(sys.argv[1]))
    declaration = declarations(loaded)[0]
    case: dict[str, Any] = {"host": _declared(declaration.host)}
    with connected(loaded, [declaration]) as servers:
        host = servers.connected()[0]
        known = drift.compare_declared(servers, host, declaration).known
        case |= {"login": known.login, "fingerprint": known.fingerprint, "answers": {}}
        case |= {"paths": sorted(known.paths), "packages": sorted(known.packages)}
        for fact in scan.FACTS:
            if fact_name(fact) in sys.argv[2:]:
                _, output = host.run_shell_command(fact().command(), _sudo=True)
                case["answers"][fact_name(fact)] = [_nobodys(line) for line in output.stdout_lines]
    case["findings"] = found(case)
    yaml.safe_dump(case, sys.stdout, sort_keys=False, allow_unicode=True, width=200)


if __name__ == "__main__":
    main()
