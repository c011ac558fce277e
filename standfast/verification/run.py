"""Run the suite, and the user's own tests with it, in a pytest of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from standfast.documents import VerificationDocument
from standfast.errors import StandfastError
from standfast.inventory.loader import Loaded

SUITE = Path(__file__).parent / "suite"
ASSERTIONS_FAILED = 1


@dataclass(frozen=True, slots=True)
class Check:
    """One assertion's outcome."""

    server: str
    check: str
    outcome: Literal["passed", "failed", "skipped"]
    message: str
    file: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What all assertions found."""

    checks: list[Check]
    seconds: float

    def failed(self) -> list[Check]:
        """Assertions that do not hold, or could not be made."""
        return [check for check in self.checks if check.outcome == "failed"]

    def as_json(self) -> VerificationDocument:
        """What ``standfast verify --json`` says of it, and ``standfast apply --json``."""
        return {
            "seconds": round(self.seconds, 3),
            "checks": [
                {
                    "server": check.server,
                    "check": check.check,
                    "outcome": check.outcome,
                    "message": check.message,
                    "file": check.file,
                }
                for check in self.checks
            ],
        }


def verify(loaded: Loaded, hosts: Sequence[str] = ()) -> Verification:
    """
    Make every assertion on the live servers; nothing is changed there.

    + hosts: names of the servers; none means all

    Raises:
        StandfastError: the assertions could not be made at all; not made is not passed.
    """
    started = time.monotonic()
    own = loaded.file(loaded.inventory.tests)
    with TemporaryDirectory(prefix="standfast-") as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:testinfra"),
                *("-p", "no:pytest11.testinfra", "-p", "standfast.verification.plugin"),
                *("--rootdir", str(SUITE), "-c", str(SUITE / "pytest.ini"), "--import-mode=importlib"),
                *("--inventory", str(loaded.path), "--report", str(report)),
                *(argument for name in hosts for argument in ("--host", name)),
                str(SUITE),
                *([str(own)] if own.is_dir() else []),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, ASSERTIONS_FAILED) or not report.exists():
            raise StandfastError(f"the assertions could not be made:\n{done.stdout}{done.stderr}")
        checks = [Check(**each) for each in json.loads(report.read_text(encoding="utf-8"))]
    if not checks:
        raise StandfastError("no assertion was made; not made is not passed")
    return Verification(checks, time.monotonic() - started)


def together(some: Sequence[Verification]) -> Verification | None:
    """Several verifications as one; ``None`` when there is none."""
    if not some:
        return None
    return Verification([check for each in some for check in each.checks], sum(each.seconds for each in some))
