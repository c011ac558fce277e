"""
The real command line, to which something happens right after a change was put on trial.

python -m tests.server.careless_controller MOMENT WAY COMMAND apply lab --yes

+ MOMENT: ``the firewall`` or ``sshd``: the change after which it happens
+ WAY: ``kill`` (SIGKILL to itself), ``here`` (COMMAND runs on this machine), ``there`` (on the server, as root)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import standfast.engine.patched  # noqa: F401 - gevent first

# isort: split
from pyinfra.api import StringCommand
from pyinfra.connectors.util import CommandOutput

from standfast.cli.main import main
from standfast.operations.confirmed import Attempt, ConfirmedStep

MOMENT, WAY, COMMAND = sys.argv[1:4]
original = Attempt.change


def change(self: Attempt, step: ConfirmedStep) -> tuple[bool, CommandOutput]:
    """Put it on trial, then let it happen."""
    result = original(self, step)
    if step.what != MOMENT:
        return result
    if WAY == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if WAY == "here":
        subprocess.run(COMMAND, shell=True, check=True)  # noqa: S602 - the test's own words
    if WAY == "there":
        done, output = self.host.run_shell_command(StringCommand(COMMAND), **self.asking)
        assert done, output.output
    return result


Attempt.change = change  # type: ignore[method-assign] # the point of it
sys.argv[1:4] = []
main()
