"""Every sample in valid/ loads; every sample in invalid/ fails with exactly the message beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from standfast.inventory import document, reference
from standfast.inventory.faults import InventoryFaults
from standfast.inventory.loader import load

SAMPLES = Path(__file__).parents[2] / "inventories"
VALID = sorted(path.name for path in SAMPLES.glob("valid/*.yml"))
INVALID = sorted(path.name for path in SAMPLES.glob("invalid/*.yml"))


@pytest.mark.parametrize("name", VALID)
def test_valid_sample_loads(name: str) -> None:
    loaded = load(SAMPLES / "valid" / name)
    assert loaded.inventory.hosts


@pytest.mark.parametrize("name", INVALID)
def test_invalid_sample_fails_with_its_message(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLES / "invalid")
    with pytest.raises(InventoryFaults) as caught:
        load(Path(name))
    expected = Path(name).with_suffix(".txt").read_text(encoding="utf-8")
    assert f"{caught.value}\n" == expected
    assert caught.value.exit_code == 3


def test_there_are_many_invalid_samples_and_no_stray_messages() -> None:
    assert len(INVALID) >= 40
    messages = sorted(path.with_suffix(".yml").name for path in SAMPLES.glob("invalid/*.txt"))
    assert messages == INVALID


def test_messages_never_show_what_may_be_a_secret() -> None:
    for path in SAMPLES.glob("invalid/*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "hunter2" not in text
        assert "bm90IGEga2V5" not in text  # of the private key in the samples


@pytest.mark.parametrize("name", VALID)
def test_editors_accept_what_we_accept(name: str) -> None:
    data = document.read(SAMPLES / "valid" / name, file=name).data
    Draft202012Validator(reference.json_schema()).validate(data)
