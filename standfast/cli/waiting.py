"""Progress and questions on stderr: one line that tells what is being done, on a terminal with a clock."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

import click

from standfast.errors import UsageError

if TYPE_CHECKING:  # this imports pyinfra, and `--help` must not
    from standfast.engine.holds import Holds


class Waiting:
    """Shows what is going on. Off a terminal each step is one plain line."""

    def __init__(self, *, quiet: bool = False) -> None:
        """
        + quiet: show nothing, for ``--json`` and for tests of programs
        """
        self.quiet = quiet
        self.terminal = sys.stderr.isatty() and not quiet
        self._started = time.monotonic()
        self._text = ""

    def step(self, text: str) -> None:
        """Tell what is done now."""
        if self.quiet:
            return
        if not self.terminal:
            click.echo(text, err=True)
            return
        self._finish_line()
        self._text, self._started = text, time.monotonic()
        self._draw()

    def tell(self, text: str) -> None:
        """Tell what people must know, even when the progress is hidden."""
        self._finish_line()
        click.echo(f"{click.style('!', fg='yellow', bold=True)} {text}", err=True)

    def pause(self) -> None:
        """Show no progress until the next step: something else is written to the terminal."""
        self._finish_line()

    def confirmed(self, question: str) -> bool:
        """Ask on the terminal while gevent works on: whoever thinks for minutes keeps the servers' locks."""
        from gevent.select import select

        self.pause()
        click.echo(f"{question} [y/N]: ", err=True, nl=False)
        select([sys.stdin], [], [])
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def agreed(self, question: str, holds: Holds) -> None:
        """Ask, and go on only when somebody agrees; else the command ends, and nothing was changed."""
        if not self.confirmed(question):
            holds.declined = True
            click.echo("nothing was changed", err=True)
            raise click.exceptions.Exit(0)

    def tick(self) -> None:
        """Draw the clock anew; on a terminal only."""
        if self.terminal and self._text:
            self._draw()

    def __enter__(self) -> Waiting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish_line()

    def _draw(self) -> None:
        seconds = time.monotonic() - self._started
        clock = f"  {seconds:.0f} s" if seconds >= 1 else ""
        click.echo(f"\r\033[K{self._text}{click.style(clock, dim=True)}", err=True, nl=False)

    def _finish_line(self) -> None:
        if self.terminal and self._text:
            self._draw()
            click.echo("", err=True)
            self._text = ""


def require_answer(asks: str, *, yes: bool) -> None:
    """
    Somebody must be there to agree, or have agreed.

    + asks: which command asks before what, for the message

    Raises:
        UsageError: neither; nothing was done.
    """
    if not yes and not sys.stdin.isatty():
        raise UsageError(f"{asks}, and there is no terminal: add --yes")


@contextmanager
def ticking(waiting: Waiting) -> Iterator[None]:
    """Let the clock run while gevent works."""
    import gevent

    def tick() -> None:
        while True:
            gevent.sleep(1)
            waiting.tick()

    clock = gevent.spawn(tick)
    try:
        yield
    finally:
        clock.kill()
