"""Applications: a Compose file of the team's own, what belongs to it, and its running services."""

from pyinfra import host
from pyinfra.api.deploy import deploy as subject

from standfast.apps.application import Application, application
from standfast.declaration import Declaration, declared
from standfast.operations import compose, files


@subject("apps")
def deploy() -> None:
    """Declare every application: its folder, its files, its images, its services."""
    declaration = declared()
    wanted = declaration.host
    if wanted.docker is None or not wanted.apps:
        return
    applications = [_application(declaration, name) for name in wanted.apps]
    compose.admitted(
        declaration.name,
        applications,
        volumes=wanted.docker.volumes,
        allow=wanted.firewall.allow,
        databases=wanted.databases.values() if wanted.backups else None,
    )
    for app in host.loop(applications):
        compose.images(app)  # first, so that an archive or a registry that fails leaves all as it was
        files.directory(app.folder, mode="750")
        for file in host.loop(app.files):
            path = f"{app.folder}/{file.name}"
            files.file(path, file.content, mode=file.mode, confidential=file.confidential)
        compose.up(app)


def _application(declaration: Declaration, name: str) -> Application:
    app = declaration.host.apps[name]
    secrets = declaration.secrets.get(name, {})
    return application(
        name,
        compose=declaration.user_file(app.compose, secrets=secrets),
        compose_path=app.compose,
        env=declaration.user_file(app.env, secrets=secrets) if app.env else None,
        files={key: declaration.user_file(path, secrets=secrets) for key, path in app.files.items()},
        archives={image: declaration.root / path for image, path in app.images.items()},
        secrets=secrets,
        health=app.health,
        start_timeout=app.start_timeout,
    )
