"""What the schema cannot say: files that must exist, settings that must agree with each other."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from itertools import combinations
from pathlib import Path
from typing import Literal

from standfast.inventory import openings, public_keys
from standfast.inventory.faults import Where, printable
from standfast.inventory.paths import expanded, folder_on_screen, on_screen
from standfast.inventory.schema import AllowRule, App, Backups, Caddy, Docker, Host, Inventory, SshServer
from standfast.inventory.wording import closest

ANONYMOUS_VOLUME = re.compile(r"[0-9a-f]{64}")
# Files that standfast itself puts beside an app's Compose file.
OURS = (".env", "compose.yml", "compose.yaml", "docker-compose.yml", "docker-compose.yaml")
# Names that `secrets.NAME` in a template would take for something of Python's.
TAKEN = frozenset(name for name in dir(dict) if not name.startswith("_"))
ABBREVIATIONS = {"JST": "Asia/Tokyo", "CET": "Europe/Berlin", "PST": "America/Los_Angeles"}
SSH_PORT = 22
HIGHEST_PORT = 65535
MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4 addresses in the notation of IPv6; packets on the wire never carry them."""


@dataclass(frozen=True)
class Finding:
    """
    What is wrong, and where; ``at_key`` when the name is at fault, not the value.

    It is only true when the places in ``given`` and what is below them have no fault of their own.
    """

    where: Where
    message: str
    at_key: bool = False
    given: tuple[Where, ...] = ()

    def under(self, *steps: str | int) -> Finding:
        """The same, seen from further above."""
        given = tuple((*steps, *where) for where in self.given)
        return Finding((*steps, *self.where), self.message, self.at_key, given)


Findings = Iterator[Finding]


def check(inventory: Inventory, *, root: Path) -> Findings:
    """Everything that is wrong with an inventory that the schema accepts."""
    yield from _same_server_twice(inventory)
    for name, host in inventory.hosts.items():
        for finding in _host(host, root):
            yield finding.under("hosts", name)


def _host(host: Host, root: Path) -> Findings:
    yield from _ssh(host)
    yield from _time_zone(host)
    yield from _users(host, root)
    yield from _under(_sshd_settings(host.ssh_server), "ssh_server", "settings")
    yield from _under(_firewall(host), "firewall")
    if host.docker is not None:
        yield from _under(_volumes(host.docker), "docker", "volumes")
    elif host.apps:
        yield Finding(
            ("apps",),
            "expected `docker` beside `apps`, but it is missing; "
            "add `docker: {}` and the volumes of your Compose files",
            at_key=True,
            given=(("docker",),),
        )
    for name, app in host.apps.items():
        yield from _under(_app(app, root), "apps", name)
    if host.caddy is not None:
        yield from _under(_caddy(host.caddy, root), "caddy")
    yield from _databases(host)
    if host.backups is not None:
        yield from _under(_backups(host.backups), "backups")
    yield from _twice("packages", host.packages)
    whats = [entry.what for entry in host.accept]
    for i, what in enumerate(whats):
        if what in whats[:i]:
            yield Finding(
                ("accept", i, "what"),
                f"expected each finding once, but an entry above names `{printable(what)}` too; remove one",
            )


def _under(findings: Findings, *steps: str | int) -> Findings:
    return (finding.under(*steps) for finding in findings)


def _same_server_twice(inventory: Inventory) -> Findings:
    for (first, one), (second, other) in combinations(inventory.hosts.items(), 2):
        ports = [host.ssh.port or SSH_PORT for host in (one, other)]
        if one.address.lower() == other.address.lower() and ports[0] == ports[1]:
            yield Finding(
                ("hosts", second, "address"),
                f"expected another server than `{first}`, not the same address and port; "
                "remove one of the two, or give `ssh.port` when they differ in it",
            )


def _ssh(host: Host) -> Findings:
    if host.ssh.key is not None and host.ssh.key.endswith(".pub"):
        yield Finding(
            ("ssh", "key"),
            f"expected the private key, not its public half; write `{on_screen(Path(host.ssh.key[:-4]))}`",
        )


