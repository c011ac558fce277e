"""The lock's program on the server: what it hears, tried with the real bash."""

from __future__ import annotations

import subprocess
import time

from standfast.engine.shell import shell

BODY = """
idle=0
while :; do if listen 1; then echo "heard ${#line} ${line: -1}"; fi; done
"""


def test_a_line_that_comes_in_two_parts_is_heard_whole() -> None:
    """On a busy server the time to wait can be over in the middle of a line: it was lost, and its sender waited."""
    functions = shell("lock").partition("\nmkdir -p")[0]
    with subprocess.Popen(
        ["bash", "-c", functions + BODY, "standfast", "client", "{}", "{}", "30", "30"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as listening:
        assert listening.stdin
        assert listening.stdout
        for part in (b"x" * 1000, b"x" * 1000, b"y\nz\n"):
            listening.stdin.write(part)
            time.sleep(1.5)
        assert listening.stdout.readline() == b"heard 2001 y\n"
        assert listening.stdout.readline() == b"heard 1 z\n"
        listening.kill()
