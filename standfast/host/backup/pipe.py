"""
A named pipe in a container: what is large goes between its programs and ours without Docker in between.

``docker exec`` takes every byte through a shim, the daemon and the client, which costs more of a processor
than the dump itself (docs/performance.md). Where there can be no such pipe, Docker's way is taken.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from standfast.host.backup import inside, programs
from standfast.host.backup.postgres import Place
from standfast.host.backup.programs import Done, Unanswered

# What a killed run has left goes after a day.
MAKE = """umask 077
find /tmp -maxdepth 1 -name 'standfast.????????' -mmin +1440 -exec rm -rf {} +
d=$(mktemp -d /tmp/standfast.XXXXXXXX) && mkfifo "$d/0" "$d/1" && echo "$d"
"""
MADE = re.compile(r"(/tmp/standfast\.\w{8})\n")
BYTES = 1 << 20
"""What a pipe takes; usual are 65,536."""
PAUSE = 0.01

T = TypeVar("T")


@dataclass(frozen=True)
class Pipe:
    """A pipe that a program of the container writes to or reads from."""

    prefix: tuple[str, ...]
    """What comes before a program of the container."""
    path: str
    """Its path there."""
    node: int
    """A descriptor that only says which file is meant."""

    def written(self, command: Sequence[str]) -> list[str]:
        """A command whose output is the pipe; when nobody reads, it ends with its first word."""
        return self._run('exec 3<> "$0"; exec "$@" > "$0" 3>&-', command)

    def read(self, command: Sequence[str]) -> list[str]:
        """A command whose input is the pipe; it begins when somebody can write."""
        return self._run('exec "$@" < "$0"', command)

    def _run(self, script: str, command: Sequence[str]) -> list[str]:
        return [*self.prefix, "sh", "-c", script, self.path, *command[len(self.prefix) :]]

    def opened(self, how: int) -> int:
        """
        An end of it, without waiting for the other one.

        Raises:
            OSError: ENXIO, when nobody reads what shall be written.
        """
        end = inside.opened(self.node, how | os.O_NONBLOCK)
        os.set_blocking(end, True)
        widen(end)
        return end

    def opened_for(self, reader: subprocess.Popen[bytes]) -> int:
        """
        The end to write to, as soon as a program reads.

        Raises:
            BrokenPipeError: it has ended without.
        """
        while reader.poll() is None:
            try:
                return self.opened(os.O_WRONLY)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
            time.sleep(PAUSE)
        raise BrokenPipeError


def widen(end: int) -> None:
    """Let a pipe take more, where the system allows that; its ends wait for each other less often."""
    with suppress(AttributeError, OSError):
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, BYTES)


@contextmanager
def made(place: Place) -> Iterator[tuple[Pipe | None, Pipe | None]]:
    """Two pipes in a place; ``None`` where none can be had."""
    if place.container is None:
        yield None, None
        return
    done = programs.run([*place.prefix, "sh", "-c", MAKE])
    told = MADE.fullmatch(done.output)
    if told is None:
        yield None, None  # nothing may be written there, or there is no mkfifo
        return
    try:
        with ExitStack() as closed:
            yield _pipe(place, f"{told[1]}/0", closed), _pipe(place, f"{told[1]}/1", closed)
    finally:
        programs.run([*place.prefix, "rm", "-rf", told[1]])


def _pipe(place: Place, path: str, closed: ExitStack) -> Pipe | None:
    try:
        node = inside.node(place, path, stat.S_ISFIFO)
    except OSError:
        return None
    closed.callback(os.close, node)
    return Pipe(place.prefix, path, node)


@contextmanager
def into_file(pipe: Pipe | None, command: Sequence[str], path: Path) -> Iterator[Callable[[], Done]]:
    """
    Run a program of a place, with its output into a file, while something else goes on.

    + path: a file that is empty, or not there yet

    Yields what waits for its end; without that it is killed.
    """
    with ExitStack() as cleared:
        errors = cleared.enter_context(tempfile.TemporaryFile())
        # Not "wb": a file that was truncated is sent to the disk when it is closed, by ext4 and XFS.
        output = cleared.enter_context(path.open("ab"))
        if pipe is None:
            program = cleared.enter_context(_started(command, errors, stdout=output))
            yield lambda: _done(errors, program)
            return
        with os.fdopen(pipe.opened(os.O_RDONLY), "rb") as reading:
            # Until the program has ended there is somebody who could write, so that it need not come first.
            writing = cleared.enter_context(os.fdopen(pipe.opened(os.O_WRONLY), "wb"))
            copying = cleared.enter_context(_started(["cat"], errors, stdin=reading, stdout=output))
        program = cleared.enter_context(_started(pipe.written(command), errors))

        def finish() -> Done:
            done = _done(errors, program)
            writing.close()
            return done if done.code != 0 else _done(errors, copying)

        yield finish


def feed(pipe: Pipe | None, command: Sequence[str], write: Callable[[IO[bytes]], T]) -> tuple[Done, T | None]:
    """
    Run a program of a place on what is written to its input.

    + write: gets the input, and writes

    Returns how it ended, and what `write` has returned; ``None`` when the program did not take everything.
    """
    written: T | None = None
    with tempfile.TemporaryFile() as errors:
        given = command if pipe is None else pipe.read(command)
        source = subprocess.PIPE if pipe is None else subprocess.DEVNULL
        with _started(given, errors, stdin=source) as program:
            with suppress(BrokenPipeError), _input(pipe, program) as sink:
                written = write(sink)
            return _done(errors, program), written


def _input(pipe: Pipe | None, program: subprocess.Popen[bytes]) -> IO[bytes]:
    if pipe is not None:
        return os.fdopen(pipe.opened_for(program), "wb")
    assert program.stdin is not None  # noqa: S101 - it is a pipe
    return program.stdin


@contextmanager
def _started(
    arguments: Sequence[str],
    errors: IO[bytes],
    *,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that does not outlive the block."""
    process = subprocess.Popen(
        arguments,
        stdin=stdin,
        stdout=stdout,
        stderr=errors,
        env=programs.surroundings(),
        preexec_fn=programs.tied,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _done(errors: IO[bytes], process: subprocess.Popen[bytes]) -> Done:
    """How a program has ended."""
    try:
        code = process.wait(programs.LONG)
    except subprocess.TimeoutExpired:
        raise Unanswered(f"a program had not ended after {programs.LONG} s and was killed") from None
    errors.seek(0)
    return Done(code, "", errors.read().decode(errors="replace"))
