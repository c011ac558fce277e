"""What goes wrong on a server, with the exit code of the program."""

from __future__ import annotations


class Fault(Exception):
    """One message for people: what was expected, what was found, what to do, what has not been touched."""

    code = 1


class WrongConfiguration(Fault):
    """The configuration or the command line is wrong; nothing was done."""

    code = 3


class Busy(Fault):
    """Another run is at work; nothing was done."""

    code = 5


class Refused(Fault):
    """It is not safe, or cannot be; nothing was changed."""

    code = 6
