"""A file that somebody else is still writing, read to its end."""

from __future__ import annotations

import threading
from pathlib import Path

PAUSE = 0.02


class Growing:
    """Reading it waits for more, until it is said that the file is complete."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._file = path.open("rb")
        self._complete = threading.Event()

    def __enter__(self) -> Growing:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def complete(self) -> None:
        """From now on the end of the file is the end."""
        self._complete.set()

    def read(self, size: int, /) -> bytes:
        """Some bytes; none at the end of the complete file."""
        while True:
            complete = self._complete.is_set()  # before the look, or the last bytes could be missed
            if (found := self._file.read(size)) or complete:
                return found
            self._complete.wait(PAUSE)
