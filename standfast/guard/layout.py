"""Where the guard's files are on this machine; the XDG variables are honoured."""

from __future__ import annotations

import os
from pathlib import Path

MARK = ".standfast-guards"
"""A file in every folder of shims, so that no shim takes another one for the real program."""


def _folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "standfast"


def shims() -> Path:
    """The folder that comes first in PATH."""
    return _folder("XDG_DATA_HOME", ".local/share") / "guards"


def copies() -> Path:
    """Copies of databases; only this account may read them."""
    return _folder("XDG_DATA_HOME", ".local/share") / "copies"


def own_file() -> Path:
    """The account's own ``guard.yml``."""
    return _folder("XDG_CONFIG_HOME", ".config") / "guard.yml"


def compiled() -> Path:
    """Folder of what was made of users' files, so that a shim need not read YAML."""
    return _folder("XDG_CACHE_HOME", ".cache") / "guard"


def window() -> Path:
    """The open window, if there is one."""
    return _folder("XDG_STATE_HOME", ".local/state") / "guard" / "window.json"


def passing() -> Path:
    """Folder of the runs that were let pass, as long as they run: their children are not asked again."""
    return _folder("XDG_STATE_HOME", ".local/state") / "guard" / "passing"


def scheduled() -> Path:
    """The databases that the daily copy is made of; in it are connection strings."""
    return _folder("XDG_CONFIG_HOME", ".config") / "guard-backups.json"


def private(folder: Path) -> Path:
    """Make a folder that only this account may enter."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def path_behind_shims() -> str:
    """PATH without any folder of shims: what the guard itself runs must not be asked about."""
    return os.pathsep.join(each for each in os.get_exec_path() if not Path(each, MARK).exists())
