"""A new infrastructure repository: what ``standfast init`` writes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePath

from standfast import __version__
from standfast.errors import StandfastError, UsageError
from standfast.inventory import example, reference
from standfast.inventory.paths import absolute, on_screen
from standfast.resources import templates_dir

SCHEMA = ".inventory.schema.json"
SECRETS = {"postgres_password": "TOYBOX_POSTGRES_PASSWORD", "secret_key": "TOYBOX_SECRET_KEY"}
# file in the repository: our template
TEMPLATES = {
    ".github/workflows/infrastructure.yml": "infrastructure.yml",
    ".gitignore": "gitignore",
    "README.md": "README.md",
    "files/toybox/compose.yml": "compose.yml",
    "files/toybox/env.j2": "env.j2",
    "inventories/lab.yml": "lab.yml",
    "tests/test_site.py": "test_site.py.txt",
}


def files() -> dict[str, str]:
    """The files of a new repository: path and text."""
    folder = templates_dir() / "init"
    texts = {
        name: (folder / template).read_text(encoding="utf-8").replace("@VERSION@", __version__)
        for name, template in TEMPLATES.items()
    }
    texts["inventories/production.yml"] = example.commented(
        example.toybox("files/toybox", SECRETS, "http://127.0.0.1:8000/", ["toybox_pgdata"]),
        schema=SCHEMA,
        introduction="Your production servers. Put in your own address, account and site; lines that "
        "begin with `#` and a setting show what else there is. Then: `standfast plan production`.",
    )
    texts[f"inventories/{SCHEMA}"] = reference.json_schema_text()
    return dict(sorted(texts.items()))


def write(folder: Path) -> list[str]:
    """
    Write a new repository into ``folder``, which is made when it is not there; returns its files.

    Raises:
        UsageError: one of the files exists, or ``folder`` is no folder; nothing has been written.
        StandfastError: writing failed; the message says what has been written.
    """
    folder = absolute(folder)
    texts = files()
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not nearest.is_dir():
        raise UsageError(f"{on_screen(nearest)}: expected a folder, not a file; nothing was written")
    existing = _in_the_way(folder, texts)
    if existing:
        raise UsageError(
            f"{on_screen(folder)}: expected a folder without {', '.join(existing)}, which init does not "
            "overwrite; choose another folder (`standfast init DIR`). Nothing was written"
        )
    written: list[str] = []
    try:
        for name, text in texts.items():
            _write_new(folder / name, text)
            written.append(name)
    except OSError as error:
        place = on_screen(Path(error.filename or folder))
        done = ", ".join(written) or "nothing"
        raise StandfastError(f"{place}: cannot be written: {error.strerror}. Written: {done}") from None
    return written


def _in_the_way(folder: Path, names: Iterable[str]) -> list[str]:
    """What exists of the files, and files that stand where their folders should be."""
    found = {name for name in names if os.path.lexists(folder / name)}
    parents = {parent for name in names for parent in PurePath(name).parents}
    found |= {str(p) for p in parents if os.path.lexists(folder / p) and not (folder / p).is_dir()}
    return sorted(found)


def _write_new(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
