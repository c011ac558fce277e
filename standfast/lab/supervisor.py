"""
Runs one server for as long as it is on: mounts its disk, boots it, boots it again on reboot.

It outlives the command that started it and needs nothing but the standard library. It is
started in a mount namespace of its own, so the mount ends with the last process of the server,
whatever ends it. Its only argument is the server's folder, which holds ``boot.json``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

# systemd-nspawn's way to say that the server asked for a reboot.
REBOOT = 133


def main(folder: Path) -> int:
    """Boot the server in this folder until it is switched off; returns nspawn's exit code."""
    # A destroy may have come between the start of this process and now.
    boot = json.loads((folder / "boot.json").read_text())
    for group in boot["cgroups"]:
        enter(Path(group))
    subprocess.run(boot["mount"], check=True)
    environment = {**os.environ, **boot["environment"]}
    while True:
        nspawn = subprocess.Popen(boot["nspawn"], env=environment)
        power_off_with_us(nspawn)
        code = nspawn.wait()
        print(f"systemd-nspawn ended with {code}", flush=True)
        if code != REBOOT:
            return code


def enter(group: Path) -> None:
    """
    Put this process into a control group of the server's own.

    systemd-nspawn makes its groups below the one it runs in. Two servers in one group would
    share `system.slice/ssh.service`, and the one that restarts it would kill the other's.
    """
    group.mkdir(parents=True, exist_ok=True)
    (group / "cgroup.procs").write_text(str(os.getpid()))


def power_off_with_us(nspawn: subprocess.Popen[bytes]) -> None:
    """When this machine shuts down, let the server shut down in order."""

    def pass_on(_signal: int, _frame: FrameType | None) -> None:
        nspawn.terminate()

    signal.signal(signal.SIGTERM, pass_on)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
