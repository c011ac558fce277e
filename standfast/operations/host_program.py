"""The program that lives on servers: one file, the same bytes from the same source."""

from __future__ import annotations

import hashlib
import io
import posixpath
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from weakref import WeakSet

from pyinfra.api import Host
from pyinfra.context import ctx_host

import standfast
from standfast.operations import files

PATH = "/usr/local/sbin/standfast-host"
COMPILED = "/var/cache/standfast-host"
"""Folder of the copies that start faster; see `standfast.host.compiled`."""

# Only what is where it belongs keeps a compiled copy of itself; who runs it elsewhere wants no traces.
_START = """\
import os
import sys

compiled = f"{compiled}/{digest}-{{sys.implementation.cache_tag}}.zip"
if sys.path[0].startswith("{folder}/"):
    if os.geteuid() == 0 and not os.path.exists(compiled):
        from pathlib import Path

        from standfast.host.compiled import write

        write(Path(sys.path[0]), Path(compiled))
    sys.path.insert(0, compiled)
from standfast.host.__main__ import main

sys.exit(main(sys.argv[1:]))
"""
# -I: neither the environment nor the working directory decides what root imports.
# -S: nor does what somebody has installed beside Python's own library; and it starts sooner.
_SHEBANG = b"#!/usr/bin/python3 -IS\n"


_installed: WeakSet[Host] = WeakSet()


def installed() -> None:
    """
    Make sure that the server has the host program of this version of standfast.

    Several subjects need it, and each may be applied alone; a plan has it, and sends it, once.
    """
    host = ctx_host.get()
    if host not in _installed:
        _installed.add(host)
        # It starts on the server's Python, or the old one stays.
        files.file(PATH, archive(), mode="755", validate='"$new" --version > /dev/null')


def start_again(host: Host) -> None:
    """The server's deploys are going to be evaluated anew: what was declared does not count."""
    _installed.discard(host)


@cache
def archive() -> bytes:
    """The host program as a zip archive that Python can execute."""
    buffer = io.BytesIO()
    modules = dict(_modules())
    digest = hashlib.sha256(repr(modules).encode()).hexdigest()[:16]
    start = _START.format(compiled=COMPILED, digest=digest, folder=posixpath.dirname(PATH))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"__main__.py": start.encode(), **modules}.items():
            # A fixed time, so that the same source gives the same file.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return _SHEBANG + buffer.getvalue()


def _modules() -> Iterator[tuple[str, bytes]]:
    root = Path(standfast.__file__).parent
    host = sorted((root / "host").rglob("*.py"))
    for path in [root / "__init__.py", *host]:
        yield f"standfast/{path.relative_to(root).as_posix()}", path.read_bytes()
