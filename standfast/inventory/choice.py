"""Which servers of an inventory a command is about."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from standfast.errors import UsageError
from standfast.inventory.loader import Loaded


def chosen_hosts(loaded: Loaded, limit: Collection[str] = ()) -> list[str]:
    """
    Names of all servers of an inventory, or of those in `limit`.

    Raises:
        UsageError: a name in `limit` is not in the inventory; no host was contacted.
    """
    hosts = loaded.inventory.hosts
    for name in limit:
        if name not in hosts:
            close = get_close_matches(name, hosts, 1)
            hint = f"did you mean `{close[0]}`?" if close else f"it has: {', '.join(hosts)}"
            raise UsageError(f"--limit {name}: {loaded.path} has no such host; {hint}")
    return [name for name in hosts if not limit or name in limit]
