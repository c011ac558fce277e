"""The machine's kernel settings while there are lab servers, on files that stand for /proc/sys."""

from __future__ import annotations

from pathlib import Path

import pytest

from standfast.lab import kernel


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kernel, "SYSTEM", tmp_path / "sys")
    monkeypatch.setattr(kernel, "RUNTIME", tmp_path / "run")
    for name, value in ((kernel.FORWARDING, "0"), (kernel.INOTIFY_INSTANCES, "128")):
        setting = tmp_path / "sys" / name
        setting.parent.mkdir(parents=True, exist_ok=True)
        setting.write_text(f"{value}\n")
    (tmp_path / "run").mkdir()
    return tmp_path / "sys"


def settings(system: Path) -> list[int]:
    return [int((system / name).read_text()) for name in (kernel.FORWARDING, kernel.INOTIFY_INSTANCES)]


def test_raised_for_the_first_server_and_given_back_after_the_last(system: Path) -> None:
    kernel.prepare()
    kernel.prepare()
    assert settings(system) == [1, 4096]
    kernel.give_back()
    assert settings(system) == [0, 128]


def test_what_is_enough_already_is_left_alone(system: Path) -> None:
    (system / kernel.INOTIFY_INSTANCES).write_text("8192\n")
    kernel.prepare()
    assert settings(system) == [1, 8192]
    (system / kernel.INOTIFY_INSTANCES).write_text("9999\n")  # by somebody else, meanwhile
    kernel.give_back()
    assert settings(system) == [0, 9999]
