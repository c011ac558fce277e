"""
A YAML file as plain data, with the position of every key and value.

Stricter than YAML 1.1 where YAML 1.1 surprises people: ``yes``, ``22:30`` and ``010`` stay text and
are remembered as ambiguous, duplicate keys and tags are faults, aliases may not grow without limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

import yaml

from standfast.inventory import syntax
from standfast.inventory.faults import Fault, InventoryFaults, Where, dotted, printable

MAX_BYTES = 1_000_000
MAX_VALUES = 100_000
MAX_DEPTH = 50
UNUSABLE = re.compile("[\0\ud800-\udfff]")  # no server's files and no JSON can hold them

# What is left of YAML: text, numbers, true, false, nothing, lists and mappings.
Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | float | bool | None"

_TAG = "tag:yaml.org,2002:"
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"[-+]?[0-9]+\.[0-9]*|[-+]?\.[0-9]+")


class Position(NamedTuple):
    """Line and column, counted from 1."""

    line: int
    column: int


@dataclass
class Document:
    """
    What a YAML file says, and where.

    ``data`` holds dict, list, str, int, float, bool and None only; keys are always text.
    ``ambiguous`` maps places to what YAML 1.1 would read there; ``data`` has the text as written.
    ``broken`` are places with a fault of their own: what ``data`` has there means nothing.
    """

    file: str
    data: Plain = None
    values: dict[Where, Position] = field(default_factory=dict)
    keys: dict[Where, Position] = field(default_factory=dict)
    ambiguous: dict[Where, str] = field(default_factory=dict)
    broken: set[Where] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, where: Where, message: str, *, at_key: bool = False) -> Fault:
        """A fault at ``where``; when nothing stands there, at the nearest thing above it."""
        line, column = self._position(where, at_key=at_key)
        return Fault(self.file, line, column, dotted(where), message)

    def _position(self, where: Where, *, at_key: bool) -> Position:
        if not at_key and where in self.values:
            return self.values[where]
        for length in range(len(where), 0, -1):
            above = where[:length]
            if above in self.keys:
                return self.keys[above]
            if above in self.values:
                return self.values[above]
        return self.values.get((), Position(1, 1))


def value_at(data: Plain, where: Where) -> Plain:
    """The value at a place of plain data; None when there is none."""
    for step in where:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def read(path: Path, *, file: str) -> Document:
    """
    Read a YAML file; ``file`` is how messages call it.

    Raises:
        InventoryFaults: the file cannot be read or is not YAML. Lesser faults are in the result.
    """
    node, tags = _composed(_text(path, file), file)
    document = Document(file)
    document.data = _Builder(document, tags).build(node, ())
    return document


def _composed(text: str, file: str) -> tuple[yaml.Node, dict[int, str]]:
    """The YAML nodes of a text, and the tags that were written in it."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        fault = syntax.fault(error, text, file)
    except yaml.reader.ReaderError as error:
        line, column = _line_column(text, int(error.position))
        shown = printable(text[int(error.position)])
        fault = Fault(file, line, column, "", f"expected printable text, not the control character {shown}")
    except RecursionError:
        fault = Fault(file, 1, 1, "", f"expected at most {MAX_DEPTH} levels, not a file nested much deeper")
    else:
        if node is not None and node.tag != f"{_TAG}null":
            return node, loader.tags
        message = "expected an inventory, not an empty file; `standfast init` writes an example"
        fault = Fault(file, 1, 1, "", message)
    raise InventoryFaults([fault])


