"""The SSH server on the host."""

from pyinfra.api.deploy import deploy as subject

from standfast.declaration import declared, template
from standfast.operations import confirmed, ssh


@subject("ssh")
def deploy() -> None:
    """Declare who may log in, and how."""
    wanted = declared().host
    confirmed.prepared()
    ssh.server(
        template("ssh/00-standfast.conf.j2"),
        people=wanted.users,
        confirmation=confirmed.Confirmation(wanted.firewall.confirm_seconds),
    )
