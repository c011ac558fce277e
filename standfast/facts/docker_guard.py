"""The emergency switch of the guards on a server."""

from __future__ import annotations

from pyinfra.api import StringCommand
from typing_extensions import override

from standfast.errors import CouldNotLook
from standfast.facts.answer import Answer, Fact, script
from standfast.host.guard.docker_switch import OFF


class GuardsOff(Fact[bool]):
    """
    Whether somebody has switched the guards off: the file is there, whatever is in it.

    Raises:
        CouldNotLook: the server did not tell.
    """

    @override
    def command(self) -> StringCommand:
        return script(f"if [ -e {OFF} ]; then echo off; else echo on; fi")

    @override
    def parse(self, answer: Answer) -> bool:
        if answer.status != 0 or answer.lines[:1] not in (["on"], ["off"]):
            raise CouldNotLook(
                f"guards: {OFF} could not be looked for: {answer.reason}. Nothing was changed."
            )
        return answer.lines == ["off"]
