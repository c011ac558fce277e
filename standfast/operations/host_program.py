"""The program that lives on servers: one file, the same bytes from the same source."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import standfast
from standfast.operations import files

PATH = "/usr/local/sbin/standfast-host"

_START = "import sys\nfrom standfast.host.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"
# -I: neither the environment nor the working directory decides what root imports.
_SHEBANG = b"#!/usr/bin/python3 -I\n"


def installed() -> None:
    """Make sure that the server has the host program of this version of standfast."""
    files.file(PATH, archive(), mode="755")


@cache
def archive() -> bytes:
    """The host program as a zip archive that Python can execute."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [("__main__.py", _START.encode()), *_modules()]:
            # A fixed time, so that the same source gives the same file.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return _SHEBANG + buffer.getvalue()


def _modules() -> Iterator[tuple[str, bytes]]:
    root = Path(standfast.__file__).parent
    host = sorted(path for path in (root / "host").rglob("*") if path.suffix in (".py", ".json"))
    for path in [root / "__init__.py", *host]:
        yield f"standfast/{path.relative_to(root).as_posix()}", path.read_bytes()
