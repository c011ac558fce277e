"""Databases: roles, and guards inside them, in front of what cannot be undone."""

from pyinfra import host
from pyinfra.api.deploy import deploy as subject

from standfast.declaration import declared
from standfast.host.guard import protection
from standfast.operations import database_guard, database_roles, files
from standfast.rendering import plain


@subject("databases")
def deploy() -> None:
    """Declare who owns what, which databases refuse to be emptied; the server's program knows them too."""
    declaration = declared()
    databases = declaration.host.databases
    for name, database in host.loop(databases.items()):
        if database.roles is not None:
            secrets = declaration.secrets.get(database.app or "", {})
            database_roles.separated(name, database, secrets=secrets)
        if database.protect:
            database_guard.protected(name, database, environment=declaration.environment)
        elif database.protect is False:
            database_guard.unprotected(name, database)
    guarded = database_guard.guarded(databases)
    if guarded:
        files.file(str(protection.DATABASES), plain(protection.databases_text(guarded)), mode="600")
    elif databases:
        files.absent(str(protection.DATABASES))
