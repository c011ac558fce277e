"""
Image archives made by ``docker save``, read without loading them.

The archive's list of contents names a configuration for each image; the configuration's checksum is
the image's id, and it says which folders the image declares as volumes.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from standfast.errors import InventoryError

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
LARGEST_DOCUMENT = 4 * 1024 * 1024  # bytes; lists of contents and configurations are far smaller
IMAGE_NAME_ANNOTATION = "io.containerd.image.name"
SETTINGS = (
    *("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "StopSignal"),
    *("User", "Volumes", "WorkingDir"),
)
SHOWN = 12  # hexadecimal digits of an id, as docker shows them


@dataclass(frozen=True, slots=True)
class Image:
    """An image, in an archive or on a server."""

    id: str
    """``sha256:`` and 64 digits."""
    created: str = ""
    layers: tuple[str, ...] = ()
    """Checksums of its layers' contents."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What it runs and how; the same words in archives and from ``docker image inspect``."""
    names: tuple[str, ...] = ()
    """Names with tags."""
    digest: str = ""
    """The id under which an engine with containerd's image store knows an archive's image, if it says so."""

    @property
    def volumes(self) -> tuple[str, ...]:
        """Folders that get an anonymous volume unless something is mounted there."""
        return tuple(self.settings.get("Volumes") or ())

    @property
    def short(self) -> str:
        """The id as people see it."""
        return shown(self.id)

    def same(self, other: Image) -> bool:
        """Whether two images are one; an engine with containerd's store gives them ids of its own."""
        if other.id in {self.id, self.digest} or self.id == other.digest:
            return True
        return (
            bool(self.layers)
            and (self.layers, self.created) == (other.layers, other.created)
            and _meaning(self.settings) == _meaning(other.settings)
        )


@dataclass(frozen=True, slots=True)
class Archive:
    """A file on this machine with the images in it."""

    path: Path
    size: int
    """Bytes."""
    modified: int
    """Nanoseconds since 1970."""
    images: tuple[Image, ...]

    def image(self, name: str) -> Image | None:
        """The image of that name; an archive with one image without a name has it under every name."""
        full = full_name(name)
        if len(self.images) == 1 and not self.images[0].names:
            return self.images[0]
        return next((each for each in self.images if full in map(full_name, each.names)), None)


def full_name(name: str) -> str:
    """An image's name as Docker compares them: ``postgres`` is ``docker.io/library/postgres:latest``."""
    if "@" in name:
        return name
    head, slash, tail = name.rpartition("/")
    if ":" not in tail:
        tail += ":latest"
    registry = head.partition("/")[0]
    if not slash:
        return f"docker.io/library/{tail}"
    if "." not in registry and ":" not in registry and registry != "localhost":
        return f"docker.io/{head}/{tail}"
    return f"{head}/{tail}"


def shown(identity: str) -> str:
    """An image's id as people see it."""
    return identity.removeprefix("sha256:")[:SHOWN]


def read(path: Path) -> Archive:
    """
    Read what is in an archive; one that has not changed is read once.

    Raises:
        InventoryError: not an archive of images; nothing has been changed.
    """
    try:
        state = path.stat()
        return _read(path, state.st_size, state.st_mtime_ns)
    except tarfile.TarError as error:
        raise InventoryError(
            f"{path}: expected an archive made by `docker save`: {_reason(path, error)}"
        ) from None
    except (OSError, EOFError) as error:
        raise InventoryError(f"{path}: the image archive cannot be read: {error}") from None


@lru_cache(maxsize=256)
def _read(path: Path, size: int, modified: int) -> Archive:
    with tarfile.open(path) as tar:
        documents = _documents(tar)
        if "manifest.json" not in documents:
            raise tarfile.ReadError("it has no manifest.json")
        try:
            digests = _digests(json.loads(documents.get("index.json", b"{}")))
            images = tuple(
                _image(documents[_normal(entry["Config"])], entry["RepoTags"] or [], digests)
                for entry in json.loads(documents["manifest.json"])
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise tarfile.ReadError(f"its list of contents cannot be read ({error!r})") from None
    return Archive(path, size, modified, images)


def _documents(tar: tarfile.TarFile) -> dict[str, bytes]:
    """All small files that look like JSON, in one pass: going back in a compressed archive is slow."""
    found: dict[str, bytes] = {}
    for member in tar:
        if not member.isfile() or member.size > LARGEST_DOCUMENT:
            continue
        file = tar.extractfile(member)
        content = file.read() if file is not None else b""
        if content[:1] in {b"{", b"["}:
            found[_normal(member.name)] = content
    return found


def _normal(name: str) -> str:
    return name.removeprefix("./")


def _digests(index: Mapping[str, Any]) -> dict[str, str]:
    """Manifest digests by full image name, from an OCI index."""
    return {
        full_name(annotations[IMAGE_NAME_ANNOTATION]): str(entry["digest"])
        for entry in index.get("manifests", ())
        if IMAGE_NAME_ANNOTATION in (annotations := entry.get("annotations") or {})
    }


def _image(configuration: bytes, names: list[str], digests: Mapping[str, str]) -> Image:
    document = json.loads(configuration)
    return Image(
        id=f"sha256:{sha256(configuration).hexdigest()}",
        created=str(document.get("created", "")),
        layers=tuple(document["rootfs"]["diff_ids"]),
        settings=document.get("config") or {},
        names=tuple(names),
        digest=next((digests[full] for name in names if (full := full_name(name)) in digests), ""),
    )


def _meaning(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a container takes over; one side leaves out what is empty, the other writes null."""
    return {key: settings[key] for key in SETTINGS if settings.get(key)}


def _reason(path: Path, error: tarfile.TarError) -> str:
    with path.open("rb") as file:
        if file.read(4) == ZSTD_MAGIC:
            return (
                "it is compressed with zstd. Use gzip, or leave it uncompressed; it is compressed on its way."
            )
    return str(error)
