"""The inventories that come with the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

INVENTORIES = Path(__file__).parents[2] / "inventories"


def host(name: str) -> dict[str, Any]:
    """The one host that an inventory declares."""
    document = yaml.safe_load((INVENTORIES / name).read_text())
    (declared,) = document["hosts"].values()
    assert isinstance(declared, dict)
    return declared


def test_the_virtual_machine_is_declared_as_the_container_is() -> None:
    lab, vagrant = host("lab.yml"), host("vagrant.yml")
    assert lab.pop("ssh") != vagrant.pop("ssh")
    assert lab == vagrant
