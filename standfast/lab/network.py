"""
The lab's network: one bridge that its servers hang on, with a way out for apt.

Everything here is either found by the bridge's name or written down before it is changed, so
it can be taken away after a crash at any moment.
"""

from __future__ import annotations

import ipaddress
import json
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from standfast.errors import StandfastError
from standfast.lab import kernel
from standfast.lab.places import (
    BRIDGE_PREFIX,
    DEFAULT_ROOT,
    RUNTIME,
    Lab,
    file_lock,
    write_atomically,
)
from standfast.lab.programs import run

FIRST_SERVER = 10
LAST_SERVER = 250


@dataclass(frozen=True, slots=True)
class Subnet:
    """10.203.N.0/24 and fd5f:203:N::/64; this machine is .1, servers are .10 to .250."""

    number: int

    @property
    def network(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(f"10.203.{self.number}.0/24")

    @property
    def network6(self) -> ipaddress.IPv6Network:
        return ipaddress.IPv6Network(f"fd5f:203:{self.number}::/64")

    def address(self, host: int) -> str:
        return f"10.203.{self.number}.{host}"

    def address6(self, host: int) -> str:
        """The same last number in both families; it reads alike in decimal."""
        return f"fd5f:203:{self.number}::{host}"

    def hardware_address(self, host: int) -> str:
        """Follows from the address, so that a reused address never meets a stale neighbour."""
        return f"02:5f:0a:cb:{self.number:02x}:{host:02x}"


def subnet(lab: Lab) -> Subnet:
    """
    The lab's subnet; the first call chooses one that this machine has no route to.

    Raises:
        StandfastError: all 256 are in use.
    """
    if lab.network.exists():
        return Subnet(json.loads(lab.network.read_text())["subnet"])
    taken = list(_routes(lab.bridge))
    first = 77 if lab.root == DEFAULT_ROOT else sha256(str(lab.root).encode()).digest()[0]
    for number in (n % 256 for n in range(first, first + 256)):
        one = Subnet(number)
        if not any(_overlap(route, one) for route in taken):
            lab.root.mkdir(parents=True, exist_ok=True)
            write_atomically(lab.network, json.dumps({"subnet": number, "bridge": lab.bridge}) + "\n")
            return one
    raise StandfastError("lab: every network from 10.203.0.0/24 to 10.203.255.0/24 is in use")


def free_host(one: Subnet, addresses: Collection[str]) -> int:
    """
    The lowest host number that no server has.

    Raises:
        StandfastError: the lab is full.
    """
    for host in range(FIRST_SERVER, LAST_SERVER + 1):
        if one.address(host) not in addresses:
            return host
    raise StandfastError(
        f"lab: all {LAST_SERVER - FIRST_SERVER + 1} addresses are taken; destroy a server first"
    )


def up(lab: Lab) -> None:
    """Make bridge, addresses, forwarding and rules be there; what is there stays."""
    one = subnet(lab)
    with file_lock(RUNTIME / "machine.lock"):
        kernel.prepare()
        if not exists(lab.bridge):
            run(["ip", "link", "add", lab.bridge, "type", "bridge", "forward_delay", "0"])
        run(["ip", "addr", "replace", f"{one.address(1)}/24", "dev", lab.bridge])
        run(["ip", "addr", "replace", f"{one.address6(1)}/64", "dev", lab.bridge, "nodad"])
        run(["ip", "link", "set", lab.bridge, "up"])
        wanted = _wanted_rules(lab, one)
        if len(list(_our_rules(lab))) != len(wanted):
            _remove_rules(lab)
            for tool, table, words in wanted:
                run([tool, "-w", "-t", table, *words])


def down(lab: Lab) -> None:
    """Take away what ``up`` made; with the last lab, the kernel's settings are as before the first."""
    with file_lock(RUNTIME / "machine.lock"):
        _remove_rules(lab)
        if exists(lab.bridge):
            run(["ip", "link", "del", lab.bridge])
        if not _bridges():
            kernel.give_back()
    lab.network.unlink(missing_ok=True)


def remove_link(name: str) -> None:
    """Remove a server's link when the kernel has not done so by itself."""
    if exists(name):
        run(["ip", "link", "del", name], check=False)


def exists(link: str) -> bool:
    """Whether this machine has a network link of that name."""
    return (Path("/sys/class/net") / link).exists()


def mtu() -> int:
    """The largest packet that leaves this machine, in bytes (1500 when there is no way out)."""
    for route in json.loads(run(["ip", "-j", "-4", "route", "show", "default"]).stdout or "[]"):
        device = Path("/sys/class/net") / str(route.get("dev")) / "mtu"
        if device.exists():
            return min(1500, int(device.read_text()))
    return 1500


def _bridges() -> list[str]:
    return [link.name for link in Path("/sys/class/net").glob(f"{BRIDGE_PREFIX}*")]


def _routes(bridge: str) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for family in ("-4", "-6"):
        text = run(["ip", "-j", family, "route", "show", "table", "all"]).stdout
        for route in json.loads(text or "[]"):
            if route["dst"] != "default" and route.get("dev") != bridge:
                yield ipaddress.ip_network(route["dst"], strict=False)


def _overlap(route: ipaddress.IPv4Network | ipaddress.IPv6Network, one: Subnet) -> bool:
    if isinstance(route, ipaddress.IPv4Network):
        return route.overlaps(one.network)
    return route.overlaps(one.network6)


Rule = tuple[str, str, tuple[str, ...]]


def _wanted_rules(lab: Lab, one: Subnet) -> list[Rule]:
    """
    Out to the world for apt, and through a FORWARD policy of DROP, which Docker sets on a host.

    With bridge netfilter on, packets between two servers pass FORWARD as well, in both families.
    """
    mark = ("-m", "comment", "--comment", f"standfast-lab:{lab.bridge}")
    inside = ("-i", lab.bridge)
    back = ("-o", lab.bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
    out = ("-s", str(one.network), "!", "-d", str(one.network))
    between = (*inside, "-o", lab.bridge)
    return [
        ("iptables", "nat", ("-A", "POSTROUTING", *out, *mark, "-j", "MASQUERADE")),
        ("iptables", "filter", ("-I", "FORWARD", *inside, *mark, "-j", "ACCEPT")),
        ("iptables", "filter", ("-I", "FORWARD", *back, *mark, "-j", "ACCEPT")),
        ("ip6tables", "filter", ("-I", "FORWARD", *between, *mark, "-j", "ACCEPT")),
    ]


def _remove_rules(lab: Lab) -> None:
    for tool, table, words in list(_our_rules(lab)):
        run([tool, "-w", "-t", table, "-D", *words[1:]])


def _our_rules(lab: Lab) -> Iterator[Rule]:
    """The rules that carry this lab's mark, as iptables lists them."""
    for tool, table, chain in (
        ("iptables", "nat", "POSTROUTING"),
        ("iptables", "filter", "FORWARD"),
        ("ip6tables", "filter", "FORWARD"),
    ):
        for line in run([tool, "-w", "-t", table, "-S", chain]).stdout.splitlines():
            words = tuple(shlex.split(line))
            if f"standfast-lab:{lab.bridge}" in words:
                yield tool, table, words
