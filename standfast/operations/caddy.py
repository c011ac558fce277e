"""The Caddy web server: a Caddyfile that Caddy accepts, taken over without a request lost."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.errors import Refused
from standfast.facts.caddy import CADDYFILE, HTTP, HTTPS, CaddyTrial, Trial
from standfast.facts.files import File
from standfast.facts.sockets import Listener, Listeners
from standfast.facts.system import OperatingSystem, Release
from standfast.facts.systemd import Unit
from standfast.inventory.schema import Caddy
from standfast.operations import files
from standfast.operations.change import Change, Step
from standfast.operations.files import Activation
from standfast.operations.named import operation
from standfast.rendering import Rendered

RELOAD = Change("reload", "caddy.service", "no downtime")


@operation
def caddyfile(content: Rendered, *, ports: Collection[int]) -> Generator[StringCommand, None, None]:
    """
    Make sure that this is Caddy's Caddyfile, and what Caddy runs with.

    Caddy validates it before it is put in place, then reloads; when the reload fails, the old file is back
    and Caddy starts anew with it. Before Caddy is installed the file is written all the same, so
    that already its first start is with it.

    + content: the whole Caddyfile
    + ports: TCP ports that it needs, as far as is known before Caddy can say

    Raises:
        Refused: Caddy does not accept it; an address that it needs is not the server's, or a port is another
            process's; the system has no package of Caddy. Nothing has been changed.
    """
    trial = host.get_fact(CaddyTrial, text=content.text)
    if trial is None:
        _refuse_without_package(host.get_fact(OperatingSystem))
    needed = trial.ports if trial and not trial.fault else ports
    faults = [*_invalid(trial), *_foreign(trial), *_taken(needed)]
    if faults:
        raise Refused("\n".join(f"caddy: {fault}" for fault in faults) + " Nothing was changed.")
    runs = trial is not None and host.get_fact(Unit, unit="caddy.service").running
    written = host.get_fact(File, path=CADDYFILE)
    if runs and trial and written and written.content == content.text.encode() and _strayed(content, trial):
        detail = "it runs with another configuration than its file: somebody used its API; no downtime"
        yield Step(_RELOAD, changes=[Change("reload", "caddy.service", detail)])
        return
    yield from files.file._inner(
        CADDYFILE, content, validate=_VALIDATE, activate=Activation(RELOAD, _RELOAD, _BACK) if runs else None
    )


def ports(wanted: Caddy) -> frozenset[int]:
    """TCP ports that a web server needs by its declaration; with a Caddyfile of the user's, the usual two."""
    if wanted.caddyfile is not None:
        return frozenset({HTTP, HTTPS})
    needed: set[int] = set()
    for name, site in wanted.sites.items():
        address = name.rpartition("://")[2].partition("/")[0]
        port = address.rpartition(":")[2]
        if port.isdecimal() and not address.endswith("]"):
            needed.add(int(port))
        elif site.tls == "off" or name.startswith("http://"):
            needed.add(HTTP)
        else:
            needed |= {HTTP, HTTPS}
    return frozenset(needed)


def _refuse_without_package(system: Release) -> None:
    oldest = {"debian": (12,), "ubuntu": (23, 4)}.get(system.id)
    version = tuple(int(part) for part in system.version.split(".") if part.isdecimal())
    if oldest is not None and version and version < oldest:
        raise Refused(
            f"caddy: {system.name} has no package of Caddy. Use Debian 12 or newer, Ubuntu 24.04 or newer, "
            "or install Caddy's own package on the server first. Nothing was changed."
        )


def _invalid(trial: Trial | None) -> Iterator[str]:
    if trial is None:
        return
    if trial.fault:
        yield f"Caddy does not accept the Caddyfile: {trial.fault}."
    elif not trial.can_reload:
        yield "the Caddyfile says `admin off`, but a reload needs Caddy's admin address. Remove that line."


def _foreign(trial: Trial | None) -> Iterator[str]:
    for address in trial.foreign if trial is not None else ():
        yield (
            f"the Caddyfile has it listen on {address}: expected an address of this server, found none "
            "of its own. Correct the `bind`, or give the server that address first."
        )


def _taken(needed: Collection[int]) -> Iterator[str]:
    listeners: list[Listener] = host.get_fact(Listeners)
    for each in listeners:
        if each.protocol == "tcp" and each.port in needed and each.process != "caddy":
            yield (
                f"port {each.port}: expected it to be free for Caddy, found it taken by process {each.pid} "
                f"({each.command or each.process}) on {each.address}. Stop that, or move it to another port."
            )


def _strayed(content: Rendered, trial: Trial) -> bool:
    """Whether Caddy runs with something else. Its own environment may change what ``{$NAME}`` means."""
    return trial.running is not None and "{$" not in content.text and trial.running != trial.config


_AS_CADDY = 'runuser -u caddy -- env HOME="$(getent passwd caddy | cut -d: -f6)" timeout 60 caddy'

# As root, Caddy would leave files behind that Caddy's own user cannot write.
_VALIDATE = f"""if command -v caddy > /dev/null && getent passwd caddy > /dev/null; then
  chmod 644 -- "$new"
  said=$({_AS_CADDY} validate --config "$new" --adapter caddyfile 2>&1) ||
    {{ printf '%s\\n' "$said" | sed -n 's/^Error: //p' >&2; exit 1; }}
fi"""

# Not by systemctl: after a reload that failed, Caddy 2.6 leaves systemd waiting for an answer for ever.
_RELOAD = f"""said=$({_AS_CADDY} reload --config {CADDYFILE} --adapter caddyfile --force 2>&1) ||
  {{ printf '%s\\n' "$said" | sed -n 's/^Error: //p' >&2; exit 1; }}"""

# A reload that fails half-way leaves its new listeners behind, beside the old ones and without certificates
# (Caddy's issue 7175): some requests would fail for ever, also after a later reload that succeeds.
_BACK = """echo "Caddy starts anew with it: a reload that failed leaves half of its listeners behind" >&2
systemctl restart caddy"""
