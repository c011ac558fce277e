"""What `engine/recording.py` stands on inside pyinfra; when this fails, pyinfra has changed there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
import standfast.engine.patched
from pyinfra import host
from pyinfra.api import Inventory, StringCommand
from pyinfra.api.deploy import deploy
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_state
from pyinfra.operations import server
from standfast.engine.recording import RecordingState, begin_execution, perform, record
from standfast.operations.change import Change, Step
from standfast.operations.named import operation

folder = Path(sys.argv[1])
evaluated = []

@operation
def twice(name):
    evaluated.append(name)
    yield Step(f"echo one >> {folder}/log", changes=[Change("create", "one")])
    yield Step(f"cat >> {folder}/log; echo said", changes=[Change("create", "two")], stdin="two")

@operation
def nothing(name):
    host.noop("as declared")
    return
    yield

@deploy("subject")
def deploys():
    twice("a")
    nothing("b")
    server.shell(commands=[f"echo stock >> {folder}/log"])

inventory = Inventory((["@local"], {}))
state = RecordingState(inventory)
ctx_state.set(state)
local = list(inventory)[0]
local.connect()
state.activate_host(local)
state.set_stage(StateStage.Prepare)
planned = record(state, local, deploys)
assert [(p.subject, p.name) for p in planned] == [("subject", "__main__.twice a"), ("subject", "")], planned
assert [c.target for c in planned[0].changes] == ["one", "two"]
assert planned[1].changes[0].action == "run"
assert state.resources == {"@local": 3}
assert not (folder / "log").exists()
begin_execution(state)
sent = []
for each in planned:
    succeeded, output = perform(state, local, each, sent.append)
    assert succeeded, output
assert evaluated == ["a"], "evaluated once, at plan time"
assert len(sent) == 3
assert (folder / "log").read_text() == "one\\ntwo\\nstock\\n", (folder / "log").read_text()
print("kept")
"""


def test_operations_are_recorded_to_their_end_and_replayed_as_recorded(tmp_path: Path) -> None:
    # In a process of its own: gevent must patch the standard library before anything else runs.
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "kept\n", done.stderr
