"""The web server in front of the applications."""

from pyinfra.api.deploy import deploy as subject

from standfast.declaration import declared, template
from standfast.operations import apt, caddy, systemd


@subject("caddy")
def deploy() -> None:
    """Declare the sites; the Caddyfile comes before Caddy, so that its first start is already right."""
    declaration = declared()
    wanted = declaration.host.caddy
    if wanted is None:
        return
    own = wanted.caddyfile
    content = declaration.user_file(own) if own is not None else template("caddy/Caddyfile.j2")

    caddy.caddyfile(content, ports=caddy.ports(wanted))
    apt.packages(["caddy"])
    systemd.service("caddy")
