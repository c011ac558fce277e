"""A Compose project made harmless, from what Compose 2.26 prints."""

from __future__ import annotations

import json
from typing import Any

from standfast.host.restore.throwaway import asked_service, harmless, twins_of

CONFIG: dict[str, Any] = {
    "name": "shop",
    "networks": {"default": {"name": "shop_default", "ipam": {}}, "edge": {"name": "edge", "external": True}},
    "services": {
        "db": {
            "image": "postgres:17",
            "environment": {"POSTGRES_PASSWORD": "p$$w"},
            "networks": {"default": None},
            "restart": "always",
            "volumes": [{"type": "volume", "source": "data", "target": "/var/lib/postgresql/data"}],
        },
        "web": {
            "image": "shop/web:1",
            "command": None,
            "container_name": "shop",
            "depends_on": {"db": {"condition": "service_healthy", "required": True}},
            "labels": {"traefik.enable": "true"},
            "logging": {"driver": "syslog"},
            "networks": {"edge": {"ipv4_address": "10.9.0.2", "aliases": ["site"]}, "default": None},
            "ports": [
                {
                    "mode": "ingress",
                    "host_ip": "127.0.0.1",
                    "target": 80,
                    "published": "8000",
                    "protocol": "tcp",
                }
            ],
            "privileged": True,
            "volumes": [
                {"type": "bind", "source": "/srv/apps/shop/shop.ini", "target": "/etc/shop.ini"},
                {"type": "bind", "source": "/var/run/docker.sock", "target": "/var/run/docker.sock"},
                {"type": "volume", "source": "media", "target": "/srv/media"},
            ],
        },
        "metrics": {"image": "shop/metrics:1", "network_mode": "host", "pid": "host"},
    },
    "volumes": {"data": {"name": "shop_data", "external": True}, "media": {"name": "shop_media"}},
}


def test_nothing_leads_outside() -> None:
    twin = harmless(CONFIG, "shop-drill")
    text = json.dumps(twin)
    for trace in ("8000", "docker.sock", "traefik", "syslog", "10.9.0.2", "privileged", "host"):
        assert f'"{trace}' not in text
        assert f'{trace}"' not in text
    assert all(network["internal"] for network in twin["networks"].values())
    assert twin["services"]["web"]["networks"]["edge"] == {"aliases": ["site"]}
    assert twin["services"]["web"]["volumes"][0]["read_only"] is True
    assert {service["restart"] for service in twin["services"].values()} == {"no"}


def test_no_volume_is_one_of_the_server() -> None:
    twin = harmless(CONFIG, "shop-drill")
    names = {key: each["name"] for key, each in twin["volumes"].items()}
    assert names == {"data": "shop-drill_data", "media": "shop-drill_media"}
    assert twins_of(CONFIG, "shop-drill") == {"shop_data": names["data"], "shop_media": names["media"]}


def test_what_the_application_is_stays() -> None:
    web = harmless(CONFIG, "shop-drill")["services"]["web"]
    assert (web["image"], web["depends_on"]) == ("shop/web:1", CONFIG["services"]["web"]["depends_on"])
    assert harmless(CONFIG, "x")["services"]["db"]["environment"] == {"POSTGRES_PASSWORD": "p$$w"}
    assert CONFIG["services"]["web"]["privileged"] is True, "the original is left alone"


def test_which_service_answers() -> None:
    assert asked_service(CONFIG, "http://127.0.0.1:8000/healthz") == ("web", 80)
    assert asked_service(CONFIG, "https://shop.example.com/") is None
