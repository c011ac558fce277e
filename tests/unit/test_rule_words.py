"""Rules in words: what is not known is not hidden, and two different rules never read the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from standfast.facts.rule_words import in_words

WORDS = {
    "-I INPUT 1 -j STANDFAST-INPUT": "host       read by INPUT, place 1",
    "-A STANDFAST-INPUT -i lo -j ACCEPT": "host       let in through lo",
    "-A STANDFAST-INPUT -j DROP": "host       drop everything else",
    "-A STANDFAST-INPUT -p tcp -m tcp --dport 80 -j ACCEPT": "host       let in tcp 80",
    "-A STANDFAST-INPUT -s 10.0.0.0/8 -p udp -m udp --dport 8000:8010 -j ACCEPT": (
        "host       let in udp 8000-8010 from 10.0.0.0/8"
    ),
    "-A STANDFAST-INPUT -p tcp -m tcp --dport 22 -m hashlimit --hashlimit-upto 45/min --hashlimit-burst 45 "
    "--hashlimit-mode srcip --hashlimit-name ssh-45 --hashlimit-srcmask 64 -m comment --comment ssh -j ACCEPT": (
        "host       let in tcp 22 (ssh), at most 45/min for each address, 45 at once, of one /64, counted as ssh-45"
    ),
    "-A STANDFAST-DOCKER -p tcp -m conntrack --ctstate DNAT --ctorigdstport 80 --ctdir ORIGINAL -j RETURN": (
        "containers let in published tcp 80"
    ),
}
UNKNOWN = [
    "-A INPUT -p tcp -j ACCEPT",
    "-A STANDFAST-INPUT ! -s 10.0.0.0/8 -j DROP",
    "-A STANDFAST-INPUT -p tcp -m tcp --sport 53 -j ACCEPT",
    "-A STANDFAST-INPUT -m set --match-set bad src -j DROP",
    "-A STANDFAST-INPUT -j ACCEPT -j",
    '-A STANDFAST-INPUT -m comment --comment "it\'s" -g OTHER',
]


@pytest.mark.parametrize(("rule", "words"), WORDS.items())
def test_words(rule: str, words: str) -> None:
    assert in_words(rule) == words


@pytest.mark.parametrize("rule", UNKNOWN)
def test_what_is_not_known_stays(rule: str) -> None:
    assert in_words(rule) == rule


def test_different_rules_have_different_words() -> None:
    cases = Path(__file__).parents[1] / "operations/firewall"
    text = "".join(path.read_text(encoding="utf-8") for path in cases.glob("*.yml"))
    rules = {line.strip() for line in re.findall(r"^ +(-A STANDFAST-.*)$", text, re.MULTILINE)} | {*WORDS}
    spelled = {rule for rule in rules if "0/0" not in rule and "icmpv6" not in rule and "D,R" not in rule}
    assert len(spelled) > 10
    assert len({in_words(rule) for rule in spelled}) == len(spelled)
