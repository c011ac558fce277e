"""Which packages hold Docker and Compose 2, release by release."""

from __future__ import annotations

import pytest

from standfast.errors import Refused
from standfast.facts.system import Release
from standfast.operations.docker import packages_for

DEBIAN = ["docker.io", "docker-cli", "docker-compose"]
UBUNTU = ["docker.io", "docker-compose-v2"]


@pytest.mark.parametrize(
    ("release", "packages"),
    [
        (Release("debian", "13", "trixie", "Debian GNU/Linux 13 (trixie)"), DEBIAN),
        (Release("debian", "", "forky", "Debian GNU/Linux forky/sid"), DEBIAN),
        (Release("ubuntu", "22.04", "jammy", "Ubuntu 22.04.5 LTS"), UBUNTU),
        (Release("ubuntu", "24.04", "noble", "Ubuntu 24.04.3 LTS"), UBUNTU),
    ],
)
def test_packages(release: Release, packages: list[str]) -> None:
    assert packages_for(release) == packages


@pytest.mark.parametrize("identity", [("debian", "12"), ("alpine", "3.20")])
def test_releases_without_compose_2(identity: tuple[str, str]) -> None:
    with pytest.raises(Refused, match="has no package of Compose 2"):
        packages_for(Release(*identity, "", "It"))
