"""Thirty servers: which are begun together, when the run stops, its exit code, and how it reads."""

from __future__ import annotations

import pytest
from pyinfra.api.command import PyinfraCommand

from standfast.cli.drift_presentation import print_drift
from standfast.cli.presentation import print_outcome, print_plan, print_totals
from standfast.cli.verification_presentation import print_verification
from standfast.drift.acceptance import Verdict
from standfast.drift.finding import Finding
from standfast.engine.drift import Drift, HostDrift
from standfast.engine.outcome import HostResult, Outcome
from standfast.engine.plan import HostPlan, Plan, PlannedOperation
from standfast.engine.rollout import Limit, Rollout, parse_limit
from standfast.errors import Locked, Refused, StandfastError, Undone
from standfast.operations.change import Change, Step
from standfast.verification.run import Check, Verification

NAMES = [f"web-{number:02}" for number in range(1, 31)]
CHANGE = ("caddy", Change("update", "/etc/caddy/Caddyfile", "", "@@ -1 +1 @@\n-port 80\n+port 81"))


def planned(name: str, *changes: Change, error: Exception | None = None) -> HostPlan:
    """One server's plan."""
    commands: tuple[PyinfraCommand, ...] = tuple(Step("true", changes=[change]) for change in changes)
    operations = [PlannedOperation("caddy", "", commands, "1")] if changes else []
    return HostPlan(name, f"203.0.113.{NAMES.index(name) + 1}", 64, operations, 0.9, error=error)


@pytest.mark.parametrize(
    ("rollout", "names", "batches"),
    [
        (Rollout(), "abc", ["abc"]),
        (Rollout(), "", []),
        (Rollout(2), "abcde", ["ab", "cd", "e"]),
        (Rollout(9), "abc", ["abc"]),
        (Rollout(None, ("c",)), "abcd", ["c", "abd"]),
        (Rollout(1, ("d", "b")), "abcd", ["b", "d", "a", "c"]),
        (Rollout(2, ("c",)), "abcd", ["c", "ab", "d"]),
        (Rollout(2, ("x",)), "abc", ["ab", "c"]),
    ],
)
def test_which_servers_are_begun_together(rollout: Rollout, names: str, batches: list[str]) -> None:
    assert rollout.batches(list(names)) == [list(batch) for batch in batches]


@pytest.mark.parametrize(
    ("rollout", "failed", "why"),
    [
        (Rollout(), "abcdefghi", None),
        (Rollout(2), "", None),
        (Rollout(2), "b", "b failed, and --max-failures is 0 by default"),
        (Rollout(2, (), Limit(1)), "b", None),
        (Rollout(2, (), Limit(1)), "bc", "2 of 10 servers failed, and --max-failures is 1"),
        (Rollout(None, (), Limit(0)), "b", "b failed, and --max-failures is 0"),
        (Rollout(2, (), Limit(20, percent=True)), "bc", None),
        (Rollout(2, (), Limit(19, percent=True)), "bc", "2 of 10 servers failed, and --max-failures is 19%"),
        (Rollout(None, ("a",), Limit(100, percent=True)), "a", "the canary a is not well"),
        (Rollout(None, ("a",), Limit(1)), "b", None),
    ],
)
def test_when_no_further_server_is_begun(rollout: Rollout, failed: str, why: str | None) -> None:
    assert rollout.why_stop(list(failed), 10) == why


def test_limits_on_the_command_line() -> None:
    assert (parse_limit("3"), parse_limit("10%")) == (Limit(3), Limit(10, percent=True))
    for text in ("", "-1", "x", "10 %", "101%", "1.5"):
        with pytest.raises(ValueError, match="expected a number of servers"):
            parse_limit(text)


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ((None, 1), (None, 0), 0),
        ((Locked("x"), 0), (None, 0), 5),
        ((Locked("x"), 0), (None, 1), 1),
        ((Refused("x"), 0), (None, 0), 6),
        ((Refused("x"), 0), (None, 1), 1),
        ((Refused("x"), 0), (Refused("x"), 0), 6),
        ((Refused("x"), 0), (Locked("x"), 0), 1),
        ((Refused("x"), 0), (StandfastError("x"), 1), 1),
        ((Undone("x"), 1), (None, 0), 4),
        ((Undone("x"), 0), (None, 1), 1),
        ((RuntimeError("a bug"), 0), (None, 0), 1),
    ],
)
def test_5_and_6_promise_that_nothing_was_changed(
    first: tuple[Exception | None, int], second: tuple[Exception | None, int], code: int
) -> None:
    hosts = [
        HostResult(name, error=error, done=[CHANGE] * done, begun=bool(done))
        for name, (error, done) in zip(NAMES, (first, second), strict=False)
    ]
    assert Outcome("production", hosts).exit_code == code


