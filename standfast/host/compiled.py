"""
The program's modules as Python has them in memory, kept for the next start.

Python compiles what it imports from an archive anew at each start, and everybody who types ``iptables -L``
behind a shim would wait for that. The copy is a cache: without it everything works, only later.
"""

from __future__ import annotations

import io
import marshal
import os
import zipfile
from contextlib import suppress
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path

KEPT = 3
"""Copies that stay: a program that runs while it is replaced goes on importing from its own."""
_NOT_CHECKED = (1).to_bytes(4, "little")  # of PEP 552: with a hash of its source that nobody compares


def write(archive: Path, copy: Path) -> None:
    """
    Write the compiled copy of an archive; nothing happens when it cannot be written.

    + copy: its path; the folder is made, and older copies in it are removed
    """
    new = copy.with_name(f"{copy.name}.{os.getpid()}.new")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.parent.chmod(0o755)  # whatever the umask is: shims of all accounts read it
        with new.open("wb") as file:
            file.write(_compiled(archive, copy))
            os.fchmod(file.fileno(), 0o644)
            file.flush()
            os.fsync(file.fileno())
        new.replace(copy)
        for old in sorted(copy.parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink()
    except OSError:
        # A full disk, a file system without writing, another one that is quicker: none stops a backup.
        with suppress(OSError):
            new.unlink(missing_ok=True)


def _compiled(archive: Path, name: Path) -> bytes:
    # Tracebacks name the copy: apply has it made while the archive still has a name that will be gone.
    buffer = io.BytesIO()
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(buffer, "w") as copy:
        for entry in source.infolist():
            content = source.read(entry)
            copy.writestr(entry, content)  # the sources too, for tracebacks
            if entry.filename.endswith(".py"):
                code = compile(content, f"{name}/{entry.filename}", "exec", dont_inherit=True)
                header = MAGIC_NUMBER + _NOT_CHECKED + source_hash(content)
                copy.writestr(f"{entry.filename}c", header + marshal.dumps(code))
    return buffer.getvalue()
