"""What comes in and what does not: by the rules in force, and tried from where we are."""

from __future__ import annotations

import json

import pytest

from standfast.inventory.schema import Host
from standfast.verification.expected import ALWAYS, Family, accepting, open_to, opened, ssh_sources
from standfast.verification.outside import Outside, answers
from standfast.verification.seen import Seen

INPUT, DOCKER = "-A STANDFAST-INPUT", "-A STANDFAST-DOCKER"
LOOPBACK = ("127.", "[::1]", "::1")


@pytest.fixture
def rules(seen: Seen, family: Family) -> list[str]:
    found = seen.lines(family)
    if found == ["none"]:
        pytest.skip("the server has no such addresses")
    return found


def test_our_rules_come_first(rules: list[str]) -> None:
    for chain, ours in (("INPUT", "STANDFAST-INPUT"), ("DOCKER-USER", "STANDFAST-DOCKER")):
        assert next(rule for rule in [*rules, ""] if rule.startswith(f"-A {chain} ") or not rule) == (
            f"-A {chain} -j {ours}"
        )


def test_what_is_not_let_in_is_dropped(rules: list[str]) -> None:
    assert [rule for rule in rules if rule.startswith(INPUT)][-1:] == [f"{INPUT} -j DROP"]
    assert f"{DOCKER} -m conntrack --ctstate DNAT -j DROP" in rules


def test_ssh_is_let_in(rules: list[str], declared: Host, family: Family) -> None:
    ssh = [rule for rule in rules if rule.startswith(INPUT) and "--comment ssh -j ACCEPT" in rule]
    sources = {rule.removeprefix(INPUT).partition(" -p tcp")[0] for rule in ssh}
    assert sources == set(ssh_sources(declared, family))


def test_opening_is_in_force(rules: list[str], declared: Host, opening: str, family: Family) -> None:
    assert [rule for rule in accepting(declared, opening, family) if rule not in rules] == []


def test_nothing_else_is_let_in(rules: list[str], declared: Host, family: Family) -> None:
    openings = [f"{rule.port}/{each}" for rule in declared.firewall.allow for each in rule.protocol]
    known = {rule for opening in openings for rule in accepting(declared, opening, family)} | ALWAYS[family]
    accepted = [rule for rule in rules if rule.startswith(INPUT) and rule.endswith("-j ACCEPT")]
    assert [rule for rule in accepted if rule not in known and "--comment ssh " not in rule] == []


def test_open_ports_answer(outside: Outside, declared: Host) -> None:
    assert [port for port in open_to(declared, outside.client) if outside.answers[port] == "silent"] == []


def test_guarded_port_is_silent(outside: Outside, guarded_port: str) -> None:
    # "refused" means that the question came through to the server: it is closed only by chance.
    assert outside.answers[int(guarded_port)] == "silent"


def test_nothing_else_that_listens_is_let_in(outside: Outside, seen: Seen, declared: Host) -> None:
    ssh = {int(line.split()[1]) for line in seen.lines("sshd") if line.startswith("port ")}
    unknown = {
        port
        for protocol, address, port in seen.listening()
        if protocol == "tcp" and not address.startswith(LOOPBACK)
        if port not in ssh and port not in outside.answers and not opened(declared, port, outside.client)
    }
    found = answers(outside.address, (), unknown) if unknown else {}
    assert [port for port, answer in found.items() if answer != "silent"] == []


def test_rules_can_be_loaded_at_the_next_boot(seen: Seen) -> None:
    assert seen.text("rules at boot").strip() == ""


def test_nothing_is_on_trial(seen: Seen) -> None:
    assert json.loads(seen.text("program"))["trial"] is None


def test_the_rules_were_confirmed(seen: Seen) -> None:
    assert json.loads(seen.text("program"))["confirmed"] is True
