"""What the server lets in, tried from where we are: an open port answers, a closed one says nothing."""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Literal

SECONDS = 1.2
"""How long a port may be silent before it counts as closed: longer than a lost packet's second try."""
AGAIN = 4.0
"""How long one that must be open is waited for after that."""

Answer = Literal["open", "refused", "silent"]


@dataclass(frozen=True)
class Outside:
    """Answers of ports, or why they could not be asked."""

    address: str = ""
    """The server's address."""
    client: str = ""
    """Ours, as the server sees it."""
    answers: dict[int, Answer] = field(default_factory=dict)
    cannot: str = ""
    """Why this machine cannot tell, for example because a port is forwarded; empty when it can."""


def answers(address: str, expected_open: Iterable[int], expected_silent: Iterable[int]) -> dict[int, Answer]:
    """Ask all ports at once; nothing is sent beyond the handshake of TCP."""
    wanted = dict.fromkeys(expected_open)
    found = _ask(address, [*wanted, *dict.fromkeys(expected_silent)], SECONDS)
    slow = [port for port in wanted if found[port] == "silent"]
    return found | (_ask(address, slow, AGAIN) if slow else {})


def _ask(address: str, ports: Sequence[int], seconds: float) -> dict[int, Answer]:
    found: dict[int, Answer] = dict.fromkeys(ports, "silent")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    deadline = time.monotonic() + seconds
    with ExitStack() as stack:
        waiting = stack.enter_context(selectors.DefaultSelector())
        for port in found:
            one = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            one.setblocking(False)
            if one.connect_ex((address, port)) in (0, errno.EINPROGRESS):
                waiting.register(one, selectors.EVENT_WRITE, port)
        while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                one = key.fileobj  # type: ignore[assignment]  # sockets are what was registered
                fault = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                found[key.data] = _answer(fault)
                waiting.unregister(one)
    return found


def _answer(fault: int) -> Answer:
    if fault == 0:
        return "open"
    return "refused" if fault == errno.ECONNREFUSED else "silent"
