"""
What every fact of ours stands on: the command's output, its exit status and its error output.

pyinfra hands a fact nothing but standard output, and none at all when the command failed, so that
"there is nothing" and "I could not look" read the same. Our commands always succeed and carry their
status and their error output along; the parser decides what a failure means.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TypeVar

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook

T = TypeVar("T")

STATUS = "standfast-status "
ERROR = "standfast-stderr "


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command said."""

    lines: list[str]
    """Standard output, one line each, without line ends."""
    status: int
    """Exit status of the command."""
    errors: list[str]
    """Error output, one line each."""

    @property
    def text(self) -> str:
        """Standard output as one string."""
        return "\n".join(self.lines)

    @property
    def reason(self) -> str:
        """The most telling line of the error output, for messages."""
        return self.errors[-1] if self.errors else f"exit status {self.status}"


def read_answer(output: list[str]) -> Answer:
    """Take apart the lines that a command made by `script` printed."""
    lines, errors, status = [], [], None
    for line in output:
        if line.startswith(ERROR):
            errors.append(line.removeprefix(ERROR))
        elif line.startswith(STATUS):
            status = int(line.removeprefix(STATUS))
        else:
            lines.append(line)
    if status is None:
        raise CouldNotLook("the answer of a command was cut short; nothing was changed. Try again.")
    return Answer(lines, status, errors)


def script(shell: str) -> StringCommand:
    """
    Wrap shell code so that it always succeeds and its status and error output arrive marked.

    + shell: POSIX shell code; every value in it must be quoted by the caller
    """
    # Error output is rare, so sed(1) is started only for it: a plan has hundreds of these commands.
    return StringCommand(
        f'{{ errors=$( {{ LC_ALL=C; export LC_ALL; ( {shell}\n); echo "{STATUS}$?"; }} 2>&1 1>&3 3>&- ); '
        f"[ -z \"$errors\" ] || printf '%s\\n' \"$errors\" | sed 's/^/{ERROR}/'; }} 3>&1"
    )


class Fact(FactBase[T]):
    """A fact whose parser sees the whole answer. Subclasses define `command` and `parse`."""

    @abstractmethod
    def parse(self, answer: Answer) -> T:
        """Turn an answer into a value; raise `CouldNotLook` where the truth is not known."""

    @override
    def process(self, output: list[str]) -> T:
        return self.parse(read_answer(output))
