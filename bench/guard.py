"""
What a shim of `standfast guard install` adds to a harmless command: ``python -m bench.guard``.

Each command is a program that does nothing, called directly and through its shim, in turns. Printed, never
asserted: a busy machine says nothing about a shim. Beside the time that passes stands the processor's own,
which tells more when others are at work.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

from standfast.guard import shims
from standfast.host.guard.classification import shipped

ROUNDS = 40
COMMANDS = {
    "decided by the shell": (
        "docker ps -a",
        "docker exec web ls",
        "npx eslint .",
        "python script.py",
        "alembic upgrade head",
    ),
    "judged by Python": ("psql -c 'SELECT 1' shop", "npm run dev", "npx prisma generate"),
}


def main() -> None:
    """Measure and print."""
    nothing = shutil.which("true")
    assert nothing, "there is no `true` here"  # noqa: S101 - a benchmark
    with tempfile.TemporaryDirectory() as folder:
        real, guards = Path(folder, "real"), Path(folder, "guards")
        real.mkdir()
        for name in {line.split()[0] for each in COMMANDS.values() for line in each}:
            (real / name).symlink_to(nothing)
        shims.install(guards, shipped())
        environment = {"PATH": f"{guards}:{real}:/usr/bin:/bin", "HOME": folder}
        print(f"{'':24}{'command':28}{'median':>9}{'95 %':>9}{'processor':>12}   added, of {ROUNDS} runs")
        for what, lines in COMMANDS.items():
            for line in lines:
                name, *rest = line.replace("'", "").split(maxsplit=1)
                words = [name, *(rest[0].split() if rest else [])]
                added = _added(words, guards, real, environment, Path(folder))
                passed, busy = [each[0] for each in added], median(each[1] for each in added)
                slowest = quantiles(passed, n=20)[-1]
                print(f"{what:24}{line:28}{median(passed):6.1f} ms{slowest:6.1f} ms{busy:9.1f} ms")


def _added(
    words: Sequence[str], guards: Path, real: Path, environment: dict[str, str], folder: Path
) -> list[tuple[float, float]]:
    """Milliseconds that passed, and those of the processor, of each pair of runs."""
    found = []
    for _ in range(ROUNDS):
        direct = _seconds([str(real / words[0]), *words[1:]], environment, folder)
        guarded = _seconds([str(guards / words[0]), *words[1:]], environment, folder)
        found.append(((guarded[0] - direct[0]) * 1000, (guarded[1] - direct[1]) * 1000))
    return found


def _seconds(command: Sequence[str], environment: dict[str, str], folder: Path) -> tuple[float, float]:
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True
    )
    passed, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return passed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    main()
