"""Files that come with standfast, in a checkout and in an installed wheel alike."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def templates_dir() -> Path:
    """Our templates: ``standfast/templates`` of the wheel, ``templates`` beside the package in a checkout."""
    installed = _PACKAGE / "templates"
    return installed if installed.is_dir() else _PACKAGE.parent / "templates"


def vagrantfile() -> Path:
    """The Vagrantfile: ``standfast/Vagrantfile`` of the wheel, the one at the top of a checkout."""
    installed = _PACKAGE / "Vagrantfile"
    return installed if installed.is_file() else _PACKAGE.parent / "Vagrantfile"