class _Loader(yaml.SafeLoader):
    """Composes nodes and remembers which of them carried a tag."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.tags: dict[int, str] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # types-PyYAML leaves it out
        tag = getattr(event, "tag", None)
        node = super().compose_node(parent, index)
        if tag not in (None, "!") and node is not None:
            self.tags[id(node)] = str(tag)
        return node


class _Builder:
    """Turns nodes into plain data and notes where everything stands."""

    def __init__(self, document: Document, tags: dict[int, str]) -> None:
        self.document = document
        self.tags = tags
        self.count = 0
        self.open: set[int] = set()

    def build(self, node: yaml.Node, where: Where) -> Plain:
        self._limit(node, where)
        self.document.values[where] = _position(node)
        refusal = self._refusal(node)
        if refusal is not None:
            self.document.faults.append(self.document.fault(where, refusal))
            self.document.broken.add(where)
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, where)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, where)
            return [self.build(item, (*where, i)) for i, item in enumerate(node.value)]
        finally:
            self.open.discard(id(node))

    def _refusal(self, node: yaml.Node) -> str | None:
        """Why a value cannot be taken at all."""
        if id(node) in self.tags:
            tag = printable(self.tags[id(node)].replace(_TAG, "!!"))
            return f"expected a plain value, not the YAML tag `{tag}`; remove the tag"
        if isinstance(node, yaml.ScalarNode) and UNUSABLE.search(node.value):
            return f"expected text without NUL and half characters, not `{printable(node.value)}`"
        return None

    def _limit(self, node: yaml.Node, where: Where) -> None:
        self.count += 1
        message = ""
        if id(node) in self.open:
            message = "expected a value, not an alias of something that contains it"
        elif self.count > MAX_VALUES:
            message = f"expected at most {MAX_VALUES:,} values, aliases included, not more"
        elif len(where) > MAX_DEPTH:
            message = f"expected at most {MAX_DEPTH} levels, not more"
        if message:
            line, column = _position(node)
            raise InventoryFaults([Fault(self.document.file, line, column, "", message)])

    def _mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Plain]:
        result: dict[str, Plain] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                merged.append(value)
                continue
            name = self._key(key, where)
            if name is None:
                continue
            place = (*where, name)
            if name in result:
                first = self.document.keys[place].line
                message = f"expected each setting once, not twice: it already stands in line {first}"
                line, column = _position(key)
                fault = Fault(self.document.file, line, column, dotted(place), message)
                self.document.faults.append(fault)
                continue
            self.document.keys[place] = _position(key)
            result[name] = self.build(value, place)
        for value in merged:
            self._merge(value, where, result)
        return result

    def _merge(self, node: yaml.Node, where: Where, result: dict[str, Plain]) -> None:
        """``<<``: settings of another mapping, where this one does not have them itself."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                line, column = _position(part)
                message = "expected an alias of a mapping after `<<`, or a list of them"
                self.document.faults.append(
                    Fault(self.document.file, line, column, dotted((*where, "<<")), message)
                )
                continue
            self._limit(part, where)
            self.open.add(id(part))
            inner = []
            for key, value in part.value:
                if key.tag == f"{_TAG}merge":
                    inner.append(value)
                    continue
                name = self._key(key, where)
                if name is not None and name not in result:
                    self.document.keys[(*where, name)] = _position(key)
                    result[name] = self.build(value, (*where, name))
            for value in inner:
                self._merge(value, where, result)
            self.open.discard(id(part))

    def _key(self, node: yaml.Node, where: Where) -> str | None:
        if isinstance(node, yaml.ScalarNode) and id(node) not in self.tags:
            if not UNUSABLE.search(node.value):
                return str(node.value)
            message = f"expected a name without NUL and half characters, not `{printable(node.value)}`"
        else:
            message = "expected a name, not a list, a mapping or a tag in its place"
        line, column = _position(node)
        self.document.faults.append(Fault(self.document.file, line, column, dotted(where), message))
        return None

    def _scalar(self, node: yaml.ScalarNode, where: Where) -> Plain:
        text = str(node.value)
        if node.style is not None:
            return text
        kind = node.tag.removeprefix(_TAG)
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if kind == "int" and _DECIMAL.fullmatch(text):
            return int(text)
        if kind == "float" and _FRACTION.fullmatch(text):
            return float(text)
        if kind in ("bool", "int", "float", "timestamp"):
            self.document.ambiguous[where] = _reading(kind, text)
        return text


def _reading(kind: str, text: str) -> str:
    """What YAML 1.1 makes of a value that looks like something else."""
    if kind == "bool":
        return "true" if text.lower() in ("yes", "on") else "false"
    if kind == "timestamp":
        return "a date"
    if ":" in text:
        seconds = 0
        for part in text.replace("_", "").lstrip("+-").split(":"):
            seconds = seconds * 60 + int(float(part))
        return f"the number {seconds} (base 60)"
    digits = text.replace("_", "").lstrip("+-")
    if kind == "int" and re.fullmatch(r"0[0-7]+", digits):
        return f"the number {int(digits, 8)} (base 8)"
    return "a number"


def _position(node: yaml.Node) -> Position:
    mark = node.start_mark
    return Position(mark.line + 1, mark.column + 1)


def _line_column(text: str, offset: int) -> Position:
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def _text(path: Path, file: str) -> str:
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        problem = "expected a file, not a folder"
    except FileNotFoundError:
        problem = "expected an inventory, but there is no such file"
    except OSError as error:
        problem = f"expected a file that can be read: {error.strerror}"
    else:
        if len(content) > MAX_BYTES:
            problem = f"expected at most {MAX_BYTES:,} bytes, not {len(content):,}"
        else:
            return _decoded(content, file)
    raise InventoryFaults([Fault(file, 1, 1, "", problem)])


def _decoded(content: bytes, file: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        line, column = _line_column(before, len(before))
        message = f"expected text in UTF-8, not the byte 0x{content[error.start]:02x}; save the file as UTF-8"
        raise InventoryFaults([Fault(file, line, column, "", message)]) from None
