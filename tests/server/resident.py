"""
The command line in one process that stays: what it imports is imported once, for tests with hundreds of runs.

``python -m tests.server.resident`` reads lines with arguments as JSON, and answers each with a line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from click.testing import CliRunner

from standfast.cli.main import standfast


class Resident:
    """A running one, for use with ``with``."""

    def __init__(self, root: Path) -> None:
        """
        + root: the repository in which the commands run
        """
        self.root = root

    def __enter__(self) -> Resident:
        here = Path(__file__).parents[2]
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(here), "XDG_STATE_HOME": str(self.root / ".state")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()

    def standfast(self, *arguments: str) -> tuple[int, str]:
        """Run the command line; returns its exit code and all that it said."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(arguments)}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the process has ended"
        code, said = json.loads(answer)
        return int(code), str(said)


def main() -> None:
    """Answer until there are no more questions."""
    for line in sys.stdin:
        done = CliRunner().invoke(standfast, json.loads(line))
        print(json.dumps([done.exit_code, done.output]), flush=True)


if __name__ == "__main__":
    main()
