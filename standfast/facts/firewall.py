"""The packet filter: our own chains, the jumps to them, and who else rules there."""

from __future__ import annotations

import gzip
import shlex
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script

PREFIX = "STANDFAST-"
NOT_INSTALLED, BAD_RULES = 9, 11


def packed(text: str) -> str:
    """Rules for a command line, which Linux limits to 128 KiB: for ``base64 -d | gzip -d``."""
    return b64encode(gzip.compress(text.encode(), mtime=0)).decode()


@dataclass(frozen=True, slots=True)
class Rules:
    """Our rules in one address family, in the spelling of iptables-save."""

    chains: tuple[str, ...]
    """All rules of our chains; a chain without rules is there as ``:NAME``."""
    jumps: tuple[str, ...]
    """The jumps to our chains, each with its place, for example ``-I INPUT 1 -j STANDFAST-INPUT``."""

    @property
    def text(self) -> str:
        """One rule a line."""
        return "".join(f"{line}\n" for line in (*self.jumps, *self.chains))


@dataclass(frozen=True, slots=True)
class Filter:
    """What is in force, and what candidates would be, in the same spelling."""

    live: dict[str, Rules]
    """By ``ipv4`` and ``ipv6``; a family that the server does not have is left out."""
    wanted: dict[str, Rules]
    fault: str
    """What iptables says against the candidates; empty when nothing."""
    reachable: bool | None
    """Whether a new connection from the client to the port would be let in; ``None``: not tried."""


class Firewall(Fact["Filter | None"]):
    """
    Our chains as they are and as they would be; ``None`` when iptables is not installed.

    The candidates are loaded in a network namespace of their own, which is gone afterwards: so iptables
    itself says whether they are right, how it would spell them, and whether a connection gets through.

    + ipv4, ipv6: candidates, complete texts for iptables-restore
    + client, server, port: a connection that must be possible; empty texts when there is none

    Raises:
        CouldNotLook: iptables is installed and does not answer.

    Source: iptables-save(8), iptables-restore(8), unshare(1).
    """

    @override
    def command(self, ipv4: str, ipv6: str, client: str, server: str, port: int) -> StringCommand:
        values = {"ipv4": packed(ipv4), "ipv6": packed(ipv6), "client": client, "server": server}
        given = "; ".join(f"{name}={shlex.quote(value)}" for name, value in values.items())
        return script(f"{given}; port={port}\nexport ipv4 ipv6 client server port\n{_LOOK}")

    @override
    def parse(self, answer: Answer) -> Filter | None:
        if answer.status == NOT_INSTALLED:
            return None
        if answer.status not in {0, BAD_RULES}:
            raise CouldNotLook(f"firewall: could not be read: {answer.reason}. Nothing was changed.")
        sections = _sections(answer.lines)
        live = {name.split()[1]: _rules(lines) for name, lines in sections.items() if name.startswith("live")}
        wanted = {
            name.split()[1]: _rules(lines) for name, lines in sections.items() if name.startswith("wanted")
        }
        said = [line for line in answer.errors if not line.startswith("Try `")]
        fault = "; ".join(said) or answer.reason if answer.status == BAD_RULES else ""
        tried = {"accepted": True, "dropped": False}
        return Filter(live, wanted, fault, tried.get("".join(sections.get("connection", []))))


class OtherFirewalls(Fact[list[str]]):
    """
    Programs that keep rules of their own and would fight with ours, and rules that ours cannot see.

    Of ``ufw``, ``firewalld``, ``nftables`` (the service), ``iptables-legacy`` and ``iptables-nft`` (the one
    that iptables does not show).

    Source: systemctl(1), ufw.conf(5), iptables-legacy(8).
    """

    @override
    def command(self) -> StringCommand:
        return script(_OTHERS)

    @override
    def parse(self, answer: Answer) -> list[str]:
        if answer.status != 0:
            raise CouldNotLook(f"firewall: could not be read: {answer.reason}. Nothing was changed.")
        return answer.lines


def _sections(lines: list[str]) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        if line.startswith("== "):
            name = line.removeprefix("== ")
            sections[name] = []
        else:
            sections.setdefault(name, []).append(line)
    return sections


