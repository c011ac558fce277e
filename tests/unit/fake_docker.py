"""A docker of its own for tests: files for containers, and a daemon that works on when its client is gone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from standfast.host.backup import layout, programs

DOCKER = """#!/bin/sh
set -eu
cd {place}
action=$1
echo "$*" >> log
shift
case $action in
  ps) ls status ;;
  inspect)
    shift 2
    separator='['
    for id; do
      printf '%s' "$separator"
      sed "s/STATUS/$(cat "status/$id")/" "about/$id"
      separator=,
    done
    echo ']' ;;
  volume) cat "volumes/$2" ;;
  pause) for id; do echo paused > "status/$id"; done ;;
  unpause | start)
    for id; do
      [ ! -e "stuck/$id" ] || { echo "cannot start $id" >&2; exit 1; }
      echo running > "status/$id"
    done ;;
  stop)
    for id; do
      [ "$(cat "status/$id")" = exited ] || setsid sh ./daemon "$id" > /dev/null 2>&1 < /dev/null &
    done
    for id; do
      for try in $(seq 500); do [ "$(cat "status/$id")" != exited ] || break; sleep 0.02; done
    done ;;
esac
"""
DAEMON = """mkdir "stopping/$1" || exit
sleep {seconds}
echo exited > "exited.$1"
mv "exited.$1" "status/$1"
rmdir "stopping/$1"
"""


@dataclass(frozen=True)
class FakeDocker:
    """What the program under test takes for Docker."""

    place: Path

    def container(self, name: str, status: str = "running", *, stop_timeout: int = 10) -> None:
        """Add a container that can write to the volume media."""
        about = {
            "Id": name,
            "Name": f"/{name}",
            "State": {"Status": "STATUS"},
            "Config": {"Image": "app:1", "StopTimeout": stop_timeout},
            "Image": "sha256:1",
            "Mounts": [{"Type": "volume", "Name": "media", "Destination": "/data", "RW": True}],
        }
        (self.place / "about" / name).write_text(json.dumps(about))
        self.set(name, status)

    def volume(self, name: str, **options: str) -> Path:
        """Add a volume; where its files are."""
        mountpoint = self.place / "data" / name / "_data"
        mountpoint.mkdir(parents=True, exist_ok=True)
        about = {"Name": name, "Mountpoint": str(mountpoint), "Driver": "local", "Options": options or None}
        (self.place / "volumes" / name).write_text(json.dumps([about]))
        return mountpoint

    def set(self, name: str, status: str) -> None:
        """Let somebody else start, stop or pause a container."""
        (self.place / "status" / name).write_text(status)

    def status(self, name: str) -> str:
        """What a container does now."""
        return (self.place / "status" / name).read_text().strip()

    def stick(self, name: str, *, stuck: bool = True) -> None:
        """Let a container not start any more, or start again."""
        (self.place / "stuck" / name).touch()
        if not stuck:
            (self.place / "stuck" / name).unlink()

    def stopping(self, name: str) -> bool:
        """Whether it has been asked to end, and has not."""
        return (self.place / "stopping" / name).exists()

    def asked(self, action: str) -> list[str]:
        """What was asked for so far."""
        lines = (self.place / "log").read_text().splitlines()
        return [line for line in lines if line.split()[0] == action]


def installed(place: Path, monkeypatch: pytest.MonkeyPatch, *, seconds: float = 0) -> FakeDocker:
    """
    Put it where the program looks for Docker; the program's state is in the same folder.

    + seconds: for which a container goes on when it is asked to end
    """
    for name in ("bin", "about", "status", "stopping", "stuck", "volumes", "state"):
        (place / name).mkdir()
    (place / "log").touch()
    for name, text in (("bin/docker", DOCKER), ("bin/systemd-run", "#!/bin/sh\n"), ("daemon", DAEMON)):
        program = place / name
        program.write_text(text.replace("{place}", str(place)).replace("{seconds}", str(seconds)))
        program.chmod(0o755)
    monkeypatch.setattr(programs, "PATH", f"{place}/bin:{programs.PATH}")
    for name in ("HELD", "RELEASE", "STAGING", "GOOD"):
        path = getattr(layout, name)
        monkeypatch.setattr(layout, name, place / "state" / path.relative_to(layout.STATE))
    return FakeDocker(place)
