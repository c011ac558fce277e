"""The server as a whole: its name, its time zone."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.errors import Refused
from standfast.facts.system import KEEP_NAME, HostName, Naming, TimeZone, Zone
from standfast.facts.unowned import AS_FOUND, LISTING, AsFound
from standfast.operations.change import Change, Step
from standfast.operations.named import operation


@operation
def hostname(own: str) -> Generator[StringCommand, None, None]:
    """
    Make sure that the server has this name, now and after a reboot, and can resolve it.

    + own: the name, without a domain
    """
    present = host.get_fact(HostName)
    changes = _naming_changes(present, own)
    if not changes:
        host.noop(f"the server's name is {own}")
        return
    yield Step(f"own={shlex.quote(own)}; keep={KEEP_NAME}\n{_NAME}", changes=changes)


@operation
def timezone(zone: str) -> Generator[StringCommand, None, None]:
    """
    Make sure that the server's time zone is this one; cron is told, it asks only when it starts.

    + zone: name in the time zone database, for example ``Asia/Tokyo``

    Raises:
        Refused: the server does not know the zone; nothing has been changed.
    """
    present = host.get_fact(TimeZone, zone=zone)
    if present.known is False:
        raise Refused(
            f"timezone: expected a zone that the server knows, not {zone}. "
            "`timedatectl list-timezones` on the server lists them; Debian 13 and Ubuntu 24.04 keep old "
            "names, such as Asia/Calcutta, in a package of its own, tzdata-legacy: choose the "
            "new name. Nothing was changed."
        )
    if present.linked == zone and present.written in {zone, None}:
        host.noop(f"the time zone is {zone}")
        return
    detail = f"{_shown(present)} → {zone}; cron restarts"
    yield Step(f"zone={shlex.quote(zone)}\n{_ZONE}", changes=[Change("update", "time zone", detail)])


@operation
def as_found() -> Generator[StringCommand, None, None]:
    """
    Make sure that the server remembers what it came with, for ``standfast drift``.

    Checksums of the files in /etc that no package brought, and the programs that run with others' rights;
    written once, before anything else is changed.
    To have it written anew, remove the file: everything that is there then counts as found.
    """
    if host.get_fact(AsFound):
        host.noop("the server knows what it came with")
        return
    yield Step(
        f"file={AS_FOUND}\n{LISTING}\n{_AS_FOUND}",
        changes=[Change("create", AS_FOUND, "what the server came with, for drift")],
    )


def _naming_changes(present: Naming, own: str) -> list[Change]:
    changes = []
    if present.live != own or present.static != own:
        changes.append(Change("update", "hostname", f"{present.live} → {own}"))
    if not present.resolves(own):
        old = [line for line in present.hosts if line.split()[:1] == ["127.0.1.1"]][:1]
        diff = "\n".join([*(f"-{line}" for line in old), f"+127.0.1.1 {own}"])
        changes.append(Change("update", "/etc/hosts", diff=diff))
    if present.reset_at_boot:
        changes.append(Change("create", KEEP_NAME, "cloud-init keeps the name at boot"))
    return changes


def _shown(present: Zone) -> str:
    return present.linked or present.written or "not set"


# The name changes last: as long as it is the old one, the next plan sees what is left to do.
_NAME = """set -e; trap '' HUP PIPE; umask 022
write() {
  new=$(mktemp -- "$1.XXXXXX"); cat > "$new"; chmod 644 -- "$new"; sync -- "$new"; mv -f -T -- "$new" "$1"
}
if [ -e /etc/cloud/cloud.cfg ]; then
  mkdir -p /etc/cloud/cloud.cfg.d
  printf 'preserve_hostname: true\\nmanage_etc_hosts: false\\n' | write "$keep"
fi
[ -e /etc/hosts ] || printf '127.0.0.1 localhost\\n' | write /etc/hosts
known=$(awk -v own="$own" '
  { sub(/#.*/, ""); for (i = 2; i <= NF; i++) if ($i == own) print "yes" }' /etc/hosts)
if [ -z "$known" ]; then
  awk -v own="$own" '
    $1 == "127.0.1.1" && !done { print "127.0.1.1 " own; done = 1; next }
    { print }
    END { if (!done) print "127.0.1.1 " own }' /etc/hosts | write /etc/hosts
fi
printf '%s\\n' "$own" | write /etc/hostname
hostname -- "$own"
"""

_ZONE = """set -e; trap '' HUP PIPE; umask 022
[ -f "/usr/share/zoneinfo/$zone" ] || { echo "the server does not know the time zone $zone" >&2; exit 1; }
if [ -e /etc/timezone ]; then
  new=$(mktemp /etc/timezone.XXXXXX)
  printf '%s\\n' "$zone" > "$new"; chmod 644 "$new"; mv -f "$new" /etc/timezone
fi
ln -sfn "../usr/share/zoneinfo/$zone" /etc/localtime.standfast
mv -f -T /etc/localtime.standfast /etc/localtime
systemctl try-restart cron.service"""

_AS_FOUND = """set -e; trap '' HUP PIPE; umask 077; export LC_ALL=C
mkdir -p -m 700 "${file%/*}"
new=$(mktemp -- "$file.XXXXXX"); trap 'rm -f -- "$new"' EXIT
{ unowned /etc | sums; set_uid 'set-uid  %p\\n'; } | sort > "$new"
[ -s "$new" ]
sync -- "$new"; mv -f -T -- "$new" "$file"
"""
