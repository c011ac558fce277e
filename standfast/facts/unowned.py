"""Files that no package brought: configuration that somebody wrote, and what runs because of it."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script

NOT_DEBIAN = 9
AS_FOUND = "/var/lib/standfast/as-found"
GAP = 120  # seconds of silence in dpkg's log after which a new run begins
TEXT_LIMIT = 4096  # bytes; of longer files only the beginning

Sort = Literal["file", "link", "other"]
SORTS: dict[str, Sort] = {"f": "file", "l": "link"}


@dataclass(frozen=True, slots=True)
class UnownedFile:
    """A file or a link that belongs to no package."""

    path: str
    sort: Sort
    mode: str
    """Permissions as octal digits."""
    owner: str
    modified: datetime
    """When its content was last written, as the file says; anybody may have set it back."""
    changed: datetime
    """When content, name or rights last changed, as the kernel noted it."""
    size: int
    target: str = ""
    """Where a link leads."""
    as_found: bool = False
    """Whether its content is what it was when standfast first came to this server."""
    text: str | None = None
    """Beginning of its content, for the folders in which it says what the file does."""


@dataclass(frozen=True, slots=True)
class SetUid:
    """A program that runs with its owner's or its group's rights, whoever starts it."""

    path: str
    owner: str
    mode: str
    changed: datetime


@dataclass(frozen=True, slots=True)
class Unowned:
    """What no package brought, below /etc, /usr/local and where cron, at and systemd look."""

    now: datetime
    """The server's clock."""
    arrival: datetime | None
    """When standfast first changed something here; ``None`` when it never did."""
    files: tuple[UnownedFile, ...]
    apps: tuple[str, ...] = ()
    """Names of the folders in /srv/apps."""
    package_runs: tuple[tuple[datetime, datetime], ...] = ()
    """Begin and end of the times in which dpkg installed, upgraded or removed something."""
    set_uid: tuple[SetUid, ...] = ()
    """Programs with others' rights that were not there when standfast first came."""
    dhcp: bool = False
    """Whether a DHCP client of the old kind may write /etc/resolv.conf at any time."""


class UnownedFiles(Fact[Unowned]):
    """
    Files below /etc, /usr/local and the folders of cron, at and systemd that belong to no package.

    Raises:
        CouldNotLook: dpkg's lists, or one of the folders, could not be read.

    Source: find(1), dpkg(1) "FILES", dpkg-divert(1), ucf(1).
    """

    @override
    def command(self) -> StringCommand:
        return script(LISTING + _LOOK)

    @override
    def parse(self, answer: Answer) -> Unowned:
        if answer.status == NOT_DEBIAN:
            raise CouldNotLook(
                "drift: expected a Debian or Ubuntu server, found no dpkg. Nothing was changed."
            )
        if answer.status != 0:
            raise CouldNotLook(f"drift: files could not be listed: {answer.reason}. Nothing was changed.")
        texts: dict[str, str] = {}
        words: dict[str, list[str]] = {}
        for line in answer.lines:
            kind, _, rest = line.partition(" ")
            words.setdefault(kind, []).append(rest)
        for each in words.get("text", ()):
            encoded, _, path = each.partition(" ")
            texts[path] = b64decode(encoded).decode(errors="replace")
        same = frozenset(words.get("same", ()))
        arrival = float(words.get("arrival", ["0"])[0])
        return Unowned(
            now=_time(words["now"][0]),
            arrival=_time(str(arrival)) if arrival > 0 else None,
            files=tuple(_file(each, texts, same) for each in words.get("file", ())),
            apps=tuple(words.get("app", ())),
            package_runs=tuple(run for each in words.get("dpkg", ()) for run in _runs(each)),
            set_uid=tuple(_set_uid(each) for each in words.get("setuid", ())),
            dhcp="dhcp" in words,
        )


def _file(line: str, texts: dict[str, str], same: frozenset[str]) -> UnownedFile:
    sort, mode, owner, modified, changed, size, path, target = line.split("\t")
    return UnownedFile(
        path=path,
        sort=SORTS.get(sort, "other"),
        mode=mode,
        owner=owner,
        modified=_time(modified),
        changed=_time(changed),
        size=int(size),
        target=target,
        as_found=path in same,
        text=texts.get(path),
    )


def _set_uid(line: str) -> SetUid:
    changed, mode, owner, path = line.split("\t")
    return SetUid(path, owner, mode, _time(changed))


def _runs(line: str) -> Iterator[tuple[datetime, datetime]]:
    """
    For example ``2026-11-22 07:04:12 07:04:31 +0900``.

    dpkg writes local time without its zone: before the first apply the server's was most likely UTC.
    """
    day, begin, end, here = line.split()
    for zone in dict.fromkeys((here, "+0000")):
        first, last = (
            datetime.strptime(f"{day} {each} {zone}", "%Y-%m-%d %H:%M:%S %z") for each in (begin, end)
        )
        yield first.astimezone(UTC), last.astimezone(UTC)


def _time(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(float(seconds)), UTC)


