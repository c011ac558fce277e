"""
One run at a time on a server: who holds it, and what they hear who come second.

The lock is a flock(2) of a process on the server whose standard input is a channel of the run's own
connection: when the controller dies the lock is free at once, when the network is cut after 30 s of
silence. There is no stale lock. ``lock.sh`` is that process, `Hold` this side of it.
"""

from __future__ import annotations

import standfast.engine.patched  # noqa: F401 - before anything imports pyinfra

# isort: split
import json
import shlex
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from standfast.engine.caller import Caller
from standfast.engine.connector import LockLost, StandfastConnector
from standfast.engine.journal import LastRun, moment, parse
from standfast.engine.line_channel import SILENCE, LineChannel
from standfast.engine.preflight import Findings, judge
from standfast.engine.shell import shell
from standfast.errors import Locked, Refused, StandfastError

PATIENCE = 300
"""Seconds to wait for a command of a run that was cut off; apt itself waits that long for its own lock."""

Report = Callable[[str], None]


class NotHeld(StandfastError):
    """The lock could not be taken for want of something on the server; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a server."""

    run: str
    who: str
    origin: str
    """Address from which they came, as the server sees it."""
    since: str
    doing: str
    environment: str

    def told(self) -> str:
        """For a sentence."""
        return f"{self.who} ({self.origin}) since {moment(self.since)}{_ago(self.since)}, doing: {self.doing}"


def owner(encoded: str) -> Owner:
    """From what the server keeps beside the lock; parts that are missing are unknown."""
    try:
        found: dict[str, Any] = json.loads(decoded(encoded))
    except ValueError:
        found = {}
    names = ("run", "who", "from", "since", "doing", "environment")
    return Owner(*(str(found.get(name, "unknown")) for name in names))


