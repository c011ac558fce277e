"""
Whatever the rules are: afterwards a NEW SSH connection works, and what was refused or undone is not in force.

``STANDFAST_SEED=…``, which each run prints, tries the same ones once more.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from standfast.inventory.faults import InventoryFaults
from standfast.inventory.loader import load
from standfast.lab.nspawn import Server
from tests.server.conftest import Repository
from tests.server.random_rules import Ruleset, ruleset
from tests.server.resident import Resident
from tests.server.subject import Subject
from tests.sizes import sized

COUNT = sized(10, long=200)
SEED = os.environ.get("STANDFAST_SEED") or str(time.time_ns())
DONE, UNDONE, REFUSED = 0, 4, 6
CODES = {DONE: "done", UNDONE: "undone", REFUSED: "refused"}
APPLY = ("apply", "lab", "--yes", "--no-verify", "--only", "firewall")


def test_no_ruleset_locks_out(lab_server: Callable[[str], Server], repository: Repository) -> None:
    subject = Subject(repository, lab_server("test-random"), "firewall")
    subject.declare(firewall={})
    subject.apply()
    client = gateway(subject)
    random = Random(SEED)  # noqa: S311 - for a test that can be repeated, not for secrets
    counts = Counter[str]()
    began = time.monotonic()
    print(f"{COUNT} rulesets, seed {SEED}")
    with Resident(repository.root) as resident:
        before = in_force(subject)
        for number in range(COUNT):
            rules = acceptable(random, client, subject)
            code, said = resident.standfast(*APPLY, *rules.arguments)
            where = f"ruleset {number} of seed {SEED}: {rules}\nexit {code}: {said}"
            after = in_force(subject)
            assert code in expected(rules), where
            assert code == DONE or after == before, where
            how = f"{rules.hostile or 'harmless'}, {CODES[code]}"
            counts[how] += 1
            print(f"{number}: {how}", flush=True)
            before = after
    assert counts["harmless, done"] > counts["harmless, undone"], counts
    print(f"{dict(counts)}; not one lock-out, {(time.monotonic() - began) / COUNT:.1f} s each")


def expected(rules: Ruleset) -> set[int]:
    """How an apply may end: what the plan can tell is refused; nobody confirms what shuts us out."""
    if not rules.hostile:
        return {DONE, UNDONE}
    return {REFUSED} if rules.seen else {REFUSED, UNDONE}


def gateway(subject: Subject) -> str:
    """Our address, as the server sees it."""
    return subject.server.run("echo $SSH_CLIENT").stdout.split()[0]


def acceptable(random: Random, client: str, subject: Subject) -> Ruleset:
    """Write a random ruleset that the schema accepts; most contradictions are thrown away here."""
    template = subject.repository.root / "templates/firewall/rules.j2"
    while True:
        rules = ruleset(random, client)
        subject.declare(firewall=rules.firewall)
        template.unlink(missing_ok=True)
        if rules.template:
            subject.repository.write("templates/firewall/rules.j2", rules.template)
        try:
            load(Path(subject.repository.root / "inventories/lab.yml"))
        except InventoryFaults:
            continue
        return rules


def in_force(subject: Subject) -> list[str]:
    """Our rules and the jumps to them, seen by a NEW SSH connection, which must be possible."""
    done = subject.ssh(command="sudo iptables-save -t filter; sudo ip6tables-save -t filter")
    assert done.returncode == 0, f"no new SSH connection: {done.stderr}"
    return [line for line in done.stdout.splitlines() if line.startswith("-A ")]