def test_an_assertion_that_does_not_hold_and_an_interruption() -> None:
    assert Outcome("lab", [HostResult("a", done=[CHANGE], begun=True, verified=False)]).exit_code == 1
    assert Outcome("lab", [HostResult("a", open=[CHANGE])], interrupted=True).exit_code == 130


def test_a_plan_for_thirty_fits_on_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    alike = [
        planned(name, CHANGE[1], Change("update", "/etc/hostname", f"old → {name}")) for name in NAMES[:27]
    ]
    other = planned(NAMES[27], Change("create", "/etc/other"))
    calm, off = planned(NAMES[28]), planned(NAMES[29], error=StandfastError("web-30: no SSH connection"))
    print_plan(Plan("production", [*alike, other, calm, off]))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 45
    assert lines[0].startswith("web-29  203.0.113.29  64 resources, no changes")
    assert lines[1].startswith("web-01  203.0.113.1   64 resources, 2 changes"), "columns stand in line"
    assert sum("/etc/caddy/Caddyfile" in line for line in lines) == 1
    assert "  the same on all 27, here for web-01:" in lines
    assert lines.index("  the same on all 27, here for web-01:") == 28
    assert lines[-1] == "55 changes on 28 servers; 1 as declared; no plan for web-30"


def test_another_diff_is_another_change(capsys: pytest.CaptureFixture[str]) -> None:
    changes = [Change("update", "/etc/x", "", f"+{word}") for word in ("a", "b", "web-03", "web-030")]
    print_plan(Plan("lab", [planned(name, each) for name, each in zip(NAMES, changes, strict=False)]))
    assert "the same" not in capsys.readouterr().out


def test_an_outcome_for_thirty_ends_with_what_is_not_well_and_the_totals(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = [HostResult(name, done=[CHANGE], begun=True, seconds=1.2) for name in NAMES[:5]]
    failed = HostResult(NAMES[5], open=[CHANGE], begun=True, error=StandfastError("no"))
    waiting = [HostResult(name, open=[CHANGE]) for name in NAMES[6:28]]
    rest = [HostResult(NAMES[28]), HostResult(NAMES[29], error=Locked("locked"))]
    outcome = Outcome("production", [*done, failed, *waiting, *rest], stopped="web-06 failed")
    print_outcome(outcome)
    print_totals(outcome)
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0] == "✓ web-01  1 change in 1.2 s"
    assert lines[-3] == "✓ web-29  no changes"
    assert lines[-2].startswith("· not begun: web-07, web-08, ")
    assert lines[-1] == "30 servers: 5 done, 1 no changes, 1 failed, 1 locked, 22 not begun"
    assert printed.err == "stopped: web-06 failed. No further server was begun.\n"


def test_one_server_needs_no_totals(capsys: pytest.CaptureFixture[str]) -> None:
    print_totals(Outcome("lab", [HostResult("a")]))
    assert capsys.readouterr().out == ""


def test_drift_on_thirty_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    def drifting(name: str, *findings: Finding) -> HostDrift:
        return HostDrift(name, "203.0.113.1", "Etc/UTC", [Verdict(each) for each in findings])

    foreign = Finding("port:tcp/6379", "base", "unmanaged", "port 6379", "redis listens")
    hosts = [*(drifting(name, foreign) for name in NAMES[:28]), drifting(NAMES[28])]
    off = HostDrift(NAMES[29], "203.0.113.30", "Etc/UTC", error=StandfastError("off"))
    print_drift(Drift("production", [*hosts, off]), "standfast apply production")
    text = capsys.readouterr().out
    assert text.count("redis listens") == 1
    assert text.startswith("web-29  203.0.113.1  as declared"), text
    assert "  the same on all 28, here for web-01:\n" in text
    assert "28 differences on 28 of 30 servers; not or not fully compared: web-30. They need" in text


def test_assertions_on_thirty_name_those_that_do_not_hold(capsys: pytest.CaptureFixture[str]) -> None:
    checks = [Check(name, "test_site", "passed", "", "f") for name in NAMES]
    checks.append(Check(NAMES[3], "test_other", "failed", "port 80 is closed", "f"))
    checks += [
        Check(NAMES[4], f"test_{number}", "failed", "unreachable\nand more", "f") for number in range(9)
    ]
    print_verification(Verification(checks, 1.0))
    assert capsys.readouterr().out.splitlines() == [
        "✓ web-01, web-02, web-03, web-06, web-07, … (28 servers)  1 checks hold",
        "✗ web-04  1 checks hold",
        "    ✗ test_other: port 80 is closed",
        "✗ web-05  1 checks hold",
        "    ✗ 9 checks, test_0 first: unreachable",
    ]
