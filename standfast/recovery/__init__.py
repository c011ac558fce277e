"""
Backup, restore and drill, from the controller: choose the servers, hold them, show, ask, tell.

The work itself is done by the program on the servers, ``standfast-host``.
"""
