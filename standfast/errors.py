"""What can go wrong through no fault of ours: each error is one message and one exit code."""


class StandfastError(Exception):
    """Failed; the message says where, what was expected, what was found, what to do, what changed."""

    exit_code = 1


class UsageError(StandfastError):
    """The command line is wrong; no host was contacted."""

    exit_code = 3


class InventoryError(StandfastError):
    """The inventory or a file that it names is wrong; no host was contacted."""

    exit_code = 3


class Undone(StandfastError):
    """A change was not confirmed and the server went back; it is as it was before."""

    exit_code = 4


class Locked(StandfastError):
    """Somebody else is at work on this server; nothing was changed."""

    exit_code = 5


class Interrupted(StandfastError):
    """Somebody did not wait for the end; the message says what goes on without them."""

    exit_code = 130


class Refused(StandfastError):
    """A guard or the preflight said no; nothing was changed."""

    exit_code = 6


class CouldNotLook(Refused):
    """A part of the server could not be read, so nothing true can be said about it; nothing was changed."""
