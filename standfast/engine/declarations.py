"""From a loaded inventory to one declaration per server, secrets included."""

from __future__ import annotations

from collections.abc import Collection

from standfast.declaration import Declaration
from standfast.inventory.choice import chosen_hosts
from standfast.inventory.loader import Loaded
from standfast.inventory.secrets import resolve_all


def declarations(
    loaded: Loaded, limit: Collection[str] = (), *, elsewhere: bool = False
) -> list[Declaration]:
    """
    The servers of an inventory, or those named in `limit`; each secret is fetched once.

    + elsewhere: whether their firewalls may shut out this machine

    Raises:
        UsageError: a name in `limit` is not in the inventory; no host was contacted.
        InventoryFaults: secrets that cannot be had; no host was contacted.
    """
    names = chosen_hosts(loaded, limit)
    secrets = resolve_all(loaded, hosts=names)
    return [
        Declaration(
            name=name,
            environment=loaded.inventory.environment,
            host=loaded.inventory.hosts[name],
            root=loaded.root,
            secrets=secrets[name],
            elsewhere=elsewhere,
        )
        for name in names
    ]
