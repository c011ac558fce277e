"""From a loaded inventory to one declaration per server, secrets included."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from standfast.declaration import Declaration
from standfast.errors import UsageError
from standfast.inventory.loader import Loaded
from standfast.inventory.secrets import resolve


def declarations(loaded: Loaded, limit: Collection[str] = ()) -> list[Declaration]:
    """
    The servers of an inventory, or those named in `limit`; each secret is fetched once.

    Raises:
        UsageError: a name in `limit` is in no inventory; no host was contacted.
        InventoryError: a secret cannot be had; no host was contacted.
    """
    hosts = loaded.inventory.hosts
    for name in limit:
        if name not in hosts:
            close = get_close_matches(name, hosts, 1)
            hint = f"did you mean `{close[0]}`?" if close else f"it has: {', '.join(hosts)}"
            raise UsageError(f"--limit {name}: {loaded.path} has no such host; {hint}")
    return [
        Declaration(
            name=name,
            environment=loaded.inventory.environment,
            host=host,
            root=loaded.root,
            secrets={
                app: {
                    key: resolve(secret, root=loaded.root, where=f"hosts.{name}.apps.{app}.secrets.{key}")
                    for key, secret in declared.secrets.items()
                }
                for app, declared in host.apps.items()
            },
        )
        for name, host in hosts.items()
        if not limit or name in limit
    ]
