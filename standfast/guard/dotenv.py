"""Variables that frameworks read from ``.env`` files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_LINE = re.compile(
    r"""^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*(?:=|:\s)\s*('(?:[^'])*'|"(?:[^"\\]|\\.)*"|`[^`]*`|[^\n]*?)\s*$""",
    re.MULTILINE,
)
_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)")


def read(path: Path, known: Mapping[str, str]) -> dict[str, str]:
    """
    The variables of a file; none when there is no such file.

    + known: variables that are set already, for ``${NAME}``
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found: dict[str, str] = {}
    for name, written in _LINE.findall(text):
        found[name] = _value(written, {**found, **known})
    return found


def _value(written: str, known: Mapping[str, str]) -> str:
    quote = written[:1]
    if quote in ("'", "`") and len(written) > 1:
        return written[1:-1]
    if quote == '"' and len(written) > 1:
        value = written[1:-1].replace('\\"', '"').replace("\\n", "\n").replace("\\$", "$")
    else:
        value = re.split(r"\s+#", written, maxsplit=1)[0].strip()
    return _REFERENCE.sub(lambda match: known.get(match[1] or match[2], match[0]), value)


def of_project(
    folder: Path, environment: Mapping[str, str], more: Sequence[Path] = ()
) -> dict[str, tuple[str, str]]:
    """
    Every variable with the words where it comes from; what is in the environment wins.

    + folder: where the command runs; files above it count, as far as the repository goes
    + more: further folders, for example the one of Prisma's schema
    """
    found: dict[str, tuple[str, str]] = {}
    for place in [*more, *_upwards(folder)]:
        for name in (".env.local", ".env.development.local", ".env.development", ".env"):
            for key, value in read(place / name, environment).items():
                found.setdefault(key, (value, f"{key} in {place / name}"))
    for key, value in environment.items():
        found[key] = (value, f"{key} in the environment")
    return found


def _upwards(folder: Path) -> list[Path]:
    """A folder and those above it, up to the one with ``.git``."""
    found = []
    for each in (folder, *folder.parents):
        found.append(each)
        if (each / ".git").exists():
            return found
    return [folder]
