"""
A TCP link to a server that is far away, or that breaks: what a throwaway server on this machine is not.

python -m bench.link --to 10.0.0.2:22 --delay 0.05       prints the local port; each direction takes 50 ms
python -m bench.link --to 10.0.0.2:22 --cut 20000        the first connection is reset after 20,000 bytes

Throughput is not limited: what arrives together leaves together, later.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import struct
from dataclasses import dataclass

CHUNK = 262_144


@dataclass
class Link:
    """Where the link leads, and what is wrong with it."""

    host: str
    port: int
    delay: float
    cut: int
    """Bytes from the server after which the first connection is reset; 0 for never."""
    connections: int = 0

    async def serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        self.connections += 1
        cut = self.cut if self.connections == 1 else 0
        if self.delay:  # the handshake of TCP takes its round trip as well
            await asyncio.sleep(2 * self.delay)
        try:
            far, forth = await asyncio.open_connection(self.host, self.port)
        except OSError:
            back.transport.abort()
            return
        for writer in (back, forth):
            _no_delay(writer)
        await asyncio.gather(self._carry(near, forth, 0), self._carry(far, back, cut))

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, cut: int) -> None:
        """Carry one direction until it ends."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            carried = 0
            while True:
                due, data = await queue.get()
                if self.delay:
                    await asyncio.sleep(max(0.0, due - loop.time()))
                carried += len(data)
                if not data:
                    target.close()
                    return
                if cut and carried > cut:
                    _reset(target)
                    return
                target.write(data)

        delivery = asyncio.create_task(deliver())
        try:
            while data := await source.read(CHUNK):
                queue.put_nowait((loop.time() + self.delay, data))
        except OSError:
            pass
        queue.put_nowait((loop.time() + self.delay, b""))
        await delivery


def _no_delay(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection as a router does that has forgotten it."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def main() -> None:
    """Listen on a free port of this machine, print it, and carry connections until the end of the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="in each direction")
    parser.add_argument("--cut", type=int, default=0, metavar="BYTES")
    options = parser.parse_args()
    host, _, port = options.to.rpartition(":")
    link = Link(host, int(port), options.delay, options.cut)
    server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
