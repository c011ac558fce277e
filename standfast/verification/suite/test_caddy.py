"""Caddy's file is good and in force, every site answers, with the certificate that it must have."""

from __future__ import annotations

import pytest

from standfast.inventory.schema import Caddy, Host
from standfast.verification.expected import web_ports
from standfast.verification.seen import Seen
from standfast.verification.sites import own_certificate, reachable_at

SERVER_FAULT = 500


@pytest.fixture
def caddy(declared: Host) -> Caddy:
    if declared.caddy is None:
        pytest.skip("caddy is not declared")
    return declared.caddy


def test_caddyfile_is_good(seen: Seen, caddy: Caddy) -> None:
    assert seen.text("caddyfile")


def test_caddyfile_is_in_force(seen: Seen, caddy: Caddy) -> None:
    if caddy.caddyfile:
        pytest.skip("with a Caddyfile of your own, Caddy may not tell what it runs with")
    assert seen.text("caddy in force").strip() == "same"


def test_caddy_listens_where_sites_are(seen: Seen, caddy: Caddy, declared: Host) -> None:
    assert set(web_ports(declared)) <= {port for protocol, _, port in seen.listening() if protocol == "tcp"}


def test_applications_behind_it_answer(seen: Seen, caddy: Caddy) -> None:
    assert [line for line in seen.lines("upstreams") if not line.endswith(" answers")] == []


def test_site_answers(seen: Seen, site: str) -> None:
    assert 200 <= int(seen.lines(f"site {site}")[0]) < SERVER_FAULT


def test_site_shows_the_right_certificate(seen: Seen, declared: Host, site: str) -> None:
    assert declared.caddy is not None
    settings = declared.caddy.sites[site]
    scheme, *_ = reachable_at(site, plain=settings.tls == "off")
    if scheme != "https":
        pytest.skip("it is plain HTTP")
    if own_certificate(settings):
        pytest.skip("your own directives choose its certificate")
    _, *reasons, code = seen.lines(f"site {site}")
    assert code == "0", " ".join(reasons)
