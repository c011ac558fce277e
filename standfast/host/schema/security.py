"""Row level security as it was declared, held against what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from standfast.host.schema.catalogue import Catalogue, Key
from standfast.host.schema.comparison import ONLY_LIVE, ONLY_OTHER, ROW_SECURITY, Difference

BYPASSES = "bypasses row level security"
OFF, ON, FORCED = "off", "on", "on and forced"
STATES = {"off": OFF, "on": ON, "forced": FORCED}


@dataclass(frozen=True)
class Protected:
    """What is declared of one table."""

    state: str
    """``off``, ``on``, or ``forced``: for the table's owner too."""
    policies: tuple[str, ...] | None = None
    """Names of all its policies; ``None``: any."""


@dataclass(frozen=True)
class Declared:
    """The whole declaration: a table with row level security that is not in it is a difference too."""

    tables: Mapping[str, Protected] = field(default_factory=dict)
    """By ``schema.table``; without a schema it is in ``public``."""
    bypass: tuple[str, ...] | None = None
    """Roles that may see every row, besides the one that the server was made with; ``None``: any."""


def differences(declared: Declared, live: Catalogue, superuser: str) -> list[Difference]:
    """What is not as declared."""
    return [*_tables(declared, live), *_roles(declared, live, superuser)]


def bypassing(live: Catalogue) -> list[str]:
    """Roles that see every row, whatever the policies say."""
    return [key.name for key in live.of_kind("role") if live.objects[key].get(BYPASSES) == "yes"]


def protected(live: Catalogue) -> list[Key]:
    """Tables with row level security."""
    return [key for key in live.of_kind("table") if live.objects[key].get(ROW_SECURITY) != OFF]


def _tables(declared: Declared, live: Catalogue) -> Iterator[Difference]:
    wanted = {_key(name): each for name, each in declared.tables.items()}
    for key, each in sorted(wanted.items()):
        if key not in live.objects:
            yield Difference(key, ONLY_OTHER, other=f"{ROW_SECURITY} {STATES[each.state]}")
            continue
        found = live.objects[key].get(ROW_SECURITY, OFF)
        if found != STATES[each.state]:
            yield Difference(key, ROW_SECURITY, found, STATES[each.state])
        own = [k.name for k in live.of_kind("policy") if (k.schema, k.table) == (key.schema, key.name)]
        for name in own if each.policies is not None else ():
            if name not in (each.policies or ()):
                yield Difference(Key("policy", key.schema, name, key.name), ONLY_LIVE, live="a policy")
        for name in each.policies or ():
            if name not in own:
                yield Difference(Key("policy", key.schema, name, key.name), ONLY_OTHER, other="a policy")
    for key in protected(live):
        if key not in wanted:
            yield Difference(key, ROW_SECURITY, live.objects[key][ROW_SECURITY], "not declared")


def _roles(declared: Declared, live: Catalogue, superuser: str) -> Iterator[Difference]:
    if declared.bypass is None:
        return
    found = set(bypassing(live)) - {superuser}
    for name in sorted(found - set(declared.bypass)):
        yield Difference(Key("role", "", name), BYPASSES, "yes", "not declared")
    for name in sorted(set(declared.bypass) - found - {superuser}):
        yield Difference(Key("role", "", name), BYPASSES, "no", "yes")


def _key(name: str) -> Key:
    schema, dot, table = name.partition(".")
    return Key("table", schema, table) if dot else Key("table", "public", schema)
