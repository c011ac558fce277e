"""An application as one value: everything that is known of it on the controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from standfast.apps import archive, compose_file
from standfast.apps.archive import Archive, Image
from standfast.apps.compose_file import ComposeFile
from standfast.apps.interpolation import Unfilled, environment
from standfast.errors import InventoryError
from standfast.inventory.secrets import SecretValue
from standfast.rendering import Rendered

FOLDER = "/srv/apps"
COMPOSE_NAME = "compose.yml"
ENV_NAME = ".env"
RENDERED_SUFFIX = ".j2"


@dataclass(frozen=True, slots=True)
class AppFile:
    """One file in an application's folder on the server."""

    name: str
    content: Rendered
    mode: str

    @property
    def confidential(self) -> bool:
        """Whether root alone may read it: what was there before may be secret as well."""
        return self.mode == "600"


@dataclass(frozen=True, slots=True)
class Application:
    """One application: its files, its images, what its Compose file says."""

    name: str
    files: tuple[AppFile, ...]
    compose: ComposeFile
    archives: Mapping[str, Archive]
    """Archive of each image that does not come from a registry, by image name."""
    health: str | None
    start_timeout: int
    """Seconds."""

    @property
    def folder(self) -> str:
        """Its folder on the server."""
        return f"{FOLDER}/{self.name}"

    @property
    def has_env(self) -> bool:
        """Whether a ``.env`` file belongs to it."""
        return any(file.name == ENV_NAME for file in self.files)

    def images(self) -> dict[str, Image]:
        """Images that come from archives, by full name."""
        return {archive.full_name(name): _image(each, name) for name, each in self.archives.items()}


def application(
    name: str,
    *,
    compose: Rendered,
    compose_path: str,
    env: Rendered | None,
    files: Mapping[str, Rendered],
    archives: Mapping[str, Path],
    secrets: Mapping[str, SecretValue],
    health: str | None,
    start_timeout: int,
) -> Application:
    """
    Put an application together.

    + compose_path: the user's file, for messages
    + files: further files by the name they get beside the Compose file
    + archives: archive files by image name
    + secrets: those that the templates may have used, to see that none was mutilated

    Raises:
        InventoryError: a file or an archive is not what it should be; nothing has been changed.
    """
    shown_path = f"{compose_path} (rendered)" if compose_path.endswith(RENDERED_SUFFIX) else compose_path
    variables = {} if env is None else _variables(name, env, secrets)
    folder = f"{FOLDER}/{name}"
    return Application(
        name=name,
        files=tuple(_files(compose, env, files)),
        compose=compose_file.read(compose.text, shown_path, variables, folder),
        archives={image: _checked(archive.read(path), image) for image, path in archives.items()},
        health=health,
        start_timeout=start_timeout,
    )


def _variables(name: str, env: Rendered, secrets: Mapping[str, SecretValue]) -> dict[str, str]:
    try:
        variables = environment(env.text)
    except Unfilled as error:
        raise InventoryError(f"apps.{name}.env: {error}") from None
    for key, secret in secrets.items():
        value = secret.reveal()
        if value in env.text and not any(value in each for each in variables.values()):
            raise InventoryError(
                f"apps.{name}.env: the value of the secret {key} has characters that mean something in an "
                "environment file, and would arrive changed. Put it between single quotes: "
                f"`NAME='{{{{ secrets.{key} }}}}'`. A value with a single quote in it cannot be used there."
            )
    return variables


def _files(compose: Rendered, env: Rendered | None, files: Mapping[str, Rendered]) -> Sequence[AppFile]:
    # The folder is closed to everybody but root; inside it, processes in containers must be able to read.
    ours = [AppFile(COMPOSE_NAME, compose, "644")]
    if env is not None:
        ours.append(AppFile(ENV_NAME, env, "600"))
    return [*ours, *(AppFile(name, text, "644") for name, text in files.items())]


def _image(each: Archive, name: str) -> Image:
    image = each.image(name)
    if image is None:
        held = ", ".join(sorted(tag for one in each.images for tag in one.names)) or "images without names"
        raise InventoryError(f"{each.path}: expected the image {name}, found {held}")
    return image


def _checked(each: Archive, name: str) -> Archive:
    _image(each, name)
    return each
