"""
What a request to Docker's API wants, as far as volumes are concerned; pure.

Only the method and the address are looked at, never the body: what a plugin gets to see of a body is not what
Docker reads (CVE-2024-41110). The address is read as Docker's own router reads it, and more widely where it
costs nothing: a spelling that Docker does not know does no harm when it is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote

_ABSOLUTE = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
_VERSION = re.compile(r"^/v[0-9.]+(?=/)")
_FALSE = frozenset({"", "0", "no", "false", "none"})
"""What Docker takes for "no"; everything else is "yes". Source: moby, api/server/httputils/form.go."""


@dataclass(frozen=True)
class Wish:
    """What somebody wants from Docker that could cost a volume."""

    what: Literal["remove volume", "prune volumes", "remove container with volumes"]
    name: str = ""
    """Of the volume, or a name or an id, perhaps shortened, of the container."""


def wish(method: str, address: str) -> Wish | None:
    """What a request wants; ``None`` when no volume can be gone afterwards."""
    path, query = _parts(address)
    words = [word for word in path.split("/") if word]
    verb = method.strip().upper()
    if verb == "DELETE" and len(words) >= 2 and words[0] == "volumes":
        return Wish("remove volume", "/".join(words[1:]))
    if verb == "POST" and words == ["volumes", "prune"]:
        return Wish("prune volumes")
    if verb == "DELETE" and len(words) >= 2 and words[0] == "containers" and _says_yes(query, "v"):
        return Wish("remove container with volumes", "/".join(words[1:]))
    return None


def _parts(address: str) -> tuple[str, str]:
    """Path without the version of the API, and the query, as they were meant."""
    path, _, query = _ABSOLUTE.sub("", address.strip()).partition("?")
    steps: list[str] = []
    for step in unquote(path).split("/"):
        if step == "..":
            steps = steps[:-1]
        elif step not in ("", "."):
            steps.append(step)
    return _VERSION.sub("", "/" + "/".join(steps)), query


def _says_yes(query: str, name: str) -> bool:
    return any(
        key.strip() == name and value.strip().lower() not in _FALSE
        for key, value in parse_qsl(query, keep_blank_values=True)
    )
