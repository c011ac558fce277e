"""A command behind the guard: looked at, a copy taken, asked about, recorded, and only then run."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Protocol

from standfast.errors import Refused, StandfastError, UsageError
from standfast.guard import copies, dangers, knowledge, layout, masking, passing, records, telling, windows
from standfast.guard.addresses import OTHER
from standfast.guard.copies import Copy, CopyFailed
from standfast.guard.dangers import Danger
from standfast.guard.knowledge import Knowledge
from standfast.guard.windows import Window

WITHOUT = "without a copy"


class Dialogue(Protocol):
    """Whoever sits in front of this."""

    @property
    def present(self) -> bool:
        """Whether somebody can answer."""

    def tell(self, text: str) -> None:
        """Show something."""

    def ask(self, question: str) -> str:
        """What is typed; empty when nobody answers."""


class NotFound(StandfastError):
    """There is no such program."""

    exit_code = 127


def run(argv: Sequence[str], dialogue: Dialogue) -> NoReturn:
    """
    Run a command in the place of this process, when it may run.

    Raises:
        Refused: it may not, and nothing was run; the message says why and what would allow it.
        NotFound: there is no such program.
    """
    words = dangers.shell_text(argv)
    if not words:
        raise UsageError("expected a command behind --")
    if not passing.under_way(os.environ):
        _decide(words, dialogue)
    _become(words)


def _decide(argv: Sequence[str], dialogue: Dialogue) -> None:
    folder = Path.cwd()
    known = knowledge.here(folder)
    verdicts = dangers.judged(argv, known, folder, stdin=0)
    found = dangers.of(verdicts, known, os.environ) if verdicts else []
    if found:
        _Decision(argv, folder, known, found, dialogue).made()
        os.environ.update(passing.begun())


def _become(argv: Sequence[str]) -> NoReturn:
    program = real(argv[0])
    if program is None:
        raise NotFound(f"{argv[0]}: there is no such program")
    # By its path: Python looks for the environment that it belongs to beside what it was called by.
    os.execve(program, [program, *argv[1:]], os.environ)  # noqa: S606 - no shell on purpose


def real(name: str) -> str | None:
    """The program that a name means, not the shim in front of it."""
    if "/" in name:
        return name
    return shutil.which(name, path=layout.path_behind_shims())


class _Decision:
    """Whether one command runs."""

    def __init__(
        self, argv: Sequence[str], folder: Path, known: Knowledge, found: Sequence[Danger], dialogue: Dialogue
    ) -> None:
        self.argv = argv
        self.folder = folder
        self.known = known
        self.found = found
        self.dialogue = dialogue
        self.window = windows.current()
        self.copies: dict[str, Copy] = {}
        self.uncopied: dict[str, str] = {}

    def made(self) -> None:
        """
        Take copies, ask, record.

        Raises:
            Refused: nothing was run.
        """
        self.dialogue.tell(telling.found(self.argv, self.found, self.known))
        for danger in self.found:
            if danger.problem and not self._may_be_blind(danger):
                self._refuse(
                    f"could not look: {danger.problem}", "What cannot be looked at may hold everything."
                )
        if not self.dialogue.present and self.window is None:
            self._refuse("there is no terminal to ask at", telling.remedies(self.argv, self.found))
        self._copy()
        if self.window is not None:
            self._record("let pass in a window", window=self._window_told(self.window))
            return
        self._ask()
        self._record("confirmed")

    def _may_be_blind(self, danger: Danger) -> bool:
        """A kind of database that we never can look into, declared as one that may be lost."""
        return danger.address is not None and danger.address.kind == OTHER and not danger.fails_closed

    def _copy(self) -> None:
        for danger in self.found:
            if danger.address is None or danger.address.name in self.copies:
                continue
            name = danger.address.name
            try:
                self.copies[name] = copies.take(danger.address, copies.BEFORE)
            except CopyFailed as problem:
                if danger.fails_closed:
                    self._refuse(str(problem), "Nothing destroys this database without a verified copy.")
                self.uncopied[name] = str(problem)
        self.dialogue.tell(telling.copied(list(self.copies.values()), list(self.uncopied.values())))

    def _ask(self) -> None:
        asked = set()
        for danger in self.found:
            if danger.address is None:
                wanted, what = socket.gethostname(), "this machine's name"
            elif danger.address.name in self.uncopied:
                wanted, what = f"{danger.address.typed} {WITHOUT}", f"the database's name and `{WITHOUT}`"
            else:
                wanted, what = danger.address.typed, "the database's name"
            if wanted in asked:
                continue
            asked.add(wanted)
            typed = self.dialogue.ask(f"Type {what} to go on, {wanted}: ")
            if typed != wanted:
                self._refuse(
                    f"{'nothing' if not typed else 'something else'} was typed", "", outcome="declined"
                )

    def _refuse(self, why: str, remedy: str, *, outcome: str = "refused") -> NoReturn:
        self._record(outcome, reason=why)
        kept = [f"The copy stays: {copy.folder}." for copy in self.copies.values()]
        shown = f"{masking.masked(self.argv)} was not run: {why}."
        raise Refused("\n".join(line for line in (shown, *kept, remedy) if line))

    def _record(self, outcome: str, **more: object) -> None:
        first = self.found[0]
        try:
            records.add(
                self.folder,
                outcome,
                self.argv,
                entry=first.verdict.entry.name if first.verdict.entry else None,
                database=", ".join(sorted({each.address.name for each in self.found if each.address}))
                or None,
                environment=first.environment if first.address else None,
                rows=sum(each.looked.rows for each in self.found if each.looked) or None,
                copy=[str(copy.folder) for copy in self.copies.values()] or None,
                terminal=self.dialogue.present,
                **more,
            )
        except OSError as error:
            raise Refused(f"the audit log cannot be written: {error}. Nothing was run.") from None

    def _window_told(self, window: Window) -> str:
        return f"{window.reason} (opened by {window.who}, until {window.until})"
