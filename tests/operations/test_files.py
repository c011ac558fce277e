"""What is shown of a file's old content, from the declaration to the plan."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pyinfra.context import ctx_host

from standfast.apps.application import AppFile
from standfast.facts.files import RemoteFile
from standfast.operations import files
from standfast.operations.change import Step
from standfast.rendering import plain

OLD = b"LEVEL=info\nKEY_OF_PARTNER=hunter2\n"


def shown(*, confidential: bool) -> str:
    """The diff of an update of a file that is at the path."""
    present = RemoteFile("file", "600", "root", "root", len(OLD), "", OLD)
    with ctx_host.use(SimpleNamespace(get_fact=lambda *_, **__: present)):
        (step,) = files.file._inner("/srv/x", plain("LEVEL=info\n"), mode="600", confidential=confidential)
    assert isinstance(step, Step)
    (change,) = step.changes
    return change.diff


@pytest.mark.parametrize(("name", "mode", "hides"), [(".env", "600", True), ("compose.yml", "644", False)])
def test_an_environment_file_keeps_its_old_values_to_itself(name: str, mode: str, hides: bool) -> None:
    file = AppFile(name, plain(""), mode)
    line = "-KEY_OF_PARTNER=(hidden)" if hides else "-KEY_OF_PARTNER=hunter2"
    assert line in shown(confidential=file.confidential)


def test_our_own_closed_files_show_what_they_held() -> None:
    assert "-KEY_OF_PARTNER=hunter2" in shown(confidential=False)
