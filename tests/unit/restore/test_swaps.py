"""What a restore swaps, and what it notes before: on this machine's own file system."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from standfast.host.restore import journal
from standfast.host.restore.database import beside_name
from standfast.host.restore.exchange import exchange
from standfast.host.restore.journal import Undertaking


def test_two_folders_change_places(tmp_path: Path) -> None:
    one, other = tmp_path / "a/_data", tmp_path / "b/_data"
    for folder in (one, other):
        folder.mkdir(parents=True)
        (folder / "who").write_text(folder.parent.name)
    number = other.stat().st_ino
    exchange(one, other)
    assert ((one / "who").read_text(), (other / "who").read_text()) == ("b", "a")
    assert one.stat().st_ino == number


def test_one_that_is_missing_changes_nothing(tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.mkdir()
    with pytest.raises(OSError, match="could not be swapped"):
        exchange(one, tmp_path / "none")
    assert one.is_dir()


def test_the_journal_knows_what_is_open(tmp_path: Path) -> None:
    path = tmp_path / "state/restore.json"
    shop = Undertaking("database", "shop", "shop", "4f1c", "2026-11-22T03:00:00+00:00", "new", "old")
    media = replace(shop, kind="volume", name="media")
    assert journal.read(path) == []
    journal.write([shop, media], path)
    journal.update(replace(media, new_folder=7), path)
    assert journal.read(path) == [shop, replace(media, new_folder=7)]
    journal.close(shop, path)
    journal.close(media, path)
    assert not path.exists()


def test_names_fit_into_postgresql() -> None:
    assert beside_name("shop", "before", "20261122115003") == "shop_before_20261122115003"
    long = beside_name("é" * 40, "restoring", "20261122115003")
    assert len(long.encode()) <= 63
    assert long.endswith("_restoring_20261122115003")
