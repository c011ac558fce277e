"""
pyinfra's ``@operation``, with a name for every call.

pyinfra prints all arguments of an operation that has no name: whole files, secrets among them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import Generic, ParamSpec, Protocol, cast

from pyinfra.api.command import StringCommand
from pyinfra.api.operation import OperationMeta
from pyinfra.api.operation import operation as pyinfra_operation

P = ParamSpec("P")


class Operation(Protocol, Generic[P]):
    """
    An operation with the arguments of its function.

    pyinfra's own type puts its global arguments first, so that every positional argument is a type error.
    """

    _inner: Callable[P, Generator[StringCommand, None, None]]
    """The function itself, for an operation that is made of another one."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> OperationMeta: ...


def operation(function: Callable[P, Generator[StringCommand, None, None]]) -> Operation[P]:
    """
    Make an operation whose name is its own and its first argument, for example ``files.file /etc/motd``.

    Use it as ``@operation``, without parentheses.
    """
    performed = cast(Callable[P, OperationMeta], pyinfra_operation()(function))
    title = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"

    @wraps(function)
    def named(*args: P.args, **kwargs: P.kwargs) -> OperationMeta:
        first = args[0] if args else next(iter(kwargs.values()), "")
        shown = first if isinstance(first, str) else ""
        kwargs.setdefault("name", f"{title} {shown}".strip())
        return performed(*args, **kwargs)

    named._inner = function  # type: ignore[attr-defined]  # pyinfra's door to the undecorated function
    return cast(Operation[P], named)
