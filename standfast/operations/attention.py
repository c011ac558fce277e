"""What people should know about a server besides its changes: no fault, and no reason to refuse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pyinfra import logger

_collected: ContextVar[dict[str, None] | None] = ContextVar("attention", default=None)


def attention(text: str) -> None:
    """Show a sentence under "attention" in the plan; stock pyinfra logs it."""
    collected = _collected.get()
    if collected is None:
        logger.warning(text)
    else:
        collected[text] = None


@contextmanager
def collecting() -> Iterator[dict[str, None]]:
    """The sentences of all operations that are evaluated meanwhile, each once, in order; for the engine."""
    collected: dict[str, None] = {}
    token = _collected.set(collected)
    try:
        yield collected
    finally:
        _collected.reset(token)
