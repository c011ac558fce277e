"""
The repository: restic, with its exit codes and its messages turned into answers.

Works with restic 0.14 (Debian 12) and newer; where an old one says less, its messages are read.
Source: restic's manual, "Scripting", exit codes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any

from standfast.host.backup import layout, programs, state
from standfast.host.backup.configuration import Configuration
from standfast.host.backup.faults import Fault
from standfast.host.backup.programs import Done

LOCK_SECONDS = 10 * 60
LOCK_PAUSE = 10
LOCKED = ("unable to create lock", "already locked")
ABSENT = ("Is there a repository at the following location",)
WRONG_PASSWORD = ("wrong password or no key found",)
INCOMPLETE = 3
ABSENT_CODE, LOCKED_CODE, PASSWORD_CODE = 10, 11, 12


class Unreachable(Fault):
    """The repository cannot be used; nothing in it was changed."""


class Absent(Unreachable):
    """There is no repository at this place."""


@dataclass(frozen=True)
class Snapshot:
    """One stored copy."""

    id: str
    time: datetime
    tags: tuple[str, ...]
    paths: tuple[str, ...]
    host: str
    rejected: bool = False
    """Whether this server found, after it was stored, that it is not whole or not of one moment."""

    @property
    def subject(self) -> tuple[str, str] | None:
        """Kind and name of what it is a copy of; ``None`` when it is none of ours."""
        if layout.TAG not in self.tags:
            return None
        for tag in self.tags:
            kind, separator, name = tag.partition(":")
            if separator and kind in ("database", "volume"):
                return kind, name
        return None

    @property
    def suspect(self) -> bool:
        """Whether it is no good copy: what is in it looked wrong when it was made, or it was rejected."""
        return self.rejected or layout.SUSPECT in self.tags


@dataclass(frozen=True)
class Stored:
    """What restic has stored."""

    snapshot: str
    files: int
    bytes: int
    added: int
    """Bytes that the repository has grown by."""


class Repository:
    """One repository, as the configuration names it."""

    def __init__(self, configuration: Configuration, secrets: layout.Secrets = layout.SECRETS) -> None:
        self.secrets = secrets
        self.place = configuration.repository
        self.server = configuration.server
        self.append_only = configuration.append_only

    @property
    def local(self) -> bool:
        """Whether it is a folder of this server."""
        return self.place.startswith(("/", "local:"))

    def run(self, *arguments: str, stdout: IO[bytes] | None = None, seconds: float = programs.LONG) -> Done:
        """
        Run restic; wait while another one has the repository.

        + stdout: where its output goes; else it comes back

        Raises:
            Unreachable: the password is wrong, there is no repository, or it stays locked.
        """
        deadline = time.monotonic() + min(LOCK_SECONDS, seconds)
        freed = False
        while True:
            done = programs.run(
                ["restic", *self._options(), *arguments],
                stdout=stdout,
                environment=self._environment(),
                seconds=seconds,
            )
            if not _is_locked(done):
                break
            if not freed and self._free():
                freed = True
            elif time.monotonic() > deadline:
                raise Unreachable(f"the repository {self.place} is locked: {self._locks_in_words()}")
            else:
                time.sleep(LOCK_PAUSE)
        self._refuse(done)
        return done

    def identity(self) -> str:
        """
        The repository's id.

        Raises:
            Absent: there is no repository.
            Unreachable: it does not answer, or the password is wrong.
        """
        done = self.run("cat", "config", "--no-lock", seconds=programs.SHORT)
        try:
            return str(json.loads(done.output)["id"])
        except (ValueError, KeyError):
            raise Unreachable(f"the repository {self.place} does not answer: {done.reason}") from None

    def opened(self, *, make: bool = True) -> bool:
        """
        Make sure that the repository is there, and is the one of last time.

        + make: whether a first one is made

        Returns whether it was made just now.

        Raises:
            Unreachable: it is another one than last time, or gone; a new one would hide that.
        """
        known = _known().get(self.place)
        try:
            found = self.identity()
        except Absent:
            if known is not None:
                raise Unreachable(
                    f"the repository {self.place} is gone: there was one (id {known[:8]}), and nothing is "
                    "there now. Is its disk mounted? No new one was made in its place. If you removed it "
                    f"on purpose, take it out of {layout.KNOWN} and run again."
                ) from None
            if not make:
                raise
            self._make()
            self._remember(self.identity())
            return True
        if known is not None and found != known:
            raise Unreachable(
                f"the repository {self.place} is another one: expected id {known[:8]}, found {found[:8]}. "
                f"Nothing was stored. If you changed it on purpose, take the old one out of {layout.KNOWN} "
                "and run again."
            )
        self._remember(found)
        return False

    def opens_with(self, password: str) -> bool:
        """
        Whether a password opens the repository.

        Raises:
            Unreachable: it does not answer, so nobody knows.
        """
        environment = {**self._environment(), "RESTIC_PASSWORD_FILE": "/dev/stdin"}
        command = ["restic", *self._options(), "cat", "config", "--no-lock", "--no-cache"]
        done = programs.run(command, stdin=password, environment=environment)
        if done.code == PASSWORD_CODE or _says(done, WRONG_PASSWORD):
            return False
        if done.code != 0:
            raise Unreachable(f"the repository {self.place} does not answer: {done.reason}")
        return True

    def backup(
        self,
        paths: Sequence[Path],
        tags: Sequence[str],
        *,
        time: datetime | None = None,
        parent: str = "",
        seconds: float = programs.LONG,
    ) -> Stored:
        """
        Store files as one snapshot.

        + time: of the snapshot; the default is now
        + parent: snapshot whose unchanged files need not be read again; the default is restic's choice
        + seconds: after which it is given up

        Raises:
            Unreachable: nothing was stored.
            Fault: something could not be read; what was stored of it is removed, where that is allowed.
        """
        missing = [str(path) for path in paths if not path.exists()]
        if missing:
            raise Fault(f"{', '.join(missing)} is not there. Nothing was stored.")
        options = ["--json", "--host", self.server]
        for tag in tags:
            options += ["--tag", tag]
        if time is not None:
            options += ["--time", time.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")]
        if parent:
            options += ["--parent", parent]
        done = self.run("backup", *options, "--", *(str(path) for path in paths), seconds=seconds)
        summary = next((each for each in _lines(done) if each.get("message_type") == "summary"), None)
        if done.code != 0 or summary is None or not summary.get("snapshot_id"):
            unfinished = str(summary.get("snapshot_id") or "") if summary else ""
            raise Fault(f"restic could not store everything: {_words(done)}{self._undone(unfinished)}")
        return Stored(
            snapshot=str(summary["snapshot_id"]),
            files=int(summary["total_files_processed"]),
            bytes=int(summary["total_bytes_processed"]),
            added=int(summary.get("data_added_packed", summary["data_added"])),
        )

    def snapshots(self, *tags: str) -> list[Snapshot]:
        """
        Snapshots of this server with all these tags, the oldest first.

        Raises:
            Unreachable: the repository does not answer.
        """
        filters = ["--tag", ",".join(tags)] if tags else []
        done = self.run("snapshots", "--json", "--host", self.server, *filters)
        try:
            found = json.loads(done.output or "null") or []
        except ValueError:
            raise Unreachable(f"the repository {self.place} does not answer: {done.reason}") from None
        if done.code != 0:
            raise Unreachable(f"the repository {self.place} does not answer: {done.reason}")
        rejected = tuple(_rejected())
        return sorted((_snapshot(each, rejected) for each in found), key=lambda each: each.time)

    def content(self, snapshot: str, path: Path) -> str:
        """
        A small text file of a snapshot.

        Raises:
            Fault: it cannot be read.
        """
        done = self.run("dump", snapshot, str(path))
        if done.code != 0:
            raise Fault(f"{path} cannot be read from snapshot {snapshot[:8]}: {done.reason}")
        return done.output

    def forget(self, *snapshots: str) -> bool:
        """
        Remove snapshots, where that is allowed; their data go with the next prune.

        Returns whether they are gone.
        """
        if not snapshots:
            return True
        return not self.append_only and self.run("forget", *snapshots).code == 0

    def reject(self, snapshot: str) -> str:
        """
        Take back a copy that turned out not to be good; what has become of it, in a sentence.

        It is noted first: where nothing may be removed, or whoever dies here, it never counts as good.
        """
        state.write(layout.REJECTED, json.dumps([*_rejected(), snapshot], indent=1))
        if self.forget(snapshot):
            return f"Snapshot {snapshot[:8]} was removed."
        return f"Snapshot {snapshot[:8]} could not be removed; this server never takes it for a good copy."

    def locks(self) -> list[dict[str, Any]]:
        """Locks that are held: ``id``, ``time``, ``exclusive``, ``hostname``, ``pid``."""
        done = self._plain("list", "locks", "--no-lock")
        found = []
        for name in done.output.split() if done.code == 0 else ():
            lock = self._plain("cat", "lock", name, "--no-lock")
            if lock.code == 0:
                found.append({"id": name, **json.loads(lock.output)})
        return found

    def _locks_in_words(self) -> str:
        now = datetime.now(timezone.utc)
        held = "; ".join(
            f"lock {lock['id'][:8]} of {lock.get('hostname')} (pid {lock.get('pid')}), "
            f"{_age(now - moment(lock['time']))} old"
            for lock in self.locks()
        )
        if not held:
            return "by a lock that has gone meanwhile; run again"
        return f"{held}. If nobody uses the repository, `restic unlock` removes what is left of a dead run"

    def _free(self) -> bool:
        """Remove the locks of dead processes of this server; restic itself looks that they are dead."""
        return self._plain("unlock").code == 0

    def _plain(self, *arguments: str) -> Done:
        return programs.run(
            ["restic", *self._options(), *arguments], environment=self._environment(), seconds=programs.SHORT
        )

    def _undone(self, snapshot: str) -> str:
        return f". {self.reject(snapshot)}" if snapshot else ""

    def _make(self) -> None:
        done = self._plain("init")
        if done.code != 0:
            raise Unreachable(f"no repository can be made at {self.place}: {done.reason}")

    def _remember(self, identity: str) -> None:
        known = _known()
        if known.get(self.place) != identity:
            state.write(layout.KNOWN, json.dumps({**known, self.place: identity}, indent=1))

    def _refuse(self, done: Done) -> None:
        if done.code == PASSWORD_CODE or _says(done, WRONG_PASSWORD):
            raise Unreachable(
                f"the password in {self.secrets.password} does not open the repository {self.place}. "
                "Nothing was stored. Was the secret changed? The repository keeps the old one until "
                "`restic key passwd`."
            )
        if done.code == ABSENT_CODE or (done.code == 1 and _says(done, ABSENT)):
            raise Absent(f"there is no repository at {self.place}: {done.reason}")

    def _options(self) -> list[str]:
        options = ["--repo", self.place, "--cleanup-cache"]
        if self.place.startswith("sftp:"):
            options += ["--option", f"sftp.command={self._ssh()}"]
        return options

    def _ssh(self) -> str:
        """An SSH that never asks, knows the server's key, and notices when the other side is gone."""
        address = self.place.removeprefix("sftp:")
        if address.startswith("//"):
            target, _, port = address[2:].partition("/")[0].partition(":")
        else:
            target, port = address.partition(":")[0], ""
        options = ["-o BatchMode=yes", "-o StrictHostKeyChecking=yes", "-o ServerAliveInterval=15"]
        options += ["-o ConnectTimeout=30", *([f"-p {port}"] if port else [])]
        if self.secrets.ssh_key.exists():
            options += [f"-i {self.secrets.ssh_key}", "-o IdentitiesOnly=yes"]
        if self.secrets.known_hosts.exists():
            options += [f"-o UserKnownHostsFile={self.secrets.known_hosts}"]
        return f"ssh {' '.join(options)} {target} -s sftp"

    def _environment(self) -> Mapping[str, str]:
        return {
            "RESTIC_PASSWORD_FILE": str(self.secrets.password),
            "RESTIC_CACHE_DIR": str(layout.CACHE),
            "TZ": "UTC",
            **dict(_credentials(self.secrets.credentials)),
        }


