"""A real Django project, small; its settings decide by the environment, as many do."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

WANTED = ("Django>=5.2,<5.3", "psycopg[binary]>=3.2,<4")
SETTINGS = """
import os
from pathlib import Path
SECRET_KEY = "test"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
if os.environ.get("SCHOOL_DB"):
    name, host, port, user, password = os.environ["SCHOOL_DB"].split("|")
    DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": name, "HOST": host, "PORT": port,
                             "USER": user, "PASSWORD": password}}
else:
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3",
                             "NAME": Path(__file__).parent.parent / "school.sqlite3"}}
"""
MANAGE = """#!/usr/bin/env python
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "school.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def installed() -> Path:
    """A virtual environment with Django; made once for this account."""
    mark = hashlib.sha256(f"{WANTED} {sys.version}".encode()).hexdigest()[:12]
    base = Path(os.environ.get("STANDFAST_CACHE_DIR") or Path.home() / ".cache/standfast")
    folder = base / f"django-{mark}"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *WANTED]
        subprocess.run(pip, check=True)
        (folder / "complete").touch()
    return folder


def project(folder: Path) -> None:
    """The project, with its virtual environment beside it."""
    for name, content in {
        "manage.py": MANAGE,
        "school/__init__.py": "",
        "school/settings.py": SETTINGS,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "manage.py").chmod(0o755)
    (folder / ".venv").symlink_to(installed())
