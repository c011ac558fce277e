"""
From YAML to what shims read, since reading YAML costs more than a shim may take.

``python -m standfast.guard.compilation`` writes the shipped catalogue into a checkout's
``standfast/host/guard``, as a Python module; what users' files add to it becomes JSON in their cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from standfast.guard.schema import Entry, GuardFile, Program, Wrapper
from standfast.host.guard import catalogue, shipped_catalogue
from standfast.host.guard.classification import EVERY_PROGRAM
from standfast.inventory import document as documents
from standfast.inventory.document import Document, Plain, value_at
from standfast.inventory.faults import Fault, InventoryFaults, Where
from standfast.inventory.paths import on_screen
from standfast.inventory.wording import closest, shown

SOURCE = Path(__file__).parent / "catalogue.yml"
SHIPPED = Path(shipped_catalogue.__file__)
_BEGINNING = '''\
"""The catalogue of ``standfast/guard/catalogue.yml``, made by ``python -m standfast.guard.compilation``."""

# ruff: noqa: E501 - a line for each entry, however long

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

'''
_SECTIONS: dict[str, type[BaseModel]] = {"entries": Entry, "programs": Program, "wrappers": Wrapper}
_KINDS = {
    "missing": "expected this setting, and it is missing",
    "extra_forbidden": "unknown setting",
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "bool_type": "expected true or false",
    "list_type": "expected a list",
    "dict_type": "expected a mapping",
    "model_type": "expected a mapping",
}


def compiled(paths: Sequence[Path]) -> dict[str, Any]:
    """
    The shipped catalogue and what users' files add to it, as JSON.

    An entry that does not parse is left out, and its programs are guarded whatever is asked of them; `broken`
    has the message, with file and line.
    """
    result: dict[str, Any] = deepcopy(shipped_catalogue.DATA)
    result |= {"broken": {}, "databases": {}, "pass": [], "faults": []}
    for path in paths:
        _add(path, result)
    return result


def _add(path: Path, result: dict[str, Any]) -> None:
    try:
        document = documents.read(path, file=on_screen(path))
    except InventoryFaults as faults:
        _broken(result, [EVERY_PROGRAM], faults.faults[0])
        return
    for fault in document.faults:
        _broken(result, [EVERY_PROGRAM], fault)
    for where, message, programs in _faults(document, result):
        at_key = message.startswith(_KINDS["extra_forbidden"])
        _broken(result, programs, document.fault(where, message, at_key=at_key))
    data = document.data if isinstance(document.data, dict) else {}
    for section, kind in _SECTIONS.items():
        for name, each in _mapping(data.get(section)).items():
            if _valid(kind, each):
                result[section][name] = _plain(kind.model_validate(each))
    rest = {name: data.get(name) for name in ("databases", "pass") if data.get(name) is not None}
    if _valid(GuardFile, rest):
        read = GuardFile.model_validate(rest)
        result["databases"] |= read.databases
        result["pass"] += read.passes


def _broken(result: dict[str, Any], programs: Sequence[str], fault: Fault) -> None:
    result["faults"].append(str(fault))
    for name in programs:
        result["broken"].setdefault(name, str(fault))


def _faults(document: Document, result: Mapping[str, Any]) -> Iterator[tuple[Where, str, list[str]]]:
    """Where something is wrong, what, and of which programs nothing is sure because of it."""
    try:
        GuardFile.model_validate(document.data)
    except ValidationError as error:
        seen = set()
        for each in error.errors():
            where = _where(each["loc"], document.data)
            if where not in seen:
                seen.add(where)
                yield where, _message(each), _concerned(where, document.data)
        return
    data = GuardFile.model_validate(document.data)
    known = {*result["programs"], *data.programs}
    for name, entry in data.entries.items():
        for program in entry.program:
            if program not in known:
                close = closest(program, sorted(known))
                hint = f"did you mean `{close}`?" if close else f"write `{program}: {{}}` under `programs`"
                yield (
                    ("entries", name, "program"),
                    f"expected a known program, not `{program}`; {hint}",
                    [program],
                )


def _where(location: Sequence[int | str], data: Plain) -> Where:
    """The place in the file; what stood without brackets has no index there."""
    where: Where = ()
    for step in location:
        here = value_at(data, where)
        if isinstance(step, int) and not isinstance(here, list):
            continue
        where = (*where, step)
    return where


def _message(error: ErrorDetails) -> str:
    words = _KINDS.get(error["type"], error["msg"][:1].lower() + error["msg"][1:])
    if error["type"] == "extra_forbidden":
        return words
    return words if error["type"] == "missing" else f"{words}, not {shown(error['input'])}"


def _concerned(where: Where, data: Plain) -> list[str]:
    """Programs that an entry names; all of them when even that cannot be read."""
    if len(where) < 2 or where[0] in ("databases", "pass"):
        return [] if where[:1] in (("databases",), ("pass",)) else [EVERY_PROGRAM]
    if where[0] == "programs":
        return [str(where[1])]
    programs = value_at(data, ("entries", where[1], "program"))
    names = programs if isinstance(programs, list) else [programs]
    return [str(each) for each in names if isinstance(each, str)] or [EVERY_PROGRAM]


def _valid(kind: type[BaseModel], data: object) -> bool:
    try:
        kind.model_validate(data)
    except ValidationError:
        return False
    return True


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _plain(part: BaseModel) -> dict[str, Any]:
    """Only what is not a default, in the words of the dataclasses."""
    data = part.model_dump(exclude_defaults=True)
    if isinstance(part, Entry):
        data["programs"] = data.pop("program")
        data["when"] = [each.model_dump(exclude_defaults=True) for each in part.when]
    return data


def shipped_text() -> str:
    """
    The content of ``shipped_catalogue.py``: a module, so that Python keeps it compiled.

    Raises:
        InventoryFaults: the catalogue has faults, each with its line.
    """
    document = documents.read(SOURCE, file=on_screen(SOURCE))
    none: dict[str, Any] = {"programs": {}}
    found = [document.fault(where, message) for where, message, _ in _faults(document, none)]
    if found or document.faults:
        raise InventoryFaults([*document.faults, *found])
    parts = [f'"format": {catalogue.FORMAT}']
    for section, kind in _SECTIONS.items():
        # A line for each, so that a change of one is a change of one line.
        lines = [
            f"{name!r}: {_plain(kind.model_validate(each))!r}"
            for name, each in _mapping(value_at(document.data, (section,))).items()
        ]
        parts.append(f'"{section}": {{\n' + ",\n".join(lines) + "\n}")
    content = ",\n".join(parts)
    return f"{_BEGINNING}DATA: dict[str, Any] = {{{content}}}\n"


if __name__ == "__main__":
    SHIPPED.write_text(shipped_text(), encoding="utf-8")
