"""What is declared, and what standfast knows of itself: what a finding is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from standfast.facts.unowned import Unowned
from standfast.inventory.schema import Host

OURS = "standfast-"
GRACE = timedelta(seconds=3)  # around a run of dpkg: what is written then is the package's work


@dataclass(frozen=True, slots=True)
class Known:
    """Everything about one server that is on purpose."""

    host: Host
    name: str
    """The server's name in the inventory."""
    login: str
    """The account that standfast logs in with."""
    fingerprint: str | None = None
    """The key that it logs in with, when the server tells."""
    port: int | None = None
    """The port that it came in through."""
    paths: frozenset[str] = frozenset()
    """Files that a deploy has looked at, so that they are declared to be there or not to be there."""
    packages: frozenset[str] = frozenset()
    """Packages that a deploy has looked at."""
    services: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Services of each declared application, as far as they are known."""
    now: datetime | None = None
    arrival: datetime | None = None
    """When standfast first changed something on the server."""
    package_runs: tuple[tuple[datetime, datetime], ...] = ()
    """Begin and end of the times in which dpkg was at work."""

    def at(self, unowned: Unowned) -> Known:
        """The same, with what the server's clock and logs tell."""
        return replace(self, now=unowned.now, arrival=unowned.arrival, package_runs=unowned.package_runs)

    def by_hand(self, when: datetime) -> bool:
        """Whether a change is no package's work."""
        return not any(begin - GRACE <= when <= end + GRACE for begin, end in self.package_runs)

    def lets_in(self, protocol: str, port: int) -> bool:
        """Whether the declared firewall has an opening for a port."""
        for rule in self.host.firewall.allow:
            low, _, high = str(rule.port).partition("-")
            if protocol in rule.protocol and int(low) <= port <= int(high or low):
                return True
        return False

    def reach(self, protocol: str, port: int) -> str:
        """What the declared firewall does to a port, for people."""
        if self.lets_in(protocol, port):
            return "the firewall lets it in"
        return "the declared firewall does not let it in"
