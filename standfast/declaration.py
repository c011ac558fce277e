"""
What a deploy stands on: the declared state of the server at hand, and its templates.

The inventory knows nothing of pyinfra; pyinfra's host data carry it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pyinfra import host

from standfast.errors import InventoryError
from standfast.inventory.schema import Environment, Host
from standfast.inventory.secrets import SecretValue
from standfast.rendering import Rendered, render, render_file, source_of
from standfast.resources import templates_dir

HOST_DATA_KEY = "standfast_declaration"


@dataclass(frozen=True, slots=True)
class Declaration:
    """One server's part of an inventory."""

    name: str
    environment: Environment
    host: Host
    root: Path
    """Folder of the user's repository; files named in the inventory are relative to it."""
    secrets: Mapping[str, Mapping[str, SecretValue]] = field(default_factory=dict)
    """Resolved secrets, by application and name."""
    elsewhere: bool = False
    """Whether the user says that the rules may shut out this machine."""

    def variables(self) -> dict[str, object]:
        """What every template may use."""
        return {"host": self.host, "name": self.name, "environment": self.environment.value}

    def user_file(self, relative: str, *, secrets: Mapping[str, SecretValue] | None = None) -> Rendered:
        """A file of the user that the inventory names; rendered when its name ends in ``.j2``."""
        return render_file(self.root / relative, self.variables(), secrets or {})


def declared() -> Declaration:
    """The declared state of the server that pyinfra is working on."""
    return cast(Declaration, getattr(host.data, HOST_DATA_KEY))


def template(name: str, **variables: object) -> Rendered:
    """
    Render one of our templates; the user's own file of the same path wins.

    + name: path below ``templates/``, for example ``caddy/Caddyfile.j2``
    + variables: what this template needs besides `Declaration.variables`

    Raises:
        InventoryError: it cannot be read or rendered; nothing has been changed.
    """
    declaration = declared()
    for folder in (declaration.root / "templates", templates_dir()):
        path = folder / name
        if path.is_file():
            return render(source_of(path), str(path), declaration.variables() | variables, {})
    raise InventoryError(f"templates/{name}: no such template, neither yours nor ours")
