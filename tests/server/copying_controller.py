"""
An apply with a safety copy of the test's own, as the engine makes it.

python -m tests.server.copying_controller WAY INVENTORY

+ WAY: ``copies`` what is there, ``fails``, or has ``nothing`` to copy

Prints the outcome as JSON; the exit code is that of apply.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import standfast.engine.patched  # noqa: F401 - gevent first
from standfast.engine.apply import apply
from standfast.engine.before_changes import Upcoming
from standfast.engine.caller import caller
from standfast.engine.declarations import declarations
from standfast.engine.holds import holding
from standfast.engine.servers import connected, exit_code
from standfast.errors import StandfastError
from standfast.inventory.loader import load

WAY, INVENTORY = sys.argv[1:]
# What is being done reaches the server by another way, and may be a moment later.
COPY = """
rm -rf /root/copy && cp -a /etc/trial /root/copy || exit
for _ in $(seq 50); do grep -q 'safety copy' /run/standfast/owner.json && break; sleep 0.1; done
cat /run/standfast/owner.json > /root/copy/owner
"""


def copy(server: Upcoming) -> str | None:
    """What WAY says; the copy itself shows when it was made."""
    if WAY == "nothing":
        return None
    server.report("taking the safety copy")
    if WAY == "fails":
        raise StandfastError("the repository does not answer")
    status, _, errors = server.ssh.exchange(server.ssh.as_root(COPY))
    assert status == 0, errors
    return f"copy of {len(server.plan.changes)} things on {server.declaration.name}"


def main() -> int:
    """Apply without a question."""
    loaded = load(Path(INVENTORY))
    by = caller(loaded, "apply")
    with (
        connected(loaded, declarations(loaded)) as servers,
        holding(servers, by, report=lambda _: None, tell=print) as holds,
    ):
        plan = servers.plan()
        holds.planned(plan.hosts, whole=True)
        outcome = apply(servers, plan, (), holds, progress=lambda _: None, stopping=lambda: None, copy=copy)
    print(json.dumps(outcome.as_json()))
    return exit_code([each.error for each in outcome.hosts if each.error])


sys.exit(main())
