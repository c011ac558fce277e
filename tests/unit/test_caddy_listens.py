"""Which addresses of a Caddyfile a server does not have."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from standfast.facts.caddy import Trial

OWN = frozenset(map(ip_address, ("127.0.0.1", "::1", "203.0.113.5", "2001:db8::5", "fe80::1")))


def listening(*places: str) -> Trial:
    servers = {f"srv{number}": {"listen": [place]} for number, place in enumerate(places)}
    return Trial("", {"apps": {"http": {"servers": servers}}}, None, OWN)


@pytest.mark.parametrize(
    "place",
    [
        *(":443", "0.0.0.0:80", "[::]:80", "127.0.0.53:80", "[::1]:80"),
        *("203.0.113.5:80", "tcp/203.0.113.5:80", "[2001:db8::5]:443", "[fe80::1%eth0]:80"),
        *("localhost:80", "web.internal:80", "unix//run/caddy.sock"),
    ],
)
def test_what_a_server_can_listen_on(place: str) -> None:
    assert listening(place).foreign == []


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("192.0.2.7:80", "192.0.2.7"),
        ("udp/192.0.2.7:443", "192.0.2.7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
    ],
)
def test_what_it_cannot_listen_on(place: str, address: str) -> None:
    assert listening(":443", place).foreign == [address]


def test_a_kernel_that_allows_all_addresses() -> None:
    trial = listening("192.0.2.7:80")
    assert Trial(trial.fault, trial.config, trial.running, None).foreign == []
