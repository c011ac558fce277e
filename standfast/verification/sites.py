"""Where a site of the inventory is asked, and whose certificate it must show."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from standfast.inventory.schema import Site

HTTP, HTTPS = 80, 443
NOT_PUBLIC = ("localhost", "local", "internal", "home.arpa")
"""Names for which no public authority gives a certificate, so that Caddy uses its own."""


def reachable_at(site: str, *, plain: bool) -> tuple[str, str, int]:
    """Scheme, host name and port at which a site of the inventory is asked; `*` and no name stand for any."""
    written, _, address = site.rpartition("://")
    parts = urlsplit(f"//{address}")
    name = (parts.hostname or "localhost").replace("*", "any")
    scheme = written or ("http" if plain or parts.port == HTTP else "https")
    return scheme, name, parts.port or (HTTP if scheme == "http" else HTTPS)


def local_authority(name: str, site: Site) -> bool:
    """Whether the certificate comes from Caddy's own authority on the server."""
    if site.tls == "internal" or "." not in name:
        return True
    if any(name == each or name.endswith(f".{each}") for each in NOT_PUBLIC):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def redirects(site: str, declared: Site) -> bool:
    """Whether Caddy leads from HTTP to HTTPS by itself: for a name without scheme and port."""
    _, name, port = reachable_at(site, plain=declared.tls == "off")
    return declared.tls != "off" and "://" not in site and port == HTTPS and name not in ("localhost",)


def own_certificate(declared: Site) -> bool:
    """Whether the team's own directives say which certificate is shown; then its authority is not known."""
    return any(line.split()[:1] == ["tls"] for line in declared.directives.splitlines())
