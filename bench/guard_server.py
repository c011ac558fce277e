"""
What shims on a server (``guards: {shims: true}``) add to harmless commands: ``python -m bench.guard_server``.

A lab server with the shims and nothing else; each command directly and through its shim, in turns, by the
server's own clock; and what Python alone takes to start there. Printed, never asserted. Needs root (or sudo)
for the lab's server.
"""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median, quantiles

from bench.declared import Declared, throwaway
from bench.main import reached
from standfast.lab import nspawn
from standfast.operations import shims

ROUNDS = 40
COMMANDS = {
    "decided by the shell": ("systemctl is-active cron", "rm -f /tmp/nothing", "sudo true"),
    "judged by Python": (
        "iptables -L -n",
        "systemctl restart bench-nothing",
        "sudo true --no-remove",
    ),
}
PYTHON = "python3 -IS -c pass"
UNIT = "/etc/systemd/system/bench-nothing.service"
PREPARE = f"printf '[Service]\\nType=oneshot\\nExecStart=/bin/true\\n' > {UNIT}; systemctl daemon-reload"
# Microseconds of the command directly, then through its shim, a line each round.
LOOP = """
for _ in $(seq {rounds}); do
  a=$EPOCHREALTIME; {real} > /dev/null 2>&1 < /dev/null
  b=$EPOCHREALTIME; {guarded} > /dev/null 2>&1 < /dev/null
  c=$EPOCHREALTIME
  echo $(( ${{b/./}} - ${{a/./}} )) $(( ${{c/./}} - ${{b/./}} ))
done
"""


def main() -> None:
    """Measure, print, take the server away."""
    with throwaway() as folder:
        server = nspawn.up("bench-guard")
        bench = Declared(folder)
        with reached([server], folder, 0) as targets:
            bench.inventory("guard", targets, {"guards": {"shims": True}})
            command = [sys.executable, "-m", "standfast.cli.main", "apply", "guard", "--yes", "--no-verify"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        server.run("sudo bash -s", input=PREPARE)
        print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        print(f"{'':24}{'command':34}{'median':>9}{'95 %':>12}   added, of {ROUNDS} runs")
        for what, lines in COMMANDS.items():
            for line in lines:
                real = f"PATH=/usr/sbin:/usr/bin:/sbin:/bin {line}"
                _print(what, line, _added(server, real, f"{shims.FOLDER}/{line}"))
        _print("Python alone", PYTHON, _added(server, ":", PYTHON))


def _print(what: str, command: str, added: list[float]) -> None:
    print(f"{what:24}{command:34}{median(added):6.1f} ms{quantiles(added, n=20)[-1]:9.1f} ms")


def _added(server: nspawn.Server, real: str, guarded: str) -> list[float]:
    """Milliseconds of each round that the second command takes longer than the first."""
    loop = LOOP.format(rounds=ROUNDS, real=real, guarded=guarded)
    pairs = [line.split() for line in server.run("sudo bash -s", input=loop).stdout.splitlines()]
    return [(int(guarded) - int(direct)) / 1000 for direct, guarded in pairs]


if __name__ == "__main__":
    main()
