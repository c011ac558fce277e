"""
What a server is: one module per subject, put in order here.

``pyinfra @standfast/inventories/lab.yml deploys.site`` runs this with stock pyinfra. A module
``deploys/SUBJECT.py`` in the user's repository replaces ours of the same name; any other module
there joins after ours. Each module has a function ``deploy()``.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from importlib.machinery import FileFinder
from pathlib import Path
from pkgutil import iter_modules

from pyinfra import host

ORDER = (
    *("base", "ssh", "firewall", "docker", "volumes", "apps", "databases"),
    *("caddy", "backups", "snapshots", "guards"),
)

_ours = list(__path__)


def use_repository(root: Path) -> None:
    """Let the user's own ``deploys/`` folder come before ours."""
    __path__[:] = [str(root / "deploys"), *_ours]


def subjects() -> list[str]:
    """All subjects, in the order in which they are applied."""
    own = sorted(module.name for module in iter_modules(__path__) if module.name not in ORDER)
    return [*ORDER, *own]


def own() -> list[str]:
    """Subjects whose module is the user's: further ones, and those that replace ours."""
    ours = {Path(folder).resolve() for folder in _ours}
    return [
        module.name
        for module in iter_modules(__path__)
        if isinstance(module.module_finder, FileFinder)
        and Path(module.module_finder.path).resolve() not in ours
    ]


def load() -> None:
    """Import our subjects ahead, for a moment in which there is nothing else to do."""
    replaced = own()
    for subject in ORDER:
        if subject not in replaced:
            import_module(f"deploys.{subject}")


def site(only: Collection[str] = ()) -> None:
    """
    Declare the whole server.

    + only: subjects to which the run is limited; none means all
    """
    for subject in host.loop([name for name in subjects() if not only or name in only]):
        import_module(f"deploys.{subject}").deploy()