def _rules(saved: list[str]) -> Rules:
    """Our part of what iptables-save printed."""
    names = sorted(line[1:].split()[0] for line in saved if line.startswith(f":{PREFIX}"))
    chains: list[str] = []
    for name in names:
        rules = [line for line in saved if line.startswith(f"-A {name} ")]
        chains += rules or [f":{name}"]
    return Rules(tuple(chains), tuple(_jumps(saved)))


def _jumps(saved: list[str]) -> Iterator[str]:
    counts: dict[str, int] = {}
    for line in saved:
        if not line.startswith("-A "):
            continue
        _, parent, rest = line.split(" ", 2)
        counts[parent] = counts.get(parent, 0) + 1
        if not parent.startswith(PREFIX) and f"-j {PREFIX}" in rest:
            yield f"-I {parent} {counts[parent]} {rest}"


_LOOK = r"""
command -v iptables-save iptables-restore ip6tables-save ip6tables-restore > /dev/null || exit 9
families=ipv4; [ -d /proc/sys/net/ipv6 ] && families='ipv4 ipv6'; export families
tool() { if [ "$1" = ipv4 ]; then echo iptables; else echo ip6tables; fi; }
for family in $families; do
  echo "== live $family"; "$(tool $family)-save" -t filter || exit 1
done
exec unshare --net sh -c '
  tool() { if [ "$1" = ipv4 ]; then echo iptables; else echo ip6tables; fi; }
  jumps() {
    echo ":DOCKER-USER - [0:0]"
    echo "-I INPUT 1 -j STANDFAST-INPUT"
    echo "-I DOCKER-USER 1 -j STANDFAST-DOCKER"
  }
  for family in $families; do
    eval "text=\$$family"; tool=$(tool $family)
    {
      printf %s "$text" | base64 -d | gzip -d | sed "/^COMMIT/,\$d"; jumps; echo COMMIT
    } | "$tool-restore" || exit 11
    echo "== wanted $family"; "$tool-save" -t filter || exit 1
  done
  [ -n "$client" ] || exit 0
  case $client in *:*) tool=ip6tables bits=128 flag=nodad ;; *) tool=iptables bits=32 flag= ;; esac
  # What has passed INPUT comes by the INPUT chain of the table nat: its counter tells.
  "$tool" -t nat -A INPUT -p tcp --dport "$port" || exit 0
  unshare --net sleep 20 & other=$!
  trap "kill $other" EXIT
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break; sleep 0.02
  done
  there() { nsenter --net --target "$other" "$@"; }
  {
    ip link add sf0 type veth peer name sf1 netns "$other" &&
    ip link set sf0 up && there ip link set sf1 up &&
    ip addr add "$server/$bits" dev sf0 $flag && ip route add "$client/$bits" dev sf0 &&
    there ip addr add "$client/$bits" dev sf1 $flag && there ip route add "$server/$bits" dev sf1
  } 2> /dev/null || exit 0
  # An answer comes at once; the time is for a busy server, and for a second packet after one second.
  there timeout 4 bash -c "exec 3<> /dev/tcp/$server/$port" 2> /dev/null
  echo "== connection"
  "$tool" -t nat -vS INPUT | grep -q "dport $port .*-c [1-9]" && echo accepted || echo dropped
'"""

_OTHERS = r"""
there() { systemctl is-active --quiet "$1" || systemctl is-enabled --quiet "$1" 2> /dev/null; }
# `ufw enable` loads its rules and does not start the unit.
command -v ufw > /dev/null && grep -qsi '^ENABLED=yes' /etc/ufw/ufw.conf && echo ufw
there firewalld.service && echo firewalld
there nftables.service && echo nftables
case $(iptables -V 2> /dev/null) in
  *nf_tables*) other=legacy; grep -qs filter /proc/net/ip_tables_names /proc/net/ip6_tables_names || exit 0 ;;
  *legacy*) other=nft ;;
  *) exit 0 ;;
esac
if { "iptables-$other-save" -t filter; "ip6tables-$other-save" -t filter; } 2> /dev/null |
  grep -qE '^-A |^:(INPUT|FORWARD) DROP'
then
  echo "iptables-$other"
fi"""
