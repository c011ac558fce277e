"""Packages that somebody installed, held back or left half-way, by hand."""

from __future__ import annotations

from collections.abc import Iterator

from standfast.drift.finding import Finding
from standfast.drift.known import Known
from standfast.facts.package_states import PackageStates

# The engine counts as declared by its packages, whichever of them brought it.
DOCKERS = ("docker.io", "docker-cli", "docker-compose", "docker-compose-v2", "docker-buildx", "containerd")
DOCKERS_OWN = ("docker-ce", "docker-ce-cli", "docker-compose-plugin", "docker-buildx-plugin", "containerd.io")


def findings(known: Known, found: PackageStates) -> Iterator[Finding]:
    """What is out of the ordinary with packages; one that was installed by hand is no more than noted."""
    for name in found.held:
        yield Finding(
            f"hold:{name}", "base", "unmanaged", f"package {name}", "held back: gets no security updates"
        )
    for name, state in found.broken:
        yield Finding(
            f"package:{name}",
            "base",
            "changed",
            f"package {name}",
            f"half installed ({state}): `dpkg --configure -a`",
        )
    for name, target in found.alternatives:
        yield Finding(
            f"alternative:{name}",
            "base",
            "changed",
            f"command {name}",
            f"somebody pointed it to {target} by hand",
        )
    declared = known.packages
    if known.host.docker is not None:
        declared |= {*DOCKERS, *DOCKERS_OWN}
    for each in found.by_hand:
        if each.name in declared or known.arrival is None or each.when <= known.arrival:
            continue
        yield Finding(
            f"package:{each.name}",
            "base",
            "noted",
            f"package {each.name}",
            "installed by hand, not declared",
            each.when,
        )
