"""
Named tuples for what everybody waits for who types a command.

Those of `typing` are the same to the type checker and to a reader, and take 10 to 20 ms to load, as long as
Python itself. So a module that every verdict needs says::

    TYPE_CHECKING = False
    if TYPE_CHECKING:
        from typing import NamedTuple
    else:
        from standfast.host.guard.named_tuple import NamedTuple
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Fields(type):
    """Makes the annotated names of a class its fields, in their order."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _Fields:
        fields: tuple[str, ...] = tuple(namespace.get("__annotations__", ()))
        defaults = {each: namespace.pop(each) for each in fields if each in namespace}
        for place, each in enumerate(fields):
            namespace[each] = _field(place)
        return super().__new__(
            cls, name, bases, {**namespace, "__slots__": (), "_fields": fields, "_defaults": defaults}
        )


def _field(place: int) -> property:
    return property(lambda self: tuple.__getitem__(self, place))


class NamedTuple(tuple[object, ...], metaclass=_Fields):
    """A tuple whose places have names."""

    _fields: tuple[str, ...]
    _defaults: dict[str, object]

    def __new__(cls, *values: object, **named: object) -> NamedTuple:
        given = {**cls._defaults, **dict(zip(cls._fields, values, strict=False)), **named}
        if len(values) > len(cls._fields) or given.keys() != {*cls._fields}:
            raise TypeError(f"{cls.__name__}: expected {cls._fields}, found {values} and {[*named]}")
        return tuple.__new__(cls, [given[each] for each in cls._fields])

    def __repr__(self) -> str:
        pairs = zip(self._fields, self, strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in pairs)})"

    def _replace(self, **changes: object) -> NamedTuple:
        return type(self)(**{**dict(zip(self._fields, self, strict=True)), **changes})
