"""The Caddy web server: what it would say to a Caddyfile, and what it runs with."""

from __future__ import annotations

import json
import shlex
from base64 import b64encode
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script

IPAddress = IPv4Address | IPv6Address
CADDYFILE = "/etc/caddy/Caddyfile"
NOT_INSTALLED, INVALID = 9, 11
ANY = "any"
HTTP, HTTPS = 80, 443


@dataclass(frozen=True, slots=True)
class Trial:
    """What Caddy makes of a Caddyfile, and what it runs with at the moment."""

    fault: str
    """What Caddy says against it; empty when nothing."""
    config: dict[str, Any]
    """Caddy's own form of it; empty when there is a fault."""
    running: dict[str, Any] | None
    """The configuration in force; ``None`` when Caddy does not run or does not tell."""
    addresses: frozenset[IPAddress] | None = None
    """What the server has; ``None`` when its kernel lets a process listen on others too."""

    @property
    def ports(self) -> frozenset[int]:
        """TCP ports that Caddy would listen on."""
        return frozenset(_ports(self.config))

    @property
    def foreign(self) -> list[str]:
        """Addresses that Caddy would listen on and the server does not have."""
        listening = (each for server in _servers(self.config) for each in _listen(server))
        wanted = sorted({host for host, _ in listening if host})
        return [host for host in wanted if self.addresses is not None and not _own(host, self.addresses)]

    @property
    def can_reload(self) -> bool:
        """Whether it leaves the door open through which Caddy is told to reload."""
        return not self.config.get("admin", {}).get("disabled", False)


class CaddyTrial(Fact["Trial | None"]):
    """
    What Caddy makes of `text` in place of its Caddyfile; ``None`` when Caddy is not installed.

    Caddy validates it as its own user, in a mount namespace where its data and logs are empty and in
    memory: nothing of the trial stays.

    Raises:
        CouldNotLook: the trial could not be made.

    Source: caddy-validate(8), caddy-adapt(8), Caddy's API ``GET /config/``.
    """

    @override
    def command(self, text: str) -> StringCommand:
        content = b64encode(text.encode()).decode()
        return script(f"content={shlex.quote(content)}; file={CADDYFILE}; export content file\n{_TRIAL}")

    @override
    def parse(self, answer: Answer) -> Trial | None:
        if answer.status == NOT_INSTALLED:
            return None
        if answer.status == INVALID:
            said = [line.removeprefix("Error: ") for line in answer.errors if line.startswith("Error: ")]
            return Trial("; ".join(said) or answer.reason, {}, None)
        if answer.status != 0:
            raise CouldNotLook(
                f"caddy: a Caddyfile could not be tried: {answer.reason}. Nothing was changed."
            )
        config, addresses, *running = answer.lines
        return Trial(
            "",
            json.loads(config),
            json.loads(running[0]) if running and running[0] else None,
            None if addresses == ANY else frozenset(map(ip_address, addresses.split())),
        )


def _servers(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from config.get("apps", {}).get("http", {}).get("servers", {}).values()


def _listen(server: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Host, empty for all addresses, and port of everything that it would listen on; no Unix sockets."""
    for address in server.get("listen", []):
        network, _, place = address.rpartition("/")
        if not network.startswith("unix"):
            host, _, port = place.rpartition(":")
            yield host.strip("[]"), port


def _own(host: str, addresses: Collection[IPAddress]) -> bool:
    """Whether a server can listen there; of names nobody knows it before Caddy looks them up."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return True
    return address.is_unspecified or address.is_loopback or address in addresses


def _ports(config: dict[str, Any]) -> Iterator[int]:
    http = config.get("apps", {}).get("http", {})
    for server in _servers(config):
        for _, port in _listen(server):
            if port.isdecimal():
                yield int(port)
            automatic = server.get("automatic_https", {})
            redirects = not (automatic.get("disable") or automatic.get("disable_redirects"))
            if port == str(http.get("https_port", HTTPS)) and redirects:
                yield int(http.get("http_port", HTTP))


_TRIAL = r"""
command -v caddy > /dev/null && getent passwd caddy > /dev/null || exit 9
unshare --mount sh -c '
  room=$(getent passwd caddy | cut -d: -f6)
  { mkdir -p "$room" && mount -t tmpfs -o mode=755 standfast "$room" && chown caddy: "$room" &&
    mount -t tmpfs -o mode=755 standfast /var/log && mkdir /var/log/caddy && chown caddy: /var/log/caddy &&
    printf %s "$content" | base64 -d > "$room/Caddyfile" && chmod 644 "$room/Caddyfile"; } || exit 1
  # In its right place, relative imports lead where they will.
  if [ -f "$file" ]; then mount --bind "$room/Caddyfile" "$file" || exit 1; else file=$room/Caddyfile; fi
  as_caddy() {
    runuser -u caddy -- env "HOME=$room" timeout 30 caddy "$@" --config "$file" --adapter caddyfile
  }
  as_caddy validate > /dev/null || exit 11
  as_caddy adapt 2> /dev/null | tr -d "\n" || exit 11
  echo' || exit $?
if [ "$(cat /proc/sys/net/ipv4/ip_nonlocal_bind)" = 0 ]; then
  ip -o address | awk '{ sub("/.*", "", $4); printf "%s ", $4 }'; echo
else
  echo any
fi
curl --silent --fail --max-time 5 http://127.0.0.1:2019/config/ 2> /dev/null; echo"""
