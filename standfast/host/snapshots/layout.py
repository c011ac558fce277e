"""Where everything is on the server."""

from __future__ import annotations

import os
from pathlib import Path

CONFIGURATION = Path("/etc/standfast/snapshots.json")
STATE = Path(os.environ.get("STANDFAST_SNAPSHOT_STATE", "/var/lib/standfast/snapshots"))
RUNS = STATE / "runs"
"""One file of JSON lines for every run; lines are only ever added."""
LOCK = STATE / "lock"
MOUNTS = Path("/run/standfast/snapshots")
"""Where whole file systems are mounted, seen by the program only and gone with it."""
