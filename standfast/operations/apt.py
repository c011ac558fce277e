"""Packages of Debian and its descendants: installed by one apt-get, whatever state dpkg was left in."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.facts.apt import Package, Packages
from standfast.operations.change import Change, Step
from standfast.operations.named import operation

LOCK_TIMEOUT = 300  # seconds; unattended-upgrades may hold the lock for minutes


@operation
def packages(names: Sequence[str]) -> Generator[StringCommand, None, None]:
    """
    Make sure that packages are installed; those that are there are neither upgraded nor removed.

    All missing ones are installed by one apt-get. It refreshes the package lists only when it has to,
    keeps changed configuration files, removes nothing, asks nothing, and goes on when the
    connection breaks. An interrupted dpkg is repaired first.

    + names: names of real packages; a virtual one fails after the installation and says so

    Raises:
        CouldNotLook: not a Debian or Ubuntu server; nothing has been changed.
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        host.noop("no packages are declared")
        return
    present = host.get_fact(Packages, names=wanted)
    missing = [name for name in wanted if not (name in present and present[name].installed)]
    if not missing:
        host.noop(f"{len(wanted)} packages are installed")
        return
    yield Step(_install_script(missing), changes=[_change(name, present.get(name)) for name in missing])


def _change(name: str, present: Package | None) -> Change:
    if present is not None and present.half_installed:
        return Change("update", f"package {name}", f"its installation was cut off ({present.state})")
    return Change("create", f"package {name}")


def _install_script(names: Sequence[str]) -> str:
    """Shell code. Output goes to a file: dpkg stops half-way when its output is a closed connection."""
    return f"""set -u; trap '' HUP PIPE
names={shlex.quote(" ".join(names))}
said=$(mktemp) || exit 1; trap 'rm -f -- "$said"' EXIT
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l LC_ALL=C
apt() {{ apt-get -q -o DPkg::Lock::Timeout={LOCK_TIMEOUT} "$@" < /dev/null >> "$said" 2>&1; }}
refresh() {{ apt update -o APT::Update::Error-Mode=any; }}
conf='-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold'
install() {{ apt install -y --no-install-recommends --no-remove $conf "$@"; }}
{_REPAIR}
{_FRESH}
repair || fail
fresh && apt install -s --no-remove -- $names || {{ refresh; refreshed=$?; }}
: > "$said"
install -- $names || {{ [ "${{refreshed-}}" != 0 ] && refresh && install -- $names; }} || fail
for name in $names; do
  case $(dpkg-query -W -f '${{Status}}' -- "$name" 2> /dev/null) in
    *' installed' | *' triggers-pending') ;;
    *) echo "$name is a virtual package. The others were installed. Name the real one that you want." >&2
       exit 1 ;;
  esac
done"""


_REPAIR = f"""repair() {{
  until=$(($(date +%s) + {LOCK_TIMEOUT}))
  while [ -n "$(dpkg --audit 2> /dev/null)" ] || [ -n "$(ls /var/lib/dpkg/updates)" ]; do
    : > "$said"
    dpkg --force-confdef --force-confold --configure -a < /dev/null >> "$said" 2>&1 && return 0
    grep -q 'locked by another process' "$said" && [ "$(date +%s)" -lt "$until" ] || break
    sleep 3
  done
  # What dpkg cannot finish for want of another package, apt fetches.
  apt check || {{ refresh; install --fix-broken; }}
}}"""

# apt keeps the server's dates on the lists themselves; the folder `partial` has the date of the last update.
_FRESH = """fresh() {
  ls /var/lib/apt/lists/*_Packages* > /dev/null 2>&1 &&
  [ -n "$(find /var/lib/apt/lists/partial -maxdepth 0 -mtime -1)" ]
}
fail() {
  grep -E '^(E:|dpkg: error|Err:)' "$said" >&2 || tail -n 15 "$said" >&2
  if grep -q 'Unable to locate package\\|has no installation candidate' "$said"; then
    echo "The server's package sources (/etc/apt/sources.list*) do not have it. Check the name." >&2
  elif grep -q 'Packages need to be removed but remove is disabled' "$said"; then
    sed -n '/will be REMOVED/,/^The following NEW/p' "$said" >&2
    echo 'Other packages would have to go, and standfast removes none. Decide and remove them by hand.' >&2
  fi
  exit 1
}"""
