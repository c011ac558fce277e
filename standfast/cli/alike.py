"""Servers of which the same is to be said are shown together: thirty of them fit on a screen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def grouped(items: Iterable[T], key: Callable[[T], str]) -> list[list[T]]:
    """Items with equal keys together, in the order in which they come first."""
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def said(content: object, name: str, address: str) -> str:
    """
    What is said about a server, without its own name and address: equal for servers that are alike.

    + content: what `json.dumps` takes
    """
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    own = "|".join(re.escape(word) for word in sorted({name, address}, key=len, reverse=True))
    return re.sub(rf"(?<![\w.-])({own})(?![\w-])", "‹its own›", text)


def together(count: int, shown: str) -> str:
    """The line over what several servers have in common; `shown` is the one whose words are printed."""
    return f"the same on {'both' if count == 2 else f'all {count}'}, here for {shown}:"
