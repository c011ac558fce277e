"""Backups: the server makes them itself, at its own times; here is what it needs for that."""

from pyinfra import host
from pyinfra.api.deploy import deploy as subject

from standfast.declaration import declared, template
from standfast.host.backup import layout
from standfast.inventory.secrets import BACKUPS
from standfast.operations import apt, backups, files
from standfast.operations.host_program import PATH
from standfast.rendering import hidden, plain

SECRET_FILES = {"password": layout.PASSWORD, "ssh_key": layout.SSH_KEY}


@subject("backups")
def deploy() -> None:
    """Declare restic, its secrets in files of root's, the program's configuration, and cron's times."""
    declaration = declared()
    wanted = declaration.host.backups
    if wanted is None:
        return
    secrets = declaration.secrets[BACKUPS]
    configuration = backups.configured(declaration.name, declaration.host, wanted)

    apt.packages(["restic", "openssh-client", "tzdata"])
    for name, path in host.loop(SECRET_FILES.items()):
        if name in secrets:
            files.file(str(path), hidden(f"backups.{name}", secrets[name]), mode="600")
    if wanted.known_hosts:
        files.file(str(layout.KNOWN_HOSTS), "".join(f"{line}\n" for line in wanted.known_hosts), mode="600")
    if wanted.credentials:
        credentials = backups.credentials({name: secrets[name] for name in wanted.credentials})
        files.file(str(layout.CREDENTIALS), credentials, mode="600")
    files.file(str(layout.CONFIGURATION), plain(configuration.text()), mode="600")
    schedule = template("backups/cron.j2", configuration=configuration, program=PATH)
    files.file("/etc/cron.d/standfast", schedule)
