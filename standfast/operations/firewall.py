"""The packet filter: our own chains, swapped as a whole, in force before a port can be open."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.errors import Refused
from standfast.facts.files import File
from standfast.facts.firewall import Filter, Firewall, OtherFirewalls, Rules
from standfast.facts.rule_words import in_words
from standfast.facts.ssh import CurrentSession, Session, Tunnel
from standfast.inventory.schema import AllowRule, SshRule
from standfast.inventory.schema import Firewall as DeclaredFirewall
from standfast.operations.attention import attention
from standfast.operations.change import Change, Step
from standfast.operations.confirmed import BY_DEFAULT, PORTS_AT_MOST, Confirmation, ConfirmedStep
from standfast.operations.named import operation
from standfast.operations.other_firewalls import NAMES
from standfast.rendering import Rendered

FOLDER = "/etc/standfast/firewall"
LOADER = "/usr/local/lib/standfast/firewall-load"
UDP_OPENING = re.compile(r"^-A STANDFAST-INPUT .*-p udp .*--dports? ([\d:,]+) .*-j ACCEPT", re.MULTILINE)

Network = IPv4Network | IPv6Network
Family = Literal["ipv4", "ipv6"]
FAMILIES: tuple[Family, ...] = ("ipv4", "ipv6")
SHOWN = {"ipv4": "IPv4", "ipv6": "IPv6"}


@dataclass(frozen=True, slots=True)
class Opening:
    """One rule of the inventory for one protocol, one source and one address family."""

    protocol: str
    ports: str
    """A port, or two with a colon between them."""
    source: str
    """A network in the family's notation; all addresses for ``any``."""


def ssh_openings(rule: SshRule, ports: Iterable[int], family: Family) -> list[Opening]:
    """The openings for SSH in one address family."""
    return [Opening("tcp", str(port), source) for port in ports for source in _sources(rule.sources, family)]


def openings(rules: Iterable[AllowRule], family: Family) -> list[Opening]:
    """The openings of an inventory in one address family, in its order."""
    return [
        Opening(protocol, str(rule.port).replace("-", ":"), source)
        for rule in rules
        for protocol in rule.protocol
        for source in _sources(rule.sources, family)
    ]


def confirmation(wanted: DeclaredFirewall) -> Confirmation:
    """What must be proven after a change: SSH, and the declared ports that we may reach and that answered."""
    client = host.get_fact(CurrentSession).client
    ports = [
        port
        for rule in wanted.allow
        if "tcp" in rule.protocol and client is not None and _includes(rule.sources, client)
        for port in _ports(rule.port)
    ]
    return Confirmation(wanted.confirm_seconds, tuple(dict.fromkeys(ports))[:PORTS_AT_MOST])


@operation
def ruleset(
    *,
    ipv4: Rendered,
    ipv6: Rendered,
    ssh: SshRule,
    replaced: Collection[str] = (),
    elsewhere: bool = False,
    confirmation: Confirmation = BY_DEFAULT,
) -> Generator[StringCommand, None, None]:
    """
    Make sure that our chains are these, now and after a reboot; no other rule is touched.

    Every change to the firewall goes through this operation, and is one step: both families are checked,
    swapped (each in one transaction) and, once a new connection has confirmed them, written down for the
    next boot. Connections that are open stay.

    + ipv4, ipv6: complete texts for iptables-restore, with our chains only
    + ssh: who may open an SSH connection
    + replaced: other firewalls that may be there still, because they are switched off afterwards
    + elsewhere: whether the address that standfast comes from now may be shut out
    + confirmation: what must be proven, and by when; else the server goes back

    Raises:
        Refused: standfast itself could not come back, the rules are wrong, or another firewall is there.
            Nothing has been changed.
    """
    texts = {"ipv4": ipv4, "ipv6": ipv6}
    session = host.get_fact(CurrentSession)
    present = host.get_fact(
        Firewall,
        ipv4=ipv4.text,
        ipv6=ipv6.text,
        client=str(session.client or ""),
        server=str(session.server or ""),
        port=session.port or 0,
    )
    shut_out = [*_locked_out(present, session, ssh), *_tunnel_closed(session.tunnel, ipv4.text + ipv6.text)]
    faults = [*([] if elsewhere else shut_out), *_others(replaced), *_wrong(present)]
    if faults:
        raise Refused("\n".join(f"firewall: {fault}" for fault in faults) + " Nothing was changed.")
    stays = "open connections stay"
    if shut_out:
        stays += f"; SSH from {session.client}, where you are, is shut out"
    changes = [*_live_changes(present, texts, stays), *_written_changes(texts)]
    if not changes:
        host.noop("the firewall is as declared")
        return
    if session.tunnel is not None and session.tunnel.port is None:
        attention(
            f"you are connected through {session.tunnel.device}, a tunnel that ends on this server, and what "
            "is open stays open: the trial does not tell whether it can be opened anew. Look whether `allow` "
            "(inventory: firewall) has its port, if it needs one"
        )
    step = Step(f"load={LOADER}\n{_received(ipv4, ipv6)}\n{_SWAP}", changes=changes, stdin=_sent(ipv4, ipv6))
    yield ConfirmedStep(step, what="the firewall", confirmation=confirmation)


def _includes(sources: Iterable[str | Network], client: IPv4Address | IPv6Address) -> bool:
    return any(isinstance(source, str) or client in source for source in sources)


def _ports(port: int | str) -> Iterable[int]:
    first, _, last = str(port).partition("-")
    return range(int(first), int(last or first) + 1)


