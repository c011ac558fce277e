"""Guards in the sessions of people: they ask before what cannot be undone."""

from pyinfra.api.deploy import deploy as subject

from standfast.declaration import declared
from standfast.operations import shims


@subject("guards")
def deploy() -> None:
    """Declare the shims, or that there are none."""
    declaration = declared()
    if shims.wanted(declaration):
        shims.present()
    else:
        shims.absent()
