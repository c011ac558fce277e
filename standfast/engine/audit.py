"""
Audit records: who did what to which server, from where, with which outcome.

A record names what was changed and never holds contents or secrets. Its fields: docs/audit.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from standfast.engine import controller_log
from standfast.engine.caller import Caller
from standfast.engine.comparison import NotCompared, NotConverged
from standfast.engine.connector import ConnectionLost, LockLost, NoSudo, Unreachable
from standfast.engine.journal import steps
from standfast.engine.plan import HostPlan, Plan
from standfast.errors import CouldNotLook, Interrupted, Locked, Refused, StandfastError, Undone
from standfast.inventory.loader import Loaded

REASON_LENGTH = 500  # characters

OUTCOMES: tuple[tuple[type[Exception], str], ...] = (
    (Locked, "locked"),
    (CouldNotLook, "could not look"),
    (Refused, "refused"),
    (Unreachable, "unreachable"),
    (NoSudo, "no sudo"),
    (ConnectionLost, "connection lost"),
    (LockLost, "lock lost"),
    (Undone, "undone"),
    (Interrupted, "interrupted"),
    (NotConverged, "not converged"),
    (NotCompared, "not compared"),
)


def plan_hash(plan: HostPlan) -> str:
    """sha256 of what a plan shows for one server, diffs included; equal plans have equal ones."""
    shown = [change.of(subject) for subject, change in plan.changes]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def outcome_of(error: Exception) -> str:
    """One or two words for how a run ended on a server."""
    return next((word for kind, word in OUTCOMES if isinstance(error, kind)), "failed")


def exit_code_of(error: Exception) -> int:
    """The exit code that an error alone leads to."""
    return error.exit_code if isinstance(error, StandfastError) else 1


def reason_of(error: Exception) -> dict[str, str]:
    """Why something was refused; other messages may quote a command's output, which stays out."""
    if isinstance(error, (Refused, Locked, NotConverged)):
        return {"reason": str(error)[:REASON_LENGTH]}
    return {}


def flat(some: Sequence[Sequence[str]]) -> list[str]:
    """The changes of several commands, one after the other."""
    return [change for step in some for change in step]


def now() -> str:
    """The time as it stands in records."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def remember_plan(loaded: Loaded, by: Caller, plan: Plan, tell: Callable[[str], None]) -> None:
    """Record a plan: on the controller only, since a plan writes nothing on servers."""
    records = []
    for host in plan.hosts:
        record: dict[str, object] = {"time": now(), **by.record(host.name), "seconds": round(host.seconds, 1)}
        if host.error is None:
            record |= {
                "plan": plan_hash(host),
                "planned": flat(steps(host)),
                "outcome": "changes" if host.operations else "no changes",
                "exit": 2 if host.operations else 0,
            }
        else:
            record |= {"outcome": outcome_of(host.error), "exit": exit_code_of(host.error)}
            record |= reason_of(host.error)
        records.append(record)
    remember(loaded, records, tell)


def remember_refusal(loaded: Loaded, by: Caller, error: Exception, tell: Callable[[str], None]) -> None:
    """Record that a run was refused before any server was contacted."""
    record = {"time": now(), **by.record(None), "outcome": outcome_of(error), "exit": exit_code_of(error)}
    remember(loaded, [record | reason_of(error)], tell)


def remember(loaded: Loaded, records: Sequence[dict[str, object]], tell: Callable[[str], None]) -> None:
    """Add records to the controller's log; a run does not fail because this machine's disk is full."""
    try:
        log = controller_log.path(loaded)
    except controller_log.NoHome as error:
        tell(f"this run could not be recorded: {error}")
        return
    try:
        controller_log.append(log, records)
    except OSError as error:
        tell(f"this run could not be recorded in {log}: {error.strerror}")
