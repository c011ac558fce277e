"""
Schemas held against each other: the live database, what its migrations build, what the last backup held.

Shipped to servers with the rest of ``standfast/host``, and used as it is for databases of this machine.
"""
