"""Our named tuples behave as those of the standard library."""

from __future__ import annotations

import typing
from collections.abc import Callable

import pytest

from standfast.host.guard import named_tuple


class Theirs(typing.NamedTuple):
    """With a default and without one."""

    text: str
    known: bool = True


class Ours(named_tuple.NamedTuple):
    """The same."""

    text: str
    known: bool = True


@pytest.mark.parametrize("kind", [Theirs, Ours])
def test_made_read_compared_and_changed(kind: Callable[..., Theirs]) -> None:
    made = kind("a")
    assert (made.text, made.known, made[0], len(made)) == ("a", True, "a", 2)
    assert made == kind(text="a", known=True) == ("a", True)
    assert made != kind("a", known=False)
    assert {made: 1}[kind("a")] == 1
    text, known = made._replace(known=False)
    assert (text, known) == ("a", False)
    assert repr(made) == f"{type(made).__name__}(text='a', known=True)"


@pytest.mark.parametrize("kind", [Theirs, Ours])
@pytest.mark.parametrize(
    ("values", "named"), [((), {}), (("a", True, 1), {}), (("a",), {"unknown": 1}), ((), {"known": True})]
)
def test_what_does_not_fit_is_an_error(
    kind: Callable[..., Theirs], values: tuple[object, ...], named: dict[str, object]
) -> None:
    with pytest.raises(TypeError):
        kind(*values, **named)


@pytest.mark.parametrize("kind", [Theirs, Ours])
@pytest.mark.parametrize("name", ["text", "other"])
def test_it_cannot_be_changed_in_place(kind: Callable[..., Theirs], name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(kind("a"), name, "b")