def _known() -> dict[str, str]:
    """Id of each repository that was ever used, by place."""
    try:
        known: dict[str, str] = json.loads(layout.KNOWN.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return known


def _rejected() -> list[str]:
    """Ids of rejected copies; those that restic 0.14 has told are short."""
    try:
        rejected: list[str] = json.loads(layout.REJECTED.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return rejected


def _credentials(path: Path) -> Iterator[tuple[str, str]]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        name, separator, value = line.partition("=")
        if separator and not name.startswith("#"):
            yield name, value


def _lines(done: Done) -> Iterator[dict[str, Any]]:
    for line in done.output.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def _words(done: Done) -> str:
    """restic's reasons; with --json they stand in JSON."""
    found = []
    for line in done.errors.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            found.append(line.strip())
            continue
        error = value.get("error", {}) if isinstance(value, dict) else {}
        message = error.get("message") if isinstance(error, dict) else None
        found.append(str(message or value.get("message") or line))
    words = [each for each in found if each]
    return "; ".join(words[-3:]) or f"exit status {done.code}, without a word"


def _snapshot(data: Mapping[str, Any], rejected: tuple[str, ...]) -> Snapshot:
    return Snapshot(
        id=str(data["id"]),
        time=moment(data["time"]),
        tags=tuple(data.get("tags") or ()),
        paths=tuple(data["paths"]),
        host=str(data["hostname"]),
        rejected=str(data["id"]).startswith(rejected),
    )


def moment(text: str) -> datetime:
    """A time of restic's, which has nanoseconds that Python 3.10 does not read."""
    head, dot, rest = text.partition(".")
    zone = next((rest[i:] for i, char in enumerate(rest) if char in "Z+-"), "") if dot else ""
    return datetime.fromisoformat((head + zone if dot else text).replace("Z", "+00:00"))


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _is_locked(done: Done) -> bool:
    return done.code == LOCKED_CODE or (done.code == 1 and _says(done, LOCKED))


def _says(done: Done, words: Sequence[str]) -> bool:
    return any(each in done.errors for each in words)
