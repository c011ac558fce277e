"""Every entry of the catalogue in each of its spellings, and everyday commands that no entry may catch."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from standfast.guard import compilation
from standfast.host.guard.classification import DESTRUCTIVE, HARMLESS, classify, classify_all, shipped

NOWHERE = "/srv/nowhere"
ENTRIES = shipped().entries
EXAMPLES = [(name, example) for name, entry in ENTRIES.items() for example in entry.examples]
LINES = (Path(__file__).parent / "harmless.txt").read_text(encoding="utf-8").splitlines()
EVERYDAY = [line for line in LINES if line and not line.startswith("#")]
NEEDS_A_SHELL = set("|$;<>&")


def caught(argv: list[str], name: str) -> bool:
    """Whether this entry, and not by chance another one, knows a command."""
    found = classify_all(argv, cwd=NOWHERE)
    return any(
        each.entry is not None and each.entry.name == name and each.level == DESTRUCTIVE for each in found
    )


def test_what_is_shipped_is_what_the_source_says() -> None:
    remedy = "run `python -m standfast.guard.compilation`"
    assert compilation.SHIPPED.read_text(encoding="utf-8") == compilation.shipped_text(), remedy


def test_there_are_enough_entries_each_with_three_spellings() -> None:
    assert len(ENTRIES) >= 60
    assert [name for name, entry in ENTRIES.items() if len(set(entry.examples)) < 3] == []


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_entry_is_caught(name: str, example: str) -> None:
    assert caught(["sh", "-c", example], name)
    words = shlex.split(example)
    if not set(example) & NEEDS_A_SHELL and "=" not in words[0]:
        assert caught(words, name)
        assert caught(["env", "-i", "A=1", *words], name)
        assert caught(["bash", "-lc", f"cd /srv; {example} # done"], name)


def test_there_are_enough_everyday_commands() -> None:
    assert len(set(EVERYDAY)) >= 200


@pytest.mark.parametrize("line", EVERYDAY)
def test_an_everyday_command_is_not_caught(line: str) -> None:
    verdict = classify(shlex.split(line), cwd=NOWHERE)
    assert (verdict.level, verdict.reason) == (HARMLESS, "")
    assert classify(["sh", "-c", line], cwd=NOWHERE).level == HARMLESS
