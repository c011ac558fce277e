"""
gevent's patch of the standard library, for the process that works on servers; and paramiko without `invoke`.

pyinfra runs servers in greenlets; sockets, threads and subprocesses must know that before anything
uses them. Modules that import pyinfra import this one first; pure ones do not, so that they can be
used in a process that has threads of its own (pytest-xdist's workers, for example).
"""

import sys
from functools import cache
from importlib import metadata

from gevent import hub, monkey

# For each of 23 patches gevent looks through all installed packages for its plug-ins: 70 ms without this.
_entry_points = metadata.entry_points
metadata.entry_points = cache(_entry_points)  # type: ignore[assignment] # answers the same, from memory
try:
    # ssl is left alone: nothing here uses it, and other modules may have imported it already.
    monkey.patch_all(ssl=False)
finally:
    metadata.entry_points = _entry_points

# Ctrl-C comes up where it was waited for; the hub need not print it before, with a traceback.
hub.Hub.NOT_ERROR = (*hub.Hub.NOT_ERROR, KeyboardInterrupt)

# paramiko imports invoke for `Match exec` alone, which `match_exec` does without it: 64 ms of paramiko's own
# import, 7 to 46 of our whole start.
sys.modules.setdefault("invoke", None)  # type: ignore[arg-type] # None: an import of it fails
try:
    import paramiko.config as _  # noqa: F401 - now, while invoke is hidden
finally:
    if sys.modules["invoke"] is None:
        del sys.modules["invoke"]