# Three commands: `unowned FOLDER…` lists what belongs to no package, `sums` adds checksums to such a list,
# `set_uid FORMAT` lists programs that run with others' rights, in the places where somebody would put one.
# A name with a line end or a tab in it is shown with question marks.
LISTING = r"""
unowned() {
  {
    cat /var/lib/dpkg/info/*.list /var/lib/dpkg/diversions | grep -E '^/(etc|usr/local)/'
    if [ -r /var/lib/ucf/hashfile ]; then awk '{ print $2 }' /var/lib/ucf/hashfile; fi
    echo ==
    find "$@" \( -path /etc/ssl/certs -o -path /etc/alternatives -o -path '/etc/rc?.d' \) -prune -o \
      ! -type d -printf '%y\t%m\t%u\t%T@\t%C@\t%s\t%p\t%l\0' | tr '\n\0' '?\n'
  } | awk -F '\t' '
    !border && $0 == "==" { border = 1; next }
    !border { known[$0] = 1; next }
    NF == 8 && !($7 in known)'
}
set_uid() {
  for folder in /usr/bin /usr/sbin /usr/lib /usr/libexec /usr/local /opt /srv /tmp /var/tmp /dev/shm /root; do
    [ ! -d "$folder" ] || [ -L "$folder" ] ||
      timeout 2 find "$folder" -xdev -maxdepth 6 -type f -perm /6000 -printf "$1"
  done
}
sums() {
  awk -F '\t' '
    $7 !~ "^/etc/" { next }
    $1 == "l" { print "link:" $8 "  " $7 }
    $1 == "f" && $6 < 1000000 { print $7 | "xargs -r -d \"\\n\" sha256sum -- 2> /dev/null" }'
}
"""

_LOOK = rf"""
[ -r /var/lib/dpkg/status ] || exit {NOT_DEBIAN}
echo "now $(date +%s)"
echo "arrival $(stat -c %Y {AS_FOUND} 2> /dev/null || echo 0)"
for folder in /srv/apps/*/; do [ -d "$folder" ] && basename -- "$folder" | sed 's/^/app /'; done
for log in $(ls -tr /var/log/dpkg.log* 2> /dev/null | tail -n 2); do zcat -f -- "$log"; done |
  awk -v zone="$(date +%z)" -v gap={GAP} '
    function flush() {{ if (day) print "dpkg " day " " begin " " end " " zone }}
    $1 ~ /^20/ && split($2, time, ":") == 3 {{
      now = time[1] * 3600 + time[2] * 60 + time[3]
      if ($1 != day || now - last > gap || now < last) {{ flush(); day = $1; begin = $2 }}
      last = now; end = $2
    }}
    END {{ flush() }}'
for lease in /var/lib/dhcp/*.lease* /var/lib/dhcpcd/*; do [ -e "$lease" ] && echo dhcp; done
roots=
for root in /etc /usr/local/bin /usr/local/sbin /usr/local/lib/systemd /usr/local/share/ca-certificates \
  /var/spool/cron /run/systemd/transient /run/systemd/system; do
  [ -d "$root" ] && roots="$roots $root"
done
list=$(unowned $roots) || exit 1
if grep -qs '^set-uid  ' {AS_FOUND}; then
  set_uid '%C@\t%m\t%u\t%p\n' | while IFS="$(printf '\t')" read -r changed mode owner path; do
    grep -qxF "set-uid  $path" {AS_FOUND} ||
      printf 'setuid %s\t%s\t%s\t%s\n' "$changed" "$mode" "$owner" "$path"
  done
fi
if [ -r {AS_FOUND} ]; then
  printf '%s\n' "$list" | sums | sort | comm -12 - {AS_FOUND} | sed 's/^[^ ]*  /same /'
fi
printf '%s\n' "$list" | sed 's/^/file /'
printf '%s\n' "$list" | awk -F '\t' '$1 == "f" {{ print $7 }}' | while read -r path; do
  case $path in
    /etc/ssh/*key*) ;;
    /etc/cron* | /var/spool/cron/* | /etc/systemd/* | /usr/local/lib/systemd/* | /run/systemd/* \
    | /etc/sudoers.d/* | /etc/ssh/* | /etc/apt/sources.list* | /etc/apt/preferences* | /etc/apt/apt.conf* \
    | /etc/sysctl* | /etc/modules* | /etc/modprobe.d/* | /etc/ld.so.preload | /etc/ld.so.conf.d/* \
    | /etc/profile.d/* | /etc/environment* | /etc/rc.local | /etc/hosts \
    | /etc/resolv.conf | /etc/fstab | /etc/docker/*)
      [ -s "$path" ] && echo "text $(head -c {TEXT_LIMIT} -- "$path" | base64 -w0) $path" ;;
  esac
done
:"""


class AsFound(Fact[bool]):
    """
    Whether the server remembers what standfast found when it came.

    Raises:
        CouldNotLook: the folder could not be read.
    """

    @override
    def command(self) -> StringCommand:
        return script(f"if [ -s {AS_FOUND} ]; then echo yes; else ls -d /var/lib > /dev/null && echo no; fi")

    @override
    def parse(self, answer: Answer) -> bool:
        if answer.status != 0:
            raise CouldNotLook(f"drift: {AS_FOUND} could not be read: {answer.reason}. Nothing was changed.")
        return answer.lines == ["yes"]
