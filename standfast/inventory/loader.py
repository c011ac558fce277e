"""Find and load inventories; every fault of a file is reported at once, with its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from standfast.errors import InventoryError
from standfast.inventory import document as documents
from standfast.inventory.checks import check
from standfast.inventory.document import Document
from standfast.inventory.faults import Fault, InventoryFaults, Where
from standfast.inventory.paths import absolute, expanded, folder_on_screen, on_screen
from standfast.inventory.schema import Inventory
from standfast.inventory.validation import validate
from standfast.inventory.wording import closest

FOLDER = "inventories"
SUFFIXES = (".yml", ".yaml")


@dataclass(frozen=True)
class Loaded:
    """
    An inventory without faults.

    ``path`` is its file, ``root`` the folder of the repository: the parent of ``inventories/`` when
    the file is in one, else the file's own folder. Files that the inventory names are relative to it.
    """

    inventory: Inventory
    path: Path
    root: Path
    document: Document = field(repr=False, compare=False)

    def file(self, name: str) -> Path:
        """The path of a file that the inventory names."""
        return self.root / expanded(name)

    def fault(self, where: Where, message: str) -> Fault:
        """A fault at a place of this inventory, for example ``("hosts", "web-1", "address")``."""
        return self.document.fault(where, message)


def find(environment_or_path: str, *, cwd: Path) -> Path:
    """
    The file of an inventory: ``production`` is ``inventories/production.yml``, or give a path.

    Raises:
        InventoryError: there is no such file; the message lists those that exist.
    """
    if not environment_or_path.strip():
        message = "expected the name of an environment or the path of an inventory, not an empty text"
        raise InventoryError(message + _existing("", cwd))
    path = cwd / expanded(environment_or_path)
    looks_like_path = "/" in environment_or_path or path.suffix in SUFFIXES
    if not looks_like_path:
        found = [p for s in SUFFIXES if (p := cwd / FOLDER / (environment_or_path + s)).is_file()]
        if len(found) > 1:
            raise InventoryError(
                f"expected one inventory for `{environment_or_path}`, not two: "
                f"{on_screen(found[0])} and {on_screen(found[1])}; remove one of them"
            )
        if found:
            return found[0]
    elif path.is_file():
        return path
    elif path.is_dir():
        raise InventoryError(f"{on_screen(path)}: expected an inventory file, not a folder")
    raise InventoryError(_not_found(environment_or_path, path if looks_like_path else None, cwd))


def load(path: Path) -> Loaded:
    """
    Load an inventory.

    Raises:
        InventoryFaults: all the faults of the file; no host has been contacted.
    """
    path = absolute(path)
    root = path.parent.parent if path.parent.name == FOLDER else path.parent
    document = documents.read(path, file=on_screen(path))
    result = validate(document, root=root)
    faults = [*document.faults, *result.faults]
    if result.inventory is not None:
        for finding in check(result.inventory, root=root):
            where = result.original(finding.where)
            if where is not None and all(map(result.is_sound, finding.given)):
                faults.append(document.fault(where, finding.message, at_key=finding.at_key))
    if faults or result.inventory is None:
        raise InventoryFaults(faults)
    return Loaded(result.inventory, path, root, document)


def _not_found(asked: str, path: Path | None, cwd: Path) -> str:
    wanted = on_screen(path) if path else f"{FOLDER}/{asked}.yml"
    return f"{wanted}: expected an inventory, but there is no such file{_existing(asked, cwd)}"


def _existing(asked: str, cwd: Path) -> str:
    existing = sorted(p for p in (cwd / FOLDER).glob("*") if p.suffix in SUFFIXES and p.is_file())
    if not existing:
        return f"; {folder_on_screen(cwd)} has no inventories ({FOLDER}/*.yml); `standfast init` writes one"
    names = [p.stem for p in existing]
    close = closest(Path(asked).stem, names)
    hint = f"did you mean `{close}`? " if close else ""
    return f"; {hint}there are: {', '.join(names)}"
