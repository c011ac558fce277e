"""Caddy runs, its file is good, and every site answers."""

from __future__ import annotations

import pytest
from testinfra.host import Host as LiveHost

from standfast.inventory.schema import Caddy, Host

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


def test_site_answers(host: LiveHost, declared: Host, site: str) -> None:
    assert declared.caddy is not None
    plain = declared.caddy.sites[site].tls == "off"
    scheme, port = ("http", 80) if plain else ("https", 443)
    name = site.split(":", 1)[0]
    code = host.check_output(
        "curl -sk -m 10 -o /dev/null -w '%s' --resolve %s %s",
        "%{http_code}",
        f"{name}:{port}:127.0.0.1",
        f"{scheme}://{name}/",
    )
    assert 200 <= int(code) < SERVER_FAULT
