"""The state of a server as plain items, taken from standfast's own plan, so that every tool gets the same."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from standfast.lab.nspawn import Server

Kind = Literal[
    "packages",
    "file",
    "directory",
    "service",
    "timezone",
    "firewall",
    "volume",
    "image",
    "compose",
    "hostname",
]
# Declared, and right on a blank server already: no plan shows them.
ALREADY = ("ca-certificates", "cron", "curl", "python3", "sudo", "tzdata")
TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
OURS = ("/var/lib/standfast/as-found",)  # notes of standfast's own, which another tool has no use for
AFTERWARDS = {
    "/etc/ssh/sshd_config.d/00-standfast.conf": "systemctl reload ssh",
    "/etc/systemd/system/standfast-firewall.service": "systemctl daemon-reload",
}


@dataclass(frozen=True)
class Item:
    """One thing that a server must have."""

    kind: Kind
    names: tuple[str, ...]
    mode: str = ""
    content: bytes = b""
    then: str = ""
    """Shell code to run when a file was changed."""

    @property
    def name(self) -> str:
        """The only name, or the first."""
        return self.names[0]


def items(plan: dict[str, Any], server: Server, archives: dict[str, str]) -> list[Item]:
    """
    What has to be declared for a server like this one, in the order of standfast's plan.

    + plan: of standfast, as JSON, from when the server was blank
    + server: after that plan was applied; contents of files are read there
    + archives: file on this machine by name of image
    """
    found = [
        Item("hostname", (server.name,)),
        Item("packages", ALREADY),
        *_grouped(_items(plan["hosts"][0]["changes"], archives)),
        *(Item("service", (timer,)) for timer in TIMERS),
    ]
    return [_read(server, each) if each.kind == "file" else each for each in found]


def _items(changes: Iterable[dict[str, Any]], archives: dict[str, str]) -> Iterator[Item]:
    composed = False
    for change in changes:
        target = change["target"]
        noun, _, name = target.partition(" ")
        if target in OURS or change["action"] == "reload":
            continue
        if target == "time zone":
            yield Item("timezone", (change["detail"].partition("→ ")[2].partition(";")[0],))
        elif target.startswith("/"):
            yield Item(
                "directory" if target.endswith("/") else "file", (target,), then=AFTERWARDS.get(target, "")
            )
        elif noun == "package":
            yield Item("packages", (name,))
        elif noun == "volume":
            yield Item("volume", (name,))
        elif noun == "image":
            yield Item("image", (name, archives[name]))
        elif target == "IPv4 firewall":
            yield Item("firewall", ("iptables-save", "ip6tables-save"))
        elif re.fullmatch(r"[\w@-]+\.(service|timer)", target):
            yield Item("service", (target,))
        elif change["subject"] == "apps" and not composed:
            composed = True
            yield Item("compose", (target.partition("/")[0],))


def _grouped(found: Iterable[Item]) -> list[Item]:
    """Packages that follow each other are one item: every tool installs them together."""
    grouped: list[Item] = []
    for each in found:
        if grouped and each.kind == grouped[-1].kind == "packages":
            grouped[-1] = replace(grouped[-1], names=grouped[-1].names + each.names)
        else:
            grouped.append(each)
    return grouped


def _read(server: Server, item: Item) -> Item:
    path = shlex.quote(item.name)
    mode, content = server.run(f"sudo stat -c %a {path}; sudo base64 -w0 {path}").stdout.split("\n", 1)
    return replace(item, mode=mode, content=base64.b64decode(content))


def described(found: Iterable[Item]) -> str:
    """How many of what, for the report."""
    kinds: dict[str, int] = {}
    for each in found:
        kinds[each.kind] = kinds.get(each.kind, 0) + (len(each.names) if each.kind == "packages" else 1)
    return json.dumps(kinds)
