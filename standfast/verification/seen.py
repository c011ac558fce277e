"""What a server said to all looks, taken in one round trip and read by many assertions."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Said:
    """What one look said."""

    output: str
    errors: str
    status: int


@dataclass(frozen=True)
class Seen:
    """A server at one moment; a look that failed fails every assertion that reads it."""

    said: Mapping[str, Said]
    at: float
    """When the looks began, by this machine's clock, in seconds since 1970."""

    def text(self, look: str) -> str:
        """
        The output of a look.

        Raises:
            AssertionError: it failed; what is not known does not hold.
        """
        said = self.said.get(look)
        assert said is not None, f"{look}: the server did not say it"
        reason = (said.errors.strip() or f"exit status {said.status}").splitlines()[-1]
        assert said.status == 0, f"{look}: could not look: {reason}"
        return said.output

    def lines(self, look: str) -> list[str]:
        """The same, line by line, without empty ones."""
        return [line for line in self.text(look).splitlines() if line.strip()]

    def listening(self) -> Iterator[tuple[str, str, int]]:
        """Protocol, address and port of everything that listens."""
        for line in self.lines("listening"):
            protocol, _, _, _, local, *_ = line.split()
            address, _, port = local.rpartition(":")
            if port.isdecimal():
                yield protocol, address, int(port)

    def documents(self, look: str) -> list[dict[str, Any]]:
        """The same, for a look that prints one JSON document a line."""
        return [json.loads(line) for line in self.lines(look)]


def unpacked(archive: bytes, names: Sequence[str]) -> dict[str, Said]:
    """
    The answers in what `looks.script` printed; those of looks that were given up are missing.

    + names: the looks, in the order in which they were given to the script
    """
    files: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
            for entry in tar:
                content = tar.extractfile(entry)
                if content is not None:
                    files[entry.name.removeprefix("./")] = content.read().decode(errors="replace")
    except (OSError, EOFError, zlib.error, tarfile.TarError):
        return {}
    return {
        name: Said(files[f"{number}.out"], files[f"{number}.err"], int(files[f"{number}.status"]))
        for number, name in enumerate(names)
        if files.get(f"{number}.status", "").strip().isdecimal()
    }
