"""What goes along to another server for a drill there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from standfast.host.backup import configuration
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.faults import Fault, Refused, WrongConfiguration
from standfast.host.restore import baggage

SETTINGS = Configuration("web-1", "sftp:backup@203.0.113.20:/srv/restic")
PACKED = {
    "format": baggage.FORMAT,
    "configuration": SETTINGS.text(),
    "secrets": {"password": "pa$$ w0rd", "credentials": "AWS_SECRET_ACCESS_KEY=b\n"},
    "apps": {"toybox": {"services": {}}},
    "images": {},
}


def test_secrets_are_for_root_only(tmp_path: Path) -> None:
    found = baggage.parse(json.dumps(PACKED))
    assert found.configuration == SETTINGS
    secrets = found.unpacked(tmp_path / "drill")
    assert secrets.password.read_text() == "pa$$ w0rd"
    assert secrets.password.stat().st_mode & 0o777 == 0o600
    assert secrets.password.parent.stat().st_mode & 0o777 == 0o700
    assert not secrets.ssh_key.exists()


def test_an_application_that_nobody_packed_is_a_fault() -> None:
    found = baggage.parse(json.dumps(PACKED))
    assert found.resolved("toybox") == {"services": {}}
    with pytest.raises(Fault, match="shop"):
        found.resolved("shop")


@pytest.mark.parametrize("text", ["", "pa$$ w0rd", "[]", json.dumps({**PACKED, "format": 0})])
def test_what_is_no_baggage_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(WrongConfiguration, match="expected what `standfast-host drill --pack`") as refused:
        baggage.parse(text)
    assert "pa$$" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("repository", ["/var/backups/restic", "local:/var/backups/restic"])
def test_a_repository_of_the_servers_own_disk_is_not_to_be_had_elsewhere(
    repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "load", lambda: Configuration("web-1", repository))
    with pytest.raises(Refused, match="a folder of this server"):
        baggage.packed()


def test_what_a_drill_elsewhere_came_to_says_where_it_was() -> None:
    item = {"kind": "volume", "name": "media", "ok": True, "message": "7 files", "snapshot": "ab", "data": {}}
    (told,) = baggage.told(json.dumps({"on": "spare-1", "items": [item]}))
    assert told.message == "on spare-1: 7 files"
    with pytest.raises(WrongConfiguration):
        baggage.told("{}")
