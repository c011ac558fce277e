"""Every rule of the packet filter, whoever made it: all tables, both address families, both backends."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script


@dataclass(frozen=True, slots=True)
class Table:
    """One table, in the words of iptables-save."""

    family: str
    """``ipv4`` or ``ipv6``."""
    name: str
    chains: dict[str, str]
    """Policy by chain; ``-`` for a chain that somebody made."""
    rules: tuple[str, ...]
    """For example ``-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT``."""
    legacy: bool = False
    """Whether it is one of the old backend, which iptables does not show."""
    foreign: bool = False
    """Whether it holds rules of nft that iptables cannot show."""


@dataclass(frozen=True, slots=True)
class PacketFilter:
    """All rules of a server."""

    tables: tuple[Table, ...]
    nft: tuple[str, ...] = ()
    """Tables of nft besides those of iptables, for example ``inet mine``."""
    rivals: tuple[str, ...] = ()
    """Services that would load rules of their own at boot, or have done so: ``ufw``, ``nftables`` …"""


IPTABLES = {
    f"{family} {table}"
    for family in ("ip", "ip6")
    for table in ("filter", "nat", "mangle", "raw", "security")
}


class AllRules(Fact[PacketFilter]):
    """
    All rules of the packet filter; no tables when the server has no iptables.

    Raises:
        CouldNotLook: iptables is installed and does not answer.

    Source: iptables-save(8), nft(8), systemctl(1).
    """

    @override
    def command(self) -> StringCommand:
        return script(_LOOK)

    @override
    def parse(self, answer: Answer) -> PacketFilter:
        if answer.status != 0:
            raise CouldNotLook(f"firewall: could not be read: {answer.reason}. Nothing was changed.")
        sections: dict[str, list[str]] = {}
        for line in answer.lines:
            if line.startswith("== "):
                sections[line.removeprefix("== ")] = []
            elif sections:
                next(reversed(sections.values())).append(line)
        tables: list[Table] = []
        for title, lines in sections.items():
            kind, _, family = title.partition(" ")
            if kind in {"rules", "legacy"}:
                tables += _tables(family, lines, legacy=kind == "legacy")
        nft = [line.removeprefix("table ") for line in sections.get("nft", ())]
        return PacketFilter(
            tuple(tables),
            tuple(table for table in nft if table not in IPTABLES),
            tuple(sections.get("rivals", ())),
        )


def _tables(family: str, lines: list[str], *, legacy: bool) -> list[Table]:
    tables: list[Table] = []
    chains: dict[str, str] = {}
    rules: list[str] = []
    name = ""
    for line in lines:
        if line.startswith("*"):
            name, chains, rules = line[1:], {}, []
        elif line.startswith(":"):
            chain, policy, _ = line[1:].split(" ", 2)
            chains[chain] = policy
        elif line.startswith("-A "):
            rules.append(line)
        elif line == "COMMIT":
            tables.append(Table(family, name, chains, tuple(rules), legacy))
        elif "incompatible, use 'nft' tool" in line:
            tables.append(Table(family, line.split("`")[1].split("'")[0], {}, (), legacy, foreign=True))
    return tables


_LOOK = r"""
for pair in ipv4:iptables ipv6:ip6tables; do
  family=${pair%:*} tool=${pair#*:}
  command -v "$tool-save" > /dev/null || continue
  [ "$family" = ipv4 ] || [ -d /proc/sys/net/ipv6 ] || continue
  echo "== rules $family"; "$tool-save" || exit 1
  case $("$tool" -V) in
    *nf_tables*)
      for table in $(cat "/proc/net/${tool%tables}_tables_names" 2> /dev/null); do
        echo "== legacy $family"; "$tool-legacy-save" -t "$table" 2> /dev/null
      done ;;
  esac
done
if command -v nft > /dev/null; then echo '== nft'; nft list tables || exit 1; fi
echo '== rivals'
for unit in ufw firewalld nftables netfilter-persistent ferm shorewall; do
  systemctl is-active --quiet "$unit" || systemctl is-enabled --quiet "$unit" 2> /dev/null || continue
  [ "$unit" != ufw ] || grep -qsi '^ENABLED=yes' /etc/ufw/ufw.conf || continue
  echo "$unit"
done
:"""
