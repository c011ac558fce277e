"""What must be true on a server of this declaration, as names and texts to compare with; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

import yaml

from standfast.inventory.loader import Loaded
from standfast.inventory.openings import Source, ports_of, within
from standfast.inventory.schema import AllowRule, Host
from standfast.verification.sites import reachable_at

Family = Literal["ipv4", "ipv6"]
PACKAGES = ("ca-certificates", "cron", "curl", "iptables", "python3", "sudo", "tzdata", "unattended-upgrades")
PORTS_TRIED = 64
"""Of a range that is open: the first ones."""
ALWAYS = {
    "ipv4": {
        "-A STANDFAST-INPUT -i lo -j ACCEPT",
        "-A STANDFAST-INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A STANDFAST-INPUT -p icmp -j ACCEPT",
    },
    "ipv6": {
        "-A STANDFAST-INPUT -i lo -j ACCEPT",
        "-A STANDFAST-INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A STANDFAST-INPUT -p ipv6-icmp -j ACCEPT",
        "-A STANDFAST-INPUT -s fe80::/10 -p udp -m udp --dport 546 -m comment --comment DHCPv6 -j ACCEPT",
    },
}
"""Rules that let in without being declared: answers, pings, the server itself."""


def packages(host: Host) -> list[str]:
    """Debian packages, each once."""
    further = [
        *(["docker.io"] if host.docker else []),
        *(["caddy"] if host.caddy else []),
        *(["restic"] if host.backups else []),
    ]
    return list(dict.fromkeys([*PACKAGES, *further, *host.packages]))


def units(host: Host) -> list[str]:
    """Units of systemd that are at work, and start at boot."""
    return [
        *("cron.service", "systemd-journald.service", "apt-daily.timer", "apt-daily-upgrade.timer"),
        *("standfast-firewall.service", "standfast-watchdog.service", "standfast-trial.service"),
        *(["docker.service", "containerd.service"] if host.docker else []),
        *(["caddy.service"] if host.caddy else []),
    ]


def private_files(host: Host) -> list[str]:
    """Files and folders that nobody but root may read."""
    backups = host.backups
    return [
        "/var/lib/standfast",
        *(f"/etc/sudoers.d/standfast-{name}" for name, user in host.users.items() if user.sudo),
        *(f"/srv/apps/{name}" for name in host.apps),
        *(f"/srv/apps/{name}/.env" for name, app in host.apps.items() if app.env),
        *(["/etc/standfast/backups.json", "/etc/standfast/backup-password"] if backups else []),
        *(["/etc/standfast/backup-credentials"] if backups and backups.credentials else []),
        *(["/etc/standfast/backup-ssh-key"] if backups and backups.ssh_key else []),
        *(["/etc/standfast/backup-known-hosts"] if backups and backups.known_hosts else []),
        *(["/etc/standfast/snapshots.json"] if host.snapshots else []),
    ]


def root_only_files(host: Host) -> list[str]:
    """Files that root runs or believes, so that nobody else may write them."""
    return [
        "/usr/local/sbin/standfast-host",
        "/var/cache/standfast-host",
        "/usr/local/lib/standfast/firewall-load",
        "/etc/standfast/firewall/ipv4.rules",
        "/etc/standfast/firewall/ipv6.rules",
        "/etc/ssh/sshd_config.d/00-standfast.conf",
        "/etc/apt/apt.conf.d/52standfast",
        *(["/etc/docker/daemon.json"] if host.docker else []),
        *(f"/srv/apps/{name}/compose.yml" for name in host.apps),
        *(["/etc/caddy/Caddyfile"] if host.caddy else []),
        *(["/etc/cron.d/standfast"] if host.backups else []),
    ]


def openings(host: Host) -> list[str]:
    """What is let in beside SSH, for example ``443/udp`` and ``8000-8010/tcp``; each once."""
    return list(
        dict.fromkeys(f"{rule.port}/{each}" for rule in host.firewall.allow for each in rule.protocol)
    )


def accepting(host: Host, opening: str, family: Family) -> list[str]:
    """
    The beginnings of the rules that an opening must have, as ``iptables -S`` spells them, in both chains.

    + opening: one of `openings`
    """
    ports, _, protocol = opening.partition("/")
    dports = ports.replace("-", ":")
    found = []
    for rule in host.firewall.allow:
        if str(rule.port) == ports and protocol in rule.protocol:
            for source in _sources(rule.sources, family):
                found.append(
                    f"-A STANDFAST-INPUT{source} -p {protocol} -m {protocol} --dport {dports} -j ACCEPT"
                )
                found.append(
                    f"-A STANDFAST-DOCKER{source} -p {protocol} -m conntrack --ctstate DNAT "
                    f"--ctorigdstport {dports} --ctdir ORIGINAL -j RETURN"
                )
    return found


def ssh_sources(host: Host, family: Family) -> list[str]:
    """The part of a rule for SSH that names where it lets in from; one for each declared source."""
    return list(_sources(host.firewall.ssh.sources, family))


def _sources(sources: Iterable[Source], family: Family) -> Iterator[str]:
    for source in sources:
        if isinstance(source, str):
            yield ""
        elif f"ipv{source.version}" == family:
            everybody = source.prefixlen == 0
            yield "" if everybody else f" -s {source}"


def open_to(host: Host, client: str) -> list[int]:
    """TCP ports beside SSH that an address is let in to by the declaration; of wide ranges the first ones."""
    found: dict[int, None] = {}
    for rule in host.firewall.allow:
        if "tcp" in rule.protocol and _includes(rule, client):
            low, high = ports_of(rule)
            found |= dict.fromkeys(range(low, min(high, low + PORTS_TRIED - 1) + 1))
    return list(found)


def opened(host: Host, port: int, client: str, protocol: str = "tcp") -> bool:
    """Whether the declaration lets an address in to a port."""
    return any(
        protocol in rule.protocol
        and ports_of(rule)[0] <= port <= ports_of(rule)[1]
        and _includes(rule, client)
        for rule in host.firewall.allow
    )


def _includes(rule: AllowRule, client: str) -> bool:
    return any(within(ip_network(client), source) for source in rule.sources)


def guarded(host: Host) -> list[int]:
    """
    TCP ports behind which things are that nobody outside may reach: they are asked, and must stay silent.

    Applications behind Caddy, databases, Docker's and Caddy's own doors; not those that are declared open.
    """
    found: list[int] = []
    if host.caddy:
        found += [int(site.proxy.rpartition(":")[2]) for site in host.caddy.sites.values() if site.proxy]
        found.append(2019)
    if host.docker:
        found += [2375, 2376]
    if host.databases or host.apps:
        found.append(5432)
    declared = [ports_of(rule) for rule in host.firewall.allow if "tcp" in rule.protocol]
    return [port for port in dict.fromkeys(found) if not any(low <= port <= high for low, high in declared)]


def web_ports(host: Host) -> list[int]:
    """TCP ports on which Caddy must listen."""
    sites = host.caddy.sites if host.caddy else {}
    return sorted({reachable_at(name, plain=site.tls == "off")[2] for name, site in sites.items()})


def services(host: Host, loaded: Loaded) -> list[str]:
    """
    Services of all applications, as ``APP/SERVICE``; ``APP/*`` where only the server can tell them.

    A Compose file that is a template is not rendered here: assertions need no secrets.
    """
    found = []
    for name, app in host.apps.items():
        known = _keys_of_services(loaded.file(app.compose)) if not app.compose.endswith(".j2") else []
        found += [f"{name}/{service}" for service in known] or [f"{name}/*"]
    return found


def _keys_of_services(path: Path) -> list[str]:
    """Those without profiles, which run only when they are asked for."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [name for name, told in document["services"].items() if not (told or {}).get("profiles")]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return []  # the server reads the file too, and says what is wrong with it
