"""Variables that frameworks read from ``.env`` files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from standfast.errors import CouldNotLook
from standfast.guard.addresses import NotAnAddress, parse
from standfast.host.guard.unwrapping import EnvFile

_LINE = re.compile(
    r"""^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*(?:=|:\s)\s*('(?:[^'])*'|"(?:[^"\\]|\\.)*"|`[^`]*`|[^\n]*?)\s*$""",
    re.MULTILINE,
)
_NAMES = (".env.local", ".env.development.local", ".env.development", ".env")
_OTHER_FILES = re.compile(
    r"['\"`/]\.env\.\w|@next/env|dotenv-flow|dotenvx|loadEnv\b|path\s*:\s*(?:process|path|resolve|join)"
)
"""In a configuration of Prisma: it may load more than ``.env``."""
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


class Variables(Mapping[str, tuple[str, str]]):
    """
    Variables, each with the words where it comes from.

    One that files set differently of which nobody can say which counts is refused when it is asked for.
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, str]] = {}
        self._doubts: dict[str, str] = {}

    def add(self, group: Sequence[Path], known: Mapping[str, str]) -> None:
        """What files say that is not known yet; of several in a group, any may be the one that counts."""
        found: dict[str, tuple[str, str]] = {}
        for path in group:
            for key, value in read(path, known).items():
                value_before, source = found.setdefault(key, (value, f"{key} in {path}"))
                if key not in self._found and _database(value) != _database(value_before):
                    self._doubts.setdefault(key, f"{source} and {path} name different databases")
        self._found = {**found, **self._found}

    def settle(self, key: str, value: str, source: str) -> None:
        """Something that counts more than every file."""
        self._found[key] = (value, source)
        self._doubts.pop(key, None)

    def __getitem__(self, key: str) -> tuple[str, str]:
        if key in self._doubts:
            raise CouldNotLook(
                f"{self._doubts[key]}, and it is not known which of them counts here; "
                f"set {key} in the environment to the one that is meant"
            )
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _database(value: str) -> str:
    """What a value names: other passwords and options are no other database."""
    try:
        return parse(value, "").name
    except NotAnAddress:
        return value


def of_project(
    folder: Path,
    environment: Mapping[str, str],
    more: Sequence[Path] = (),
    *,
    program: str = "",
    named: Sequence[str] = (),
) -> Variables:
    """
    Every variable with the words where it comes from; what is in the environment wins.

    + folder: where the command runs; files above it count, as far as the repository goes
    + more: further folders, for example the one of Prisma's schema
    + program: whose variables they are: each reads other files
    + named: files of which something is in the environment already
    """
    found = Variables()
    for group in _groups(program, folder, environment, more):
        found.add(group, environment)
    told = {key: path for path in reversed(named) for key in read(Path(path), environment)}
    for key, value in environment.items():
        found.settle(key, value, f"{key} in {told.get(key, 'the environment')}")
    return found


def with_files(
    inherited: Mapping[str, str], files: Sequence[EnvFile], assigned: Mapping[str, str]
) -> dict[str, str]:
    """
    The environment of a command whose wrappers read files: ``dotenv -e .env.production -- …``.

    + files: the one that counts most first
    + assigned: what was set on the command line

    Raises:
        CouldNotLook: a file cannot be read, or it and the command line differ.
    """
    below: dict[str, str] = {}
    above: dict[str, str] = {}
    for file in files:
        if not Path(file.path).is_file() or not os.access(file.path, os.R_OK):
            raise CouldNotLook(f"{file.path} may say which database is meant, and it cannot be read")
        values = read(Path(file.path), {**inherited, **assigned})
        for key, value in values.items():
            (above if file.overrides else below).setdefault(key, value)
            if file.overrides and assigned.get(key, value) != value:
                raise CouldNotLook(f"{key} is set on the command line and, to something else, in {file.path}")
    return {**below, **inherited, **above, **assigned}


def _groups(
    program: str, folder: Path, environment: Mapping[str, str], more: Sequence[Path]
) -> list[list[Path]]:
    """Files that a program reads, those that count most first; in a group, nobody can say which does."""
    places = [*more, *_upwards(folder)]
    if program == "prisma" and _only_env(folder):
        # The one beside package.json counts, though it loads the schema's too. Source: Prisma 6.19, tried.
        root = next((each for each in (folder, *folder.parents) if (each / "package.json").exists()), folder)
        first = folder if any(folder.glob("prisma.config.*")) else root
        return [[each / ".env"] for each in dict.fromkeys((first, root, *places))]
    if program == "artisan":
        own = f".env.{environment['APP_ENV']}" if environment.get("APP_ENV") else ".env"
        return [[each / (own if (each / own).exists() else ".env")] for each in places]
    return [[each / name for name in _NAMES] for each in places]


def _only_env(folder: Path) -> bool:
    """Whether Prisma reads ``.env``: with a configuration, only what that loads itself."""
    for path in folder.glob("prisma.config.*"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        if _OTHER_FILES.search(text):
            return False
    return True


def _upwards(folder: Path) -> list[Path]:
    """A folder and those above it, up to the one with ``.git``."""
    found = []
    for each in (folder, *folder.parents):
        found.append(each)
        if (each / ".git").exists():
            return found
    return [folder]