def _sources(sources: Sequence[str | Network], family: Family) -> Iterator[str]:
    for source in sources:
        if isinstance(source, str):
            yield {"ipv4": "0.0.0.0/0", "ipv6": "::/0"}[family]
        elif f"ipv{source.version}" == family:
            yield str(source)


def _locked_out(present: Filter | None, session: Session, ssh: SshRule) -> Iterator[str]:
    client = session.client
    if client is None:
        return
    networks = [source for source in ssh.sources if not isinstance(source, str)]
    if len(networks) == len(ssh.sources) and not any(client in network for network in networks):
        yield (
            f"ssh.from: expected a network that includes {client}, from which standfast is connected, found "
            f"{', '.join(map(str, networks))}. Add it, for example `{client}/{client.max_prefixlen}`, or "
            "say `--i-am-elsewhere` when you always come from another address."
        )
    elif present is not None and not present.fault and present.reachable is False:
        yield (
            f"expected rules that let in a new SSH connection from {client} to port {session.port}, found in "
            "a trial that they drop it. Compare your own templates/firewall/rules.j2 with ours."
        )


def _tunnel_closed(tunnel: Tunnel | None, rules: str) -> Iterator[str]:
    """What the trial does not tell: the tunnel is one of the open connections, and lets new ones through."""
    if tunnel is not None and tunnel.port is not None and not _lets_in_udp(rules, tunnel.port):
        yield (
            f"allow: expected an opening for UDP port {tunnel.port}, found none, and the tunnel "
            f"{tunnel.device} comes in there, through which standfast is connected. It stays open for a "
            "while, during the trial too, and then nobody gets in. Add "
            f"`{{port: {tunnel.port}, protocol: [udp]}}`, or say `--i-am-elsewhere` when you get in without "
            "it as well."
        )


def _lets_in_udp(rules: str, port: int) -> bool:
    """Whether a rule has a port open to somebody."""
    ranges = re.findall(r"(\d+)(?::(\d+))?", " ".join(UDP_OPENING.findall(rules)))
    return any(int(first) <= port <= int(last or first) for first, last in ranges)


def _others(replaced: Collection[str]) -> Iterator[str]:
    for found in host.get_fact(OtherFirewalls):
        if found not in replaced:
            yield (
                f"expected no other firewall on the server, found {NAMES[found]}. Say `replace: [{found}]` "
                "(inventory: firewall), and standfast switches it off when its own rules are in force."
            )


def _wrong(present: Filter | None) -> Iterator[str]:
    if present is not None and present.fault:
        yield f"templates/firewall/rules.j2: iptables does not accept the rules: {present.fault}."


def _live_changes(present: Filter | None, texts: dict[str, Rendered], stays: str) -> Iterator[Change]:
    """What changes in the kernel, in iptables' own spelling; before iptables is there, in ours."""
    for family in FAMILIES:
        if present is None:
            lines = [line for line in texts[family].text.splitlines() if line.startswith("-A ")]
            diff = "\n".join(f"+ {in_words(line)}" for line in lines)
            yield Change("create", f"{SHOWN[family]} firewall", diff=diff)
        elif family in present.live and present.live[family] != present.wanted[family]:
            yield _live_change(family, present.live[family], present.wanted[family], stays)


def _live_change(family: Family, live: Rules, wanted: Rules, stays: str) -> Change:
    new = not live.chains
    return Change(
        "create" if new else "update",
        f"{SHOWN[family]} firewall",
        stays,
        _difference(live, wanted),
    )


def _difference(live: Rules, wanted: Rules) -> str:
    """Rules in words, each after its sign, with a neighbour on both sides."""
    old, new = ([in_words(line) for line in rules.text.splitlines()] for rules in (live, wanted))
    lines = [line for line in unified_diff(old, new, lineterm="", n=1) if not line.startswith("@@")]
    return "\n".join(f"{line[0]} {line[1:]}" for line in lines[2:])


def _written_changes(texts: dict[str, Rendered]) -> Iterator[Change]:
    """What changes in the files for the next boot."""
    for family, text in texts.items():
        path = f"{FOLDER}/{family}.rules"
        written = host.get_fact(File, path=path)
        if written is None or written.sha256 != sha256(text.text.encode()).hexdigest():
            yield Change("create" if written is None else "update", path, "for the next boot")


def _sent(ipv4: Rendered, ipv6: Rendered) -> str:
    """Both texts for standard input: a command line could not hold 1,000 rules."""
    return b64encode(f"{ipv4.text}{ipv6.text}".encode()).decode()


def _received(ipv4: Rendered, ipv6: Rendered) -> str:
    """A shell function: ``receive FOLDER`` writes what `_sent` has sent, whole or not at all."""
    first, both = (text.encode() for text in (ipv4.text, ipv4.text + ipv6.text))
    return f"first={len(first)}; checksum={sha256(both).hexdigest()}\n{_RECEIVE}"


_RECEIVE = """receive() {
  base64 -d > "$1/both"
  [ "$(sha256sum < "$1/both")" = "$checksum  -" ] || { echo "the rules did not arrive whole" >&2; return 1; }
  head -c "$first" "$1/both" > "$1/ipv4.rules"
  tail -c "+$((first + 1))" "$1/both" > "$1/ipv6.rules"
  rm "$1/both"
}"""

# In force on trial; what is confirmed is written down for the next boot by the host program.
_SWAP = """set -e; umask 077
new=/var/lib/standfast/trial/candidate
rm -rf "$new"; mkdir "$new"
receive "$new"
sync "$new/ipv4.rules" "$new/ipv6.rules" "$new"
"$load" test "$new"
"$load" load "$new\""""