def _time_zone(host: Host) -> Findings:
    try:
        zoneinfo.ZoneInfo(host.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = sorted(zoneinfo.available_timezones())
        if not known:  # no time zone data on this machine: the server will say
            return
        close = closest_time_zone(host.timezone, known)
        hint = f"did you mean `{close}`?" if close else "`timedatectl list-timezones` lists them"
        yield Finding(
            ("timezone",),
            f"expected a time zone such as `Asia/Tokyo`, not `{printable(host.timezone)}`; {hint}",
        )


def closest_time_zone(asked: str, known: list[str]) -> str | None:
    """``tokyo`` → ``Asia/Tokyo``; None when nothing is near."""
    if asked.upper() in ABBREVIATIONS:
        return ABBREVIATIONS[asked.upper()]
    if len(asked) <= 4 and asked.lower() not in {zone.lower() for zone in known}:
        return None
    cities = {zone.rsplit("/", 1)[-1].lower(): zone for zone in known if "/" in zone}
    whole = {zone.lower(): zone for zone in known}
    city = asked.rsplit("/", 1)[-1].lower()
    if city in cities:
        return cities[city]
    near = closest(asked, list(whole)) or closest(city, list(cities))
    return (whole | cities)[near] if near else None


def _users(host: Host, root: Path) -> Findings:
    for name, user in host.users.items():
        if name == "root":
            yield Finding(
                ("users", name),
                "expected an account for a person, not `root`; give each person an account of their own "
                "with `sudo: true`, and see `ssh_server.root_login`",
                at_key=True,
            )
        for i, key in enumerate(user.keys):
            message = _key_problem(key, root)
            if message is not None:
                yield Finding(("users", name, "keys", i), message)
        yield from _under(_twice("keys", user.keys), "users", name)
        yield from _under(_twice("groups", user.groups), "users", name)


def _key_problem(key: str, root: Path) -> str | None:
    if public_keys.is_private(key):
        return _private("a private key")
    if public_keys.looks_like_key(key):
        problem = public_keys.problem(key)
        return f"expected an SSH public key, {problem}" if problem else None
    missing = _file_problem(key, root, "an SSH public key, or a file with such keys")
    return missing or _key_file_problem(root / expanded(key), printable(key))


def _key_file_problem(path: Path, shown: str) -> str | None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return f"expected a file with SSH public keys, but {shown} cannot be read as text"
    if public_keys.is_private(text):
        public = path.with_name(path.name + ".pub")
        return _private(f"the private key {shown}", f"{shown}.pub" if public.is_file() else None)
    lines = [line.strip() for line in text.splitlines()]
    keys = [(i, line) for i, line in enumerate(lines, 1) if line and not line.startswith("#")]
    for i, line in keys:
        problem = public_keys.problem(line)
        if problem:
            return f"expected SSH public keys in {shown}, one a line; its line {i} has {problem}".replace(
                "has not", "is not"
            )
    return None if keys else f"expected SSH public keys in {shown}, but it has none"


def _private(found: str, public: str | None = None) -> str:
    remedy = f"write `{public}`" if public else "take the line of its `.pub` file"
    return (
        f"expected an SSH public key, not {found}; {remedy}, and if the private one has been committed, "
        "make a new pair with `ssh-keygen -t ed25519`"
    )


def _sshd_settings(server: SshServer) -> Findings:
    ours = {
        "passwordauthentication": "password_login",
        "kbdinteractiveauthentication": "password_login",
        "permitrootlogin": "root_login",
    }
    seen: dict[str, str] = {}
    for name in server.settings:
        if name.lower() in ours:
            yield Finding(
                (name,), f"expected `ssh_server.{ours[name.lower()]}` for this, not `{name}`", at_key=True
            )
        if name.lower() in seen:
            yield Finding(
                (name,), f"expected each setting once, not `{seen[name.lower()]}` as well", at_key=True
            )
        seen.setdefault(name.lower(), name)


def _firewall(host: Host) -> Findings:
    firewall = host.firewall
    yield from _under(_sources(firewall.ssh.sources), "ssh")
    yield from _twice("replace", list(firewall.replace))
    yield from _ssh_family(host)
    sound: dict[int, AllowRule] = {}
    for i, rule in enumerate(firewall.allow):
        yield from _under(_sources(rule.sources), "allow", i)
        yield from _under(_twice("protocol", list(rule.protocol)), "allow", i)
        message = _range_problem(rule)
        if message is None:
            sound[i] = rule
        else:
            yield Finding(("allow", i, "port"), message)
    for i, rule in sound.items():
        problem = openings.beside_ssh(rule, firewall.ssh, host.ssh.port or SSH_PORT)
        if problem:
            yield Finding(("allow", i), problem, given=(("allow", i), ("ssh", "from")))
    for i, other, message in openings.contradictions(sound):
        yield Finding(("allow", i), message, given=(("allow", i), ("allow", other)))


def _ssh_family(host: Host) -> Findings:
    """Networks of one family let nobody in at an address of the other."""
    networks = [source for source in host.firewall.ssh.sources if not isinstance(source, str)]
    try:
        address = ip_address(host.address)
    except ValueError:
        return
    if len(networks) < len(host.firewall.ssh.sources):
        return
    if all(network.version != address.version for network in networks):
        yield Finding(
            ("ssh", "from"),
            f"expected a network of IPv{address.version}, because standfast reaches this server at "
            f"{address}, not IPv{networks[0].version} alone; add the network that you connect from",
            given=(("ssh", "from"),),
        )


def _range_problem(rule: AllowRule) -> str | None:
    low, high = openings.ports_of(rule)
    if not 1 <= low <= HIGHEST_PORT or not 1 <= high <= HIGHEST_PORT:
        return f"expected ports from 1 to {HIGHEST_PORT}, not `{printable(str(rule.port))}`"
    if low > high:
        return f"expected the lower port first, not `{rule.port}`; write `{high}-{low}`"
    return None


def _sources(sources: Sequence[Literal["any"] | IPv4Network | IPv6Network]) -> Findings:
    if "any" in sources and len(sources) > 1:
        yield Finding(("from",), "expected `any` alone, or networks without it: `any` includes every network")
    yield from _twice("from", [str(source) for source in sources])
    networks = [(i, source) for i, source in enumerate(sources) if not isinstance(source, str)]
    for i, network in networks:
        if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
            address = network.network_address.ipv4_mapped
            yield Finding(
                ("from", i),
                f"expected an IPv4 network for IPv4 packets, not `{network}`, which no packet comes from; "
                f"write `{address}/{network.prefixlen - MAPPED.prefixlen}`",
            )
        wider = next((other for _, other in networks if openings.inside(network, other)), None)
        if wider is not None:
            yield Finding(("from", i), f"expected each address once, but `{wider}` includes it; remove one")


def _twice(setting: str, values: list[str]) -> Findings:
    for i, value in enumerate(values):
        if value in values[:i]:
            yield Finding(
                (setting, i),
                f"expected each entry once, but `{setting}[{values.index(value)}]` is the same; remove one",
            )


def _volumes(docker: Docker) -> Findings:
    seen: dict[str, str] = {}
    for name in docker.volumes:
        if ANONYMOUS_VOLUME.fullmatch(name):
            yield Finding(
                (name,),
                "expected a name for the volume, not 64 hexadecimal digits: "
                "Docker takes those for an anonymous volume, which a prune removes",
                at_key=True,
            )
        first = seen.setdefault(name.lower(), name)
        if first != name:
            yield Finding(
                (name,),
                f"expected a name that differs from `{first}` by more than capital letters",
                at_key=True,
            )


def _app(app: App, root: Path) -> Findings:
    yield from _file(("compose",), app.compose, root, "your Compose file")
    if app.env is not None:
        yield from _file(("env",), app.env, root, "the template of the environment file")
    for name, file in app.files.items():
        if name in OURS:
            yield Finding(
                ("files", name), f"expected another name: `{name}` is put there by standfast", at_key=True
            )
        yield from _file(("files", name), file, root, "your file")
    for image, file in app.images.items():
        hint = f"make it with `docker save -o {printable(file)} {printable(image)}`"
        yield from _file(("images", image), file, root, "an image archive", hint)
    for name in app.secrets:
        if name in TAKEN:
            yield Finding(
                ("secrets", name),
                f"expected another name, such as `{name}_value`: templates cannot use `secrets.{name}`",
                at_key=True,
            )


def _caddy(caddy: Caddy, root: Path) -> Findings:
    if caddy.caddyfile is not None:
        yield from _file(("caddyfile",), caddy.caddyfile, root, "your Caddyfile")
    seen: dict[str, str] = {}
    for name, site in caddy.sites.items():
        first = seen.setdefault(name.lower(), name)
        if first != name:
            yield Finding(("sites", name), f"expected each site once, but `{first}` is the same", at_key=True)
        if site.proxy is not None:
            port = int(site.proxy.rpartition(":")[2])
            if not 1 <= port <= HIGHEST_PORT:
                yield Finding(
                    ("sites", name, "proxy"), f"expected a port from 1 to {HIGHEST_PORT}, not `{site.proxy}`"
                )


def _databases(host: Host) -> Findings:
    for name, database in host.databases.items():
        if database.app is not None and database.app not in host.apps:
            close = closest(database.app, list(host.apps))
            hint = f"did you mean `{close}`?" if close else f"it has: {', '.join(host.apps) or 'none'}"
            yield Finding(
                ("databases", name, "app"),
                f"expected an application of this server, not `{printable(database.app)}`; {hint}",
                given=(("apps",),),
            )
        for i, each in enumerate(database.comparison.migrations if database.comparison else ()):
            if each.service is not None and database.app is None:
                yield Finding(
                    ("databases", name, "schema", "migrations", i, "service"),
                    "expected `folder` for a database of the server itself; a service belongs to an `app`",
                )


def _backups(backups: Backups) -> Findings:
    place = backups.repository
    if place.startswith("/var/lib/docker"):
        yield Finding(
            ("repository",),
            "expected a place outside of Docker's folder: what deletes the data would delete the copies too",
        )
    if re.match(r"rest:https?://[^/]*:[^/]*@", place):
        yield Finding(
            ("repository",),
            "expected an address without a password; write `credentials` with RESTIC_REST_USERNAME and "
            "RESTIC_REST_PASSWORD",
        )
    for name in backups.credentials:
        if name.startswith("RESTIC_PASSWORD") or name in ("PATH", "HOME", "LD_PRELOAD"):
            yield Finding(
                ("credentials", name),
                "expected access to the repository's storage; the password of the copies is `password`",
                at_key=True,
            )
    if len(set(backups.databases)) != len(backups.databases):
        yield from _twice("databases", backups.databases)


def _file(where: Where, name: str, root: Path, what: str, hint: str | None = None) -> Findings:
    message = _file_problem(name, root, what, hint)
    if message is not None:
        yield Finding(where, message)


def _file_problem(name: str, root: Path, what: str, hint: str | None = None) -> str | None:
    """Why a file of the user cannot be used; None when it can."""
    path = root / expanded(name)
    shown = printable(name)
    if path.is_file():
        return None
    if path.is_dir():
        return f"expected {what}, but {shown} is a folder; name a file in it"
    names = {Path(other).stem: other for other in _names(path.parent)}
    near = closest(path.stem, list(names))
    if near is not None:
        hint = f"did you mean `{Path(name).with_name(names[near])}`?"
    hint = hint or f"create it, or correct the path (it is relative to {folder_on_screen(root)})"
    return f"expected {what}, but there is no file {shown}; {hint}"


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError:
        return []
