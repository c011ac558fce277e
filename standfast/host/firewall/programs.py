"""Other programs: called with a clean environment, never waited for without end."""

from __future__ import annotations

import os
import subprocess

SECONDS = 60
ENVIRONMENT = {
    "LC_ALL": "C",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
}


class Failure(Exception):
    """A program failed; the message is one line for the log."""


def run(*words: str, input: str | None = None) -> str:
    """
    What a program prints.

    Raises:
        Failure: it could not be started, failed, or took longer than a minute.
    """
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            env=ENVIRONMENT,
            check=False,
            input=input or "",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"{words[0]}: {error}") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        raise Failure(f"{' '.join(words[:4])}: exit {done.returncode}: {said[-1]}")
    return done.stdout


def succeeds(*words: str) -> bool:
    """Whether a program ends with status 0."""
    try:
        run(*words)
    except Failure:
        return False
    return True


os.environ.update(ENVIRONMENT)  # for shutil.which, and what is called by what we call
