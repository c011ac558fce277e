"""Caddy runs, its file is good, and every site answers."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from testinfra.host import Host as LiveHost

from standfast.inventory.schema import Caddy, Host

HTTP, HTTPS = 80, 443
SERVER_FAULT = 500


@pytest.fixture
def caddy(declared: Host) -> Caddy:
    if declared.caddy is None:
        pytest.skip("caddy is not declared")
    return declared.caddy


def test_caddy_runs_and_starts_at_boot(host: LiveHost, caddy: Caddy) -> None:
    service = host.service("caddy")
    assert service.is_running
    assert service.is_enabled


def test_caddyfile_is_good(host: LiveHost, caddy: Caddy) -> None:
    assert host.run("runuser -u caddy -- caddy adapt --config /etc/caddy/Caddyfile").rc == 0


def reachable_at(site: str, *, plain: bool) -> tuple[str, str, int]:
    """Scheme, host name and port at which a site of the inventory is asked; `*` and no name stand for any."""
    written, _, address = site.rpartition("://")
    parts = urlsplit(f"//{address}")
    name = (parts.hostname or "localhost").replace("*", "any")
    scheme = written or ("http" if plain or parts.port == HTTP else "https")
    return scheme, name, parts.port or (HTTP if scheme == "http" else HTTPS)


def test_site_answers(host: LiveHost, declared: Host, site: str) -> None:
    assert declared.caddy is not None
    scheme, name, port = reachable_at(site, plain=declared.caddy.sites[site].tls == "off")
    code = host.check_output(
        "curl -sk -m 10 -o /dev/null -w %s --resolve %s %s",
        "%{http_code}",
        f"{name}:{port}:127.0.0.1",
        f"{scheme}://{name}:{port}/",
    )
    assert 200 <= int(code) < SERVER_FAULT
