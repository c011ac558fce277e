"""A file that a command writes at its end: the new content whole, or what was there before."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp

from standfast.errors import UsageError
from standfast.inventory.paths import on_screen


@contextmanager
def whole_file(path: Path | None) -> Iterator[Callable[[str], None]]:
    """
    Hand out what writes the text; that it will be possible is tried at once.

    + path: a new file takes its place, which only its owner may read; ``None`` when nothing is to be written

    Raises:
        UsageError: it cannot be written; it is as it was.
    """
    if path is None:
        yield lambda _: None
        return
    with _named(path):  # in the place of a device or a pipe nothing can be put
        beside = _new_file_beside(path.resolve()) if path.is_file() or not path.exists() else None

    def write(text: str) -> None:
        with _named(path):
            (beside or path).write_text(text, encoding="utf-8")
            if beside:
                beside.replace(path.resolve())

    try:
        yield write
    finally:
        if beside:
            beside.unlink(missing_ok=True)


def _new_file_beside(target: Path) -> Path:
    descriptor, name = mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    return Path(name)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{on_screen(path)}: expected a file that can be written: {error.strerror}. "
            "Nothing was written; choose another place."
        ) from None
