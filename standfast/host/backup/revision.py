"""Which commit of the team's repository this server was applied from last: its own audit log knows."""

from __future__ import annotations

import json
from pathlib import Path

AUDIT_LOG = Path("/var/log/standfast/audit.jsonl")


def applied(log: Path = AUDIT_LOG) -> str | None:
    """The commit, with ``+changes`` when files differed from it; ``None`` when it is not known."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("action") == "apply" and record.get("revision"):
            return f"{record['revision']}{'+changes' if record.get('dirty') else ''}"
    return None
