"""
The database of a Django project, asked of Django itself.

Settings are a program: conditions, environment, other modules. Reading them would find the wrong database
some day, and the command that is judged would run them anyway.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from standfast.guard import layout
from standfast.guard.addresses import OTHER, POSTGRESQL, SQLITE, Address

_MODULE = re.compile(r"""DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)['"]""")
_SECONDS = 30
_MARK = "standfast: "
_ASK = f"""
import json, os, sys
sys.path.insert(0, os.getcwd())
from django.conf import settings
found = settings.DATABASES.get(sys.argv[1], {{}})
keys = ("ENGINE", "NAME", "HOST", "PORT", "USER", "PASSWORD")
print({_MARK!r} + json.dumps({{key: str(found.get(key) or "") for key in keys}}))
"""


class Unclear(Exception):
    """Django did not say; the message tells why."""


def address(
    folder: Path,
    module: str | None,
    alias: str,
    environment: Mapping[str, str],
    inside: Sequence[str] = (),
) -> Address:
    """
    The database that a project's settings name.

    + folder: with ``manage.py``
    + module: of the settings; the one that manage.py names when left out
    + alias: in ``DATABASES``
    + environment: what the command would see
    + inside: ``docker exec CONTAINER`` when the project runs in one

    Raises:
        Unclear: Django could not be asked, or knows no such database.
    """
    name = module or environment.get("DJANGO_SETTINGS_MODULE") or _named_by_manage(folder)
    variable = f"DJANGO_SETTINGS_MODULE={name}"
    problems = []
    commands = [
        ["env", variable, python] for python in (("python", "python3") if inside else _pythons(folder))
    ]
    for command in commands:
        said, problem = _asked([*inside, *command, "-c", _ASK, alias], folder, environment)
        if said is not None:
            return _address(said, f"DATABASES[{alias!r}] of {name}", folder)
        problems.append(problem)
    raise Unclear(f"Django could not be asked which database {name} names: {'; '.join(problems[:2])}")


def _named_by_manage(folder: Path) -> str:
    try:
        match = _MODULE.search((folder / "manage.py").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        match = None
    if match is None:
        raise Unclear(f"DJANGO_SETTINGS_MODULE is not set, and no manage.py in {folder} names it")
    return match[1]


def _pythons(folder: Path) -> Iterator[str]:
    """Interpreters that the project may use, the likeliest first."""
    active = os.environ.get("VIRTUAL_ENV")
    for place in ([Path(active)] if active else []) + [
        each / name for each in (folder, *folder.parents[:2]) for name in (".venv", "venv", "env")
    ]:
        if (place / "bin/python").is_file():
            yield str(place / "bin/python")
    for name in ("python", "python3"):
        found = shutil.which(name, path=layout.path_behind_shims())
        if found:
            yield found


def _asked(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> tuple[dict[str, str] | None, str]:
    """What Django says, or why it said nothing."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    for line in done.stdout.splitlines():
        if line.startswith(_MARK):
            said: dict[str, str] = json.loads(line.removeprefix(_MARK))
            return said, ""
    # Only the kind of the error: its text may hold what the settings hold.
    last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
    return None, f"{command[-4]}: {last.partition(':')[0]}"


def _address(said: Mapping[str, str], source: str, folder: Path) -> Address:
    engine, name = said["ENGINE"], said["NAME"]
    if not engine or not name:
        raise Unclear(f"{source} has no NAME")
    kinds = (("postg", POSTGRESQL), ("sqlite", SQLITE))
    kind = next((kind for word, kind in kinds if word in engine), OTHER)
    name = str(Path(folder, name)) if kind == SQLITE else name
    return Address(kind, name, said["HOST"], said["PORT"], said["USER"], said["PASSWORD"], source=source)
