"""The chain of the audit log: every alteration by hand is found, with its position."""

from __future__ import annotations

import json

import pytest

from standfast.engine.chain import Fault, check, linked, sha256

LENGTH = 6


def chain(length: int = LENGTH) -> list[str]:
    """A sound chain."""
    lines: list[str] = []
    for number in range(1, length + 1):
        lines.append(linked({"who": "ops@laptop", "changed": [f"file {number}"], "note": "ä “x”"}, lines))
    return lines


def known(lines: list[str], *numbers: int) -> dict[int, str]:
    """What is known of a chain from elsewhere."""
    return {number: sha256(lines[number - 1]) for number in numbers}


def test_a_sound_chain_has_no_faults() -> None:
    for length in range(4):
        lines = chain(length)
        assert check(lines) == []
        assert check(lines, known(lines, *range(1, length + 1))) == []


@pytest.mark.parametrize("number", range(1, LENGTH))
def test_an_altered_record_is_named(number: int) -> None:
    lines = chain()
    lines[number - 1] = lines[number - 1].replace("ops@laptop", "kim@laptop")
    assert check(lines) == [Fault(number, f"record {number} was altered")]
    assert check(lines, known(chain(), *range(1, LENGTH + 1))) == check(lines)


@pytest.mark.parametrize("number", range(1, LENGTH))
def test_a_record_that_is_no_json_any_more_is_named(number: int) -> None:
    lines = chain()
    lines[number - 1] = lines[number - 1][:20]
    assert [fault.position for fault in check(lines)] == [number]


@pytest.mark.parametrize("number", range(1, LENGTH))
def test_a_removed_record_is_named(number: int) -> None:
    lines = chain()
    del lines[number - 1]
    assert check(lines) == [Fault(number, f"record {number} was removed")]
    assert check(lines, known(chain(), *range(1, LENGTH + 1))) == check(lines)


def test_several_removed_records_are_named() -> None:
    lines = chain()
    del lines[1:4]
    assert check(lines) == [Fault(2, "records 2 to 4 were removed")]


@pytest.mark.parametrize("number", range(1, LENGTH))
@pytest.mark.parametrize("origin", range(1, LENGTH + 1))
def test_a_copy_of_a_record_put_elsewhere_is_named(number: int, origin: int) -> None:
    lines = chain()
    lines.insert(number - 1, chain()[origin - 1])
    if number <= origin <= number + 1:
        # Two equal lines side by side: it cannot be said which one was first.
        assert check(lines) != [] or lines[number - 1] == lines[number]
    assert all(abs(fault.position - number) <= 1 for fault in check(lines))
    assert check(lines) != []


@pytest.mark.parametrize("number", range(1, LENGTH))
def test_a_forged_record_is_named_wherever_it_is_put(number: int) -> None:
    lines = chain()
    forged = linked({"who": "nobody"}, lines[: number - 1])
    lines.insert(number - 1, forged)
    assert check(lines) == [Fault(number, f"line {number} was inserted before record {number}")]


@pytest.mark.parametrize("number", range(1, LENGTH))
def test_renumbering_what_follows_hides_nothing(number: int) -> None:
    lines = chain()
    kept = lines[: number - 1]
    for line in lines[number:]:
        record = json.loads(line)
        kept.append(json.dumps(record | {"n": record["n"] - 1}, ensure_ascii=False))
    assert check(kept)[0].position in (number - 1, number)


def test_a_cut_end_is_found_by_what_is_known_from_elsewhere() -> None:
    lines = chain()
    assert check(lines[:4]) == []
    assert check(lines[:4], known(lines, 6)) == [Fault(5, "records 5 to 6 were removed from the end")]
    assert check([], known(lines, 1)) == [Fault(1, "record 1 was removed from the end")]


def test_an_altered_last_record_is_found_by_what_is_known_from_elsewhere() -> None:
    lines = chain()
    altered = [*lines[:-1], lines[-1].replace("ops", "kim")]
    assert check(altered) == []
    assert check(altered, known(lines, 6)) == [Fault(6, "record 6 was altered")]


def test_a_chain_that_was_made_anew_is_found_by_what_is_known_from_elsewhere() -> None:
    lines = chain()
    anew: list[str] = []
    for line in lines:
        record = json.loads(line)
        content = {key: value for key, value in record.items() if key not in ("n", "previous")}
        anew.append(linked(content | ({"who": "kim"} if record["n"] == 3 else {}), anew))
    assert check(anew) == []
    assert Fault(4, "record 4 was altered") in check(anew, known(lines, 4))
    assert check(anew, known(lines, 2)) == []


def test_a_line_added_at_the_end_by_hand_is_found_by_what_is_known_from_elsewhere() -> None:
    lines = chain()
    added = [*lines, json.dumps({"n": 7, "previous": "x", "who": "nobody"})]
    assert check(added, known(lines, 6)) == [Fault(7, "record 7 was altered or inserted")]


def test_a_line_torn_by_a_power_cut_is_no_alteration() -> None:
    lines = chain(3)
    lines.append('{"n": 4, "prev')
    lines.append(json.dumps({"n": 5, "previous": sha256(lines[-1]), "who": "ops"}))
    assert check(lines) == []
    lines[3] += "x"
    assert [fault.position for fault in check(lines)] == [4]
