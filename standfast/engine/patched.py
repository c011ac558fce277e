"""
gevent's patch of the standard library, for the process that works on servers.

pyinfra runs servers in greenlets; sockets, threads and subprocesses must know that before anything
uses them. Modules that import pyinfra import this one first; pure ones do not, so that they can be
used in a process that has threads of its own (pytest-xdist's workers, for example).
"""

from gevent import monkey

# ssl is left alone: nothing here uses it, and other modules may have imported it already.
monkey.patch_all(ssl=False)
