"""Firewalls of others on a server: switched off with the user's word, never mixed with ours."""

from __future__ import annotations

from collections.abc import Collection, Generator

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.facts.firewall import OtherFirewalls
from standfast.operations.change import Change, Step
from standfast.operations.named import operation

NAMES = {
    "ufw": "ufw, which is enabled",
    "firewalld": "firewalld, which runs or starts at boot",
    "nftables": "nftables.service, which replaces all rules when it starts and flushes them when it stops",
    "iptables-legacy": "rules of iptables-legacy, which iptables does not show",
    "iptables-nft": "rules of iptables-nft, which iptables does not show",
}


@operation
def off(names: Collection[str], *, load: str) -> Generator[StringCommand, None, None]:
    """
    Make sure that these firewalls are off, with their rules; ours must be in force before.

    Open connections stay, and so do Docker's rules, packages and configuration files.

    + names: of those in `NAMES`
    + load: shell command that puts our rules in force once more: some of these flush what is not theirs
    """
    found = [name for name in host.get_fact(OtherFirewalls) if name in names]
    if not found:
        host.noop("no other firewall is there")
        return
    detail = "switched off, its rules removed; open connections stay"
    yield Step(
        "\n".join(["set -e; export LC_ALL=C; trap '' HUP PIPE", *(_OFF[name] for name in found), load]),
        changes=[Change("stop", name, detail) for name in found],
    )


# ufw leaves its empty chains behind. Jumps to them go first, then what is in them, then they.
_UFW = r"""ufw disable > /dev/null
systemctl disable --now ufw
for tool in iptables ip6tables; do
  saved=$("$tool-save" -t filter)
  printf '%s\n' "$saved" | grep -q '^:ufw' || continue
  {
    echo '*filter'
    printf '%s\n' "$saved" |
      sed -n 's/^-A \([A-Z]*\) \(.*-j ufw.*\)/-D \1 \2/p; s/^:\(ufw[^ ]*\) .*/-F \1\n-X \1/p' | sort
    echo COMMIT
  } | "$tool-restore" -w 30 --noflush
done"""

# This service flushes everything when it stops, Docker's rules too: so it is stopped without that. A network
# namespace of its own tells which tables its file makes; they go one by one.
_NFTABLES = r"""mine='(ip|ip6) (filter|nat|mangle|raw|security)'
tables=$(unshare --net sh -c 'nft -f /etc/nftables.conf; nft list tables' | sed 's/^table //')
drop_in=/run/systemd/system/nftables.service.d
mkdir -p "$drop_in"; printf '[Service]\nExecStop=\n' > "$drop_in/standfast.conf"
systemctl daemon-reload
systemctl disable --now nftables
rm -r "$drop_in"; systemctl daemon-reload
printf '%s\n' "$tables" | grep -vxE "$mine" | while read -r family name; do
  if nft list table "$family" "$name" > /dev/null 2>&1; then nft delete table "$family" "$name"; fi
done"""

_FLUSH = """for tool in iptables-{backend} ip6tables-{backend}; do
  for chain in INPUT FORWARD OUTPUT; do "$tool" -w 30 -P "$chain" ACCEPT; done
  "$tool" -w 30 -F; "$tool" -w 30 -X
done"""

_OFF = {
    "ufw": _UFW,
    "firewalld": "systemctl disable --now firewalld",
    "nftables": _NFTABLES,
    "iptables-legacy": _FLUSH.format(backend="legacy"),
    "iptables-nft": _FLUSH.format(backend="nft"),
}
