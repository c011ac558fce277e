"""
The real command line, which counts its round trips with each server after the handshake.

python -m tests.server.turns FILE plan lab

A round trip is counted when a message goes out after one has come in: we needed the server's word before
we said more. Messages that nobody waits for do not count: more room in a window, a sign of life, the end
of our input (what waits for input counts when the input is sent), the end of a channel. FILE receives a JSON list, one number a connection.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import standfast.engine.patched  # noqa: F401 - gevent first

# isort: split
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_GLOBAL_REQUEST,
    MSG_USERAUTH_SUCCESS,
)
from paramiko.message import Message
from paramiko.packet import Packetizer

from standfast.cli.main import main

WAITED_FOR_BY_NOBODY = {MSG_CHANNEL_WINDOW_ADJUST, MSG_CHANNEL_EOF, MSG_CHANNEL_CLOSE, MSG_GLOBAL_REQUEST}

FILE = Path(sys.argv.pop(1))
send, read = Packetizer.send_message, Packetizer.read_message


class Count:
    """What one connection has been through."""

    def __init__(self) -> None:
        self.open = False
        self.heard = False
        self.turns = 0


counts: dict[Packetizer, Count] = {}


def send_message(self: Packetizer, data: Message) -> None:
    """Count a message that stands on what the server has said."""
    count = counts.setdefault(self, Count())
    if count.open and data.asbytes()[0] not in WAITED_FOR_BY_NOBODY:
        count.turns += count.heard
        count.heard = False
    send(self, data)


def read_message(self: Packetizer) -> tuple[int, Message]:
    """Notice that the server has said something."""
    kind, message = read(self)
    count = counts.setdefault(self, Count())
    count.open |= kind == MSG_USERAUTH_SUCCESS
    count.heard |= kind not in WAITED_FOR_BY_NOBODY
    return kind, message


Packetizer.send_message = send_message  # type: ignore[method-assign] # the point of it
Packetizer.read_message = read_message  # type: ignore[method-assign] # the point of it
try:
    main()
finally:
    FILE.write_text(json.dumps([count.turns for count in counts.values()]), encoding="utf-8")
