"""
Bring back what a backup holds: beside what is there, compared with its manifest, then swapped in.

A copy that is replaced stays on the server, under a name of its own, until a person removes it.
"""
