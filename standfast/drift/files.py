"""Files that no package and no deploy brought, and files of packages that somebody changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from standfast.documents import Kind
from standfast.drift.finding import Finding, quoted
from standfast.drift.known import OURS, Known
from standfast.facts.conffiles import Departure
from standfast.facts.unowned import Unowned, UnownedFile

HOURS = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}
ENABLED = re.compile(r"(/usr)?/lib/systemd/")
SECRET_PLACES = re.compile(r"/etc/(environment|profile\.d/|docker/)")


@dataclass(frozen=True, slots=True)
class Place:
    """Files in one place have one meaning."""

    pattern: re.Pattern[str]
    subject: str
    meaning: str
    strict: bool = True
    """Whether a file counts that is as it was when standfast came; every server comes with some."""
    quote: bool = True
    """Whether what stands in it explains it."""


def _place(pattern: str, subject: str, meaning: str, *, strict: bool = True, quote: bool = True) -> Place:
    return Place(re.compile(pattern), subject, meaning, strict, quote)


# The first one that fits counts.
PLACES = (
    _place(r"/etc/cron\.d/", "base", "cron runs it"),
    _place(
        r"/etc/cron\.(?P<every>hourly|daily|weekly|monthly|yearly)/", "base", "root runs it every {every}"
    ),
    _place(r"/etc/crontab$", "base", "cron runs it"),
    _place(r"/etc/cron\.(allow|deny)$", "base", "says who may use cron"),
    _place(r"/etc/(systemd/system|systemd/user|systemd/\w+\.conf\.d)/", "base", "systemd reads it"),
    _place(r"/usr/local/lib/systemd/", "base", "systemd reads it"),
    _place(r"/etc/sudoers", "base", "says who may become root"),
    _place(r"/etc/ssh/sshd_config\.d/", "ssh", "sshd reads it"),
    _place(r"/etc/ssh/ssh_host_", "ssh", "the server's identity", strict=False, quote=False),
    _place(r"/etc/ssh/sshd", "ssh", "sshd reads it"),
    _place(r"/etc/ssh/", "ssh", "SSH reads it"),
    _place(r"/etc/apt/sources\.list", "base", "packages come from there", strict=False),
    _place(
        r"/etc/apt/(trusted\.gpg\.d|keyrings)/", "base", "its packages are trusted", strict=False, quote=False
    ),
    _place(r"/etc/apt/preferences", "base", "prefers or pins versions of packages"),
    _place(r"/etc/apt/", "base", "changes how apt works", strict=False),
    _place(r"/usr/local/share/ca-certificates/", "base", "a certificate authority that every program trusts"),
    _place(r"/etc/sysctl(\.d/|\.conf$)", "base", "sets the kernel at boot"),
    _place(r"/etc/(modules-load\.d|modprobe\.d)/", "base", "loads or forbids kernel modules"),
    _place(r"/etc/ld\.so\.preload$", "base", "is loaded into every program"),
    _place(r"/etc/ld\.so\.conf\.d/", "base", "programs load libraries from there"),
    _place(r"/etc/(profile\.d|environment\.d)/", "base", "runs at every login"),
    _place(r"/etc/rc\.local$", "base", "root runs it at boot"),
    _place(r"/etc/init\.d/", "base", "a service that can start at boot"),
    _place(r"/etc/update-motd\.d/", "base", "root runs it at every login"),
    _place(r"/etc/(network/if-|networkd-dispatcher/)", "base", "root runs it when the network changes"),
    _place(r"/etc/docker/", "docker", "Docker reads it"),
    _place(r"/usr/local/s?bin/", "base", "stands before the system's own programs in root's PATH"),
    _place(r"/etc/fstab$", "base", "says what is mounted at boot", strict=False, quote=False),
    _place(r"/etc/resolv\.conf$", "base", "names are asked there", strict=False),
    _place(
        r"/etc/nsswitch\.conf$", "base", "says who answers for accounts and names", strict=False, quote=False
    ),
    _place(r"/etc/environment$", "base", "is in every session's environment", strict=False),
    _place(r"/etc/profile$", "base", "runs at every login", strict=False, quote=False),
    _place(r"/etc/modules$", "base", "loads kernel modules", strict=False),
    _place(r"/etc/pam\.d/", "base", "decides who may log in", strict=False, quote=False),
    _place(
        r"/etc/(systemd/network|netplan|network)/", "base", "sets up the network", strict=False, quote=False
    ),
    _place(r"/etc/caddy/", "caddy", "Caddy may read it", strict=False, quote=False),
    _place(r"/etc/", "base", "belongs to no package", strict=False, quote=False),
)

# Made new all the time by the system itself, or looked at elsewhere.
GENERATED = re.compile(
    r"/etc/((passwd|shadow|group|gshadow|subuid|subgid)-?|\.pwd\.lock|\.updated|ld\.so\.cache|mtab|machine-id"
    r"|adjtime|hostname|hosts|localtime|timezone|shells|.*\.(dpkg|ucf)-(old|dist|new)"
    r"|.*\.lock|systemd/system/[^/]+\.(wants|requires)/\.?)$"
)

# Files that every system has: younger than standfast's arrival means changed, not new.
ORDINARY = re.compile(
    r"/etc/(fstab|resolv\.conf|nsswitch\.conf|environment|profile|modules|motd|networks|inputrc|hosts\.(allow|deny)"
    r"|pam\.d/common-.*|locale\.(conf|gen)|default/locale|ca-certificates\.conf|apt/sources\.list|ssh/ssh_host_.*"
    r"|systemd/network/.*|netplan/.*|network/interfaces)$"
)

# What cloud-init writes on a rented server's first day, when it does no more than take rights away.
FIRST_DAY = {
    "/etc/ssh/sshd_config.d/50-cloud-init.conf": re.compile(
        r"(?i)(PermitRootLogin\s+(no|prohibit-password)|(Password|KbdInteractive)Authentication\s+no)"
    ),
    "/etc/ssh/sshd_config.d/60-cloudimg-settings.conf": re.compile(r"(?i)PasswordAuthentication\s+no"),
}
SUDO_ALL = re.compile(r"(?P<account>\S+)\s+ALL\s*=\s*\(ALL(:ALL)?\)\s*NOPASSWD:\s*ALL")


def findings(known: Known, unowned: Unowned) -> Iterator[Finding]:
    """Files that are not declared and that no package brought."""
    present = {each.path for each in unowned.files}
    timers = {_stem(each) for each in unowned.files if each.path.endswith(".timer")}
    for file in unowned.files:
        if file.path in known.paths or GENERATED.fullmatch(file.path):
            continue
        if file.path.startswith("/var/spool/cron/"):
            yield from _spooled(file)
        elif file.path.startswith("/run/systemd/"):
            if not (file.path.endswith(".service") and _stem(file) in timers):
                yield from _transient(file)
        elif file.path == "/etc/resolv.conf" and unowned.dhcp:
            continue
        else:
            yield from _file(known, file, present)
    for file in unowned.files:
        if file.path == "/etc/hosts" and file.path not in known.paths:
            yield from _hosts(known, file)
    yield from _set_uid(known, unowned)
    for app in unowned.apps:
        if app not in known.host.apps:
            said = "not declared; the folder of an application"
            yield Finding(f"app:{app}", "apps", "unmanaged", f"/srv/apps/{app}/", said)


def _set_uid(known: Known, unowned: Unowned) -> Iterator[Finding]:
    for each in unowned.set_uid:
        if known.by_hand(each.changed):
            said = f"not declared; whoever starts it has the rights of {each.owner} ({each.mode})"
            yield Finding(f"suid:{each.path}", "base", "unmanaged", each.path, said, each.changed, each.owner)


def departures(known: Known, found: list[Departure]) -> Iterator[Finding]:
    """Files of packages that are not as their packages brought them."""
    for each in found:
        if each.path in known.paths:
            continue
        place = next(place for place in (*PLACES, ELSEWHERE) if place.pattern.match(each.path))
        came = f"; it came with the package {each.package}" if each.package else ""
        said = f"{'changed by hand' if each.state == 'changed' else 'gone'}{came}"
        if place.pattern is not PLACES[-1].pattern:
            said = f"{said}; {_meaning(place, each.path)}"
        yield Finding(
            f"file:{each.path}", place.subject, "changed", each.path, said, each.modified, each.owner
        )


ELSEWHERE = _place(r"/", "base", "configuration")


def _file(known: Known, file: UnownedFile, present: set[str]) -> Iterator[Finding]:
    place = next(place for place in (*PLACES, ELSEWHERE) if place.pattern.match(file.path))
    if place.strict:
        if _enablement(known, file, present) or _first_day(known, file):
            return
    elif known.arrival is None or file.as_found or not known.by_hand(file.changed):
        return
    kind: Kind = "changed" if ORDINARY.fullmatch(file.path) else "unmanaged"
    since = max(file.modified, file.changed) if place.strict is False else file.modified
    yield Finding(
        f"file:{file.path}", place.subject, kind, file.path, _why(place, file, kind), since, file.owner
    )


def _why(place: Place, file: UnownedFile, kind: Kind) -> str:
    if file.sort == "link" and file.target == "/dev/null":
        return f"masked: {file.path.rpartition('/')[2]} cannot be started by anybody"
    said = "changed by hand" if kind == "changed" else "not declared"
    meaning = _meaning(place, file.path)
    if file.sort == "link":
        return f"{said}; {meaning}: a link to {file.target}"
    content = _content(file) if place.quote else ""
    return f"{said}; {meaning}" + (f": {content}" if content else "")


def _meaning(place: Place, path: str) -> str:
    match = place.pattern.match(path)
    every = HOURS.get((match.groupdict() if match else {}).get("every") or "", "")
    return place.meaning.format(every=every)


def _content(file: UnownedFile) -> str:
    """What says most in a file, on one line."""
    lines = [line.strip() for line in (file.text or "").splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", ";", "//", "["))]
    if re.search(r"\.(service|timer|path|socket|mount)(\.d/|$)", file.path):
        telling = [line for line in lines if re.match(r"(Exec\w+|On\w+|Path\w+|Listen\w+|What)=.", line)]
        lines = telling or lines
    return quoted("; ".join(lines))


def _enablement(known: Known, file: UnownedFile, present: set[str]) -> bool:
    """A link by which systemd starts a unit that is known, or is a finding itself."""
    if file.sort != "link" or not file.path.startswith("/etc/systemd/"):
        return False
    return bool(ENABLED.match(file.target)) or file.target in known.paths or file.target in present


def _first_day(known: Known, file: UnownedFile) -> bool:
    lines = [
        line.strip() for line in (file.text or "").splitlines() if line.strip() and not line.startswith("#")
    ]
    if file.path.startswith("/etc/sudoers.d/"):
        rules = [SUDO_ALL.fullmatch(line) for line in lines]
        return bool(rules) and all(rule is not None and rule["account"] == known.login for rule in rules)
    harmless = FIRST_DAY.get(file.path)
    return harmless is not None and all(harmless.fullmatch(line) for line in lines)


def _spooled(file: UnownedFile) -> Iterator[Finding]:
    """Crontabs of accounts, and jobs for at(1)."""
    folder, _, name = file.path.rpartition("/")
    if folder.endswith("/crontabs"):
        said = f"not declared; runs as {name}: {_content(file)}"
        yield Finding(
            f"crontab:{name}", "base", "unmanaged", f"crontab of {name}", said, file.modified, file.owner
        )
    elif folder.endswith("/atjobs") and not name.startswith("."):
        said = f"not declared; runs once, as {file.owner}: {_last_command(file)}"
        yield Finding(
            f"at:{name}", "base", "unmanaged", f"at job of {file.owner}", said, file.modified, file.owner
        )


def _last_command(file: UnownedFile) -> str:
    """at(1) writes the whole environment in front of the command."""
    lines = [line.strip() for line in (file.text or "").splitlines() if line.strip()]
    return quoted(lines[-1] if lines else "")


def _transient(file: UnownedFile) -> Iterator[Finding]:
    """Units that somebody made at run time, with systemd-run; ours undo a firewall that was not confirmed."""
    name = file.path.rpartition("/")[2]
    unit = re.fullmatch(r"[^/]+\.(service|timer|path|socket)", name)
    known = name.startswith((OURS, "session-", "user@", "docker-", "netplan-", "cloud-"))
    if unit is None or known or file.path.count("/") > 4:
        return
    said = f"not declared; made at run time, gone after a reboot: {_content(file)}"
    yield Finding(f"unit:{name}", "base", "unmanaged", name, said, file.modified, file.owner)


def _stem(file: UnownedFile) -> str:
    return file.path.rpartition("/")[2].rpartition(".")[0]


def _hosts(known: Known, file: UnownedFile) -> Iterator[Finding]:
    """Names that the server does not ask the network for; its own may stand there."""
    own = {known.name, known.host.hostname or known.name, "localhost"}
    for line in (file.text or "").splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if not names or address.startswith(("127.", "fe00:", "ff0")) or address == "::1":
            continue
        if own & set(names):
            continue
        said = f"not declared; the name leads to {address}, whatever the network's name servers say"
        yield Finding(
            f"hosts:{names[0]}",
            "base",
            "unmanaged",
            f"/etc/hosts: {' '.join(names)}",
            said,
            file.modified,
            file.owner,
        )