class Hold:
    """A server that is held for one run, until `end` or until one of the two sides goes away."""

    def __init__(self, ssh: StandfastConnector, by: Caller) -> None:
        self.ssh = ssh
        self.by = by
        self.last_run: LastRun | None = None
        """What the last run has left open."""
        self.undone = ""
        """What the server has taken back by itself, and nobody has heard of yet."""
        self.findings = Findings()
        """What the preflight has found."""
        self.recorded: list[str] = []
        """Lines that the server has added to its audit log for this run."""
        self.unrecorded = ""
        """Why the server could not add its line."""
        self.held = False
        self.began = False
        self.performed = 0
        """Number of commands of the plan that have succeeded."""
        self.under_way = False
        """Whether the next one was sent, and nothing was heard of its end."""
        self._channel: LineChannel | None = None

    def take(self, folders: Sequence[str], report: Report) -> None:
        """
        Take the lock, read the journal, make the preflight: one round trip.

        + folders: whose file systems the preflight tries

        Raises:
            Locked: somebody else holds it, or a command of the last run does not end.
            NoSudo: the account may not become root.
            NotHeld: the server lacks something. Nothing was changed in any of these cases.
        """
        who = {
            "run": self.by.run,
            "who": self.by.who,
            "doing": f"looking what {self.by.action} has to do",
            "environment": self.by.environment,
        }
        arguments = [
            json.dumps(self.by.record(self.ssh.host.name), ensure_ascii=False),
            json.dumps(who, ensure_ascii=False, separators=(",", ":")),
            *(str(SILENCE), str(PATIENCE), *folders),
        ]
        script = shell("audit", "journal", "preflight", "lock")
        self._channel = LineChannel(self.ssh, root_program(self.ssh, script, arguments))
        findings: list[str] = []
        while (line := self._channel.receive()) != "ready":
            if line is None:
                raise self._ended_early()
            self._understand(line, findings, report)
        self.held = True
        self.findings = judge(findings)

    def begin(self, run: Mapping[str, object], doing: str) -> None:
        """
        Open the journal for a run that is about to change something.

        + run: ``steps``, for each command what it changes; and what else is known of the run
        + doing: for those who come second

        Raises:
            Refused: the journal cannot be written; nothing was changed.
            LockLost: the server is not held any more; nothing was changed.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = self.by.record(self.ssh.host.name) | {"started": now, **run}
        self.tell(doing)
        self._send("begin", record)
        try:
            answer = self._answer()
        except LockLost as error:
            raise LockLost(f"{error} Nothing was changed there.") from None
        if answer != "begun":
            reason = decoded(answer.partition(" ")[2]).rpartition(": ")[2] or "no reason given"
            raise Refused(
                f"{self.ssh.place}: the journal could not be written: {reason}. Nothing was changed there."
            )
        self.began = True

    def tell(self, doing: str) -> None:
        """Say what is done now, for those who come second."""
        who = {"run": self.by.run, "who": self.by.who, "doing": doing, "environment": self.by.environment}
        self._send("doing", who)

    def end(self, record: Mapping[str, object], *, settled: bool, outcome: str) -> None:
        """
        Write the audit record, close the journal, give the lock back: one round trip.

        + settled: whether nothing is left open, so that the journal can go

        What could not be written stands in `unrecorded`; the server itself records a lost connection.
        """
        journal = ("settled" if settled else "open") if self.began or settled else "untouched"
        self._send(f"end {journal}", record, outcome.replace(" ", "-"))
        try:
            answer = self._answer()
        except LockLost as error:
            self.unrecorded = str(error)
            return
        finally:
            self.close()
        kind, _, text = answer.partition(" ")
        if kind == "recorded":
            self.recorded.append(decoded(text))
        else:
            self.unrecorded = f"{self.ssh.place}: its audit log could not be written: {decoded(text)}"

    def close(self) -> None:
        """Give the lock back without a word; the server records that."""
        self.held = False
        if self._channel is not None:
            self._channel.close()

    def why_lost(self) -> str:
        """Why the server is not held any more."""
        line = self._channel.waiting() if self._channel is not None else None
        return _lost(self.ssh.place, line or "")

    def _send(self, kind: str, record: Mapping[str, object], *words: str) -> None:
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        if self._channel is not None:
            self._channel.send(" ".join([kind, b64encode(text.encode()).decode(), *words]))

    def _answer(self) -> str:
        line = self._channel.receive() if self._channel is not None else None
        if line is None or line.startswith("gone"):
            raise LockLost(_lost(self.ssh.place, line or ""))
        return line

    def _understand(self, line: str, findings: list[str], report: Report) -> None:
        kind, _, rest = line.partition(" ")
        if kind == "locked":
            raise Locked(
                f"{self.ssh.place} is locked by {owner(rest).told()}. Nothing was changed there. "
                f'Wait for it, or end it: `standfast unlock {self.by.environment} --reason "…"`.'
            )
        if kind in ("waiting", "busy"):
            last = parse(decoded(rest))
            what = f"{last.running} (pid {last.pid}, begun by {last.who})" if last else "unknown"
            action = last.action if last else "run"
            if kind == "busy":
                raise Locked(
                    f"{self.ssh.place}: a command of the last {action} is still running: {what}. "
                    f"It has not ended within {PATIENCE} s. Nothing was changed there. Look what it waits "
                    "for, end it if it never will, and run this again."
                )
            report(f"{self.ssh.host.name}: waiting for a command of the last {action} to end: {what}")
        elif kind == "trial":
            report(
                f"{self.ssh.host.name}: waiting for the server to undo a change that the last run has left "
                "on trial"
            )
        elif kind == "undone":
            self.undone = decoded(rest)
        elif kind == "recorded":
            self.recorded.append(decoded(rest))
        elif kind == "journal":
            self.last_run = parse(decoded(rest))
        else:
            findings.append(line)

    def _ended_early(self) -> StandfastError:
        if self._channel is None:
            return NotHeld(f"{self.ssh.place}: there is no lock")
        status, errors = self._channel.errors()
        self.ssh.refuse_without_sudo(status, errors)
        reason = errors.splitlines()[-1] if errors else "the connection ended"
        return NotHeld(f"{self.ssh.place}: the lock could not be taken: {reason}. Nothing was changed there.")


def root_program(ssh: StandfastConnector, script: str, arguments: Sequence[str]) -> str:
    """
    A command line that runs bash code as root.

    Its first argument is the client's address, which sudo would not let through.
    """
    sudo = "" if ssh.user == "root" else "sudo -H -n "
    inner = f'exec {sudo}bash -c "$0" standfast "${{SSH_CONNECTION%% *}}" "$@"'
    return f"sh -c {shlex.quote(inner)} {shlex.quote(script)} {shlex.join(arguments)}"


def decoded(text: str) -> str:
    """Text that the server has sent as base64."""
    return b64decode(text).decode(errors="replace").strip()


def _lost(place: str, line: str) -> str:
    _, _, rest = line.partition(" ")
    kind, _, note = rest.partition(" ")
    if kind == "unlocked":
        try:
            by: dict[str, Any] = json.loads(decoded(note))
        except ValueError:
            by = {}
        who, reason = by.get("who", "somebody"), by.get("reason", "no reason given")
        return f"{place}: {who} has taken the lock away: {reason}."
    if kind == "silent":
        return f"{place}: the lock was given back, because nothing was heard of this machine for {SILENCE} s."
    return f"{place}: the lock is lost; its process on the server has ended."


def _ago(since: str) -> str:
    try:
        minutes = (time.time() - datetime.fromisoformat(since).timestamp()) / 60
    except ValueError:
        return ""
    return f" ({minutes:.0f} min ago)" if minutes >= 1 else ""
