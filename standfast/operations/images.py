"""Images: from archives, sent through the connection and loaded as they arrive, or from registries."""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pyinfra import host
from pyinfra.api import StringCommand

from standfast.apps.archive import Archive, Image, full_name
from standfast.errors import StandfastError
from standfast.facts.docker import HERE, Contents
from standfast.operations.attention import attention
from standfast.operations.change import Change, Step
from standfast.operations.named import operation

CHUNK = 256 * 1024  # bytes
SAMPLES = 8
DENSE = 0.9
COMPRESSION_LEVEL = 1  # as fast as a good line; higher levels save a tenth at a third of the speed
MEGABYTE = 1_000_000

PATH = "\0"
"""Where a message has to name a path that only the server knows; no text of a user has this character."""


@dataclass(frozen=True, slots=True)
class Use:
    """A service that needs an image."""

    who: str
    """``APP/SERVICE``."""
    mounted: tuple[str, ...]
    """Paths in the container where it mounts something."""
    unmounted: str
    """What is wrong when the image declares a volume anywhere else, at `PATH`."""


class ArchiveStream(list[str]):
    """
    An archive as standard input of a remote command: read and compressed while it is sent.

    pyinfra writes lists of text, line by line. This list is produced while it is iterated over, and its
    "lines" are bytes that pass through unchanged; so it works with every connector of pyinfra.
    """

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self.archive = archive
        self.sent = 0
        """Bytes of the file that have been read and sent."""

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        for chunk in self.chunks():
            yield _Bytes(chunk)  # type: ignore[misc] # stands in for a line of text, see _Bytes

    def chunks(self) -> Iterator[bytes]:
        """
        The archive, compressed unless it is already.

        Raises:
            StandfastError: the file is not the one that was planned with.
        """
        path, self.sent = self.archive.path, 0
        try:
            state = path.stat()
            if (state.st_size, state.st_mtime_ns) != (self.archive.size, self.archive.modified):
                raise StandfastError(
                    f"{path}: the image archive has changed since the plan; run apply again."
                )
            with path.open("rb") as file:
                dense = _dense(file, state.st_size)
                packer = zlib.compressobj(COMPRESSION_LEVEL, wbits=31)
                while chunk := file.read(CHUNK):
                    self.sent += len(chunk)
                    yield chunk if dense else packer.compress(chunk)
                if not dense:
                    yield packer.flush()
        except OSError as error:
            raise StandfastError(f"{path}: the image archive cannot be read: {error}") from None


def _dense(file: BinaryIO, size: int) -> bool:
    """Whether compressing is in vain, by samples: the archive, or the layers in it, may be compressed."""
    samples = []
    for part in range(SAMPLES):
        file.seek(size * part // SAMPLES)
        samples.append(file.read(CHUNK // 4))
    file.seek(0)
    plain = b"".join(samples)
    return len(zlib.compress(plain, COMPRESSION_LEVEL)) > DENSE * len(plain)


class _Bytes:
    """Bytes where pyinfra expects a line of text: it ends like one, and encodes to itself."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def endswith(self, _: str) -> bool:
        """Nothing is to be added."""
        return True

    def encode(self) -> bytes:
        """What is sent."""
        return self.content


@operation
def from_archives(archives: Mapping[str, Archive]) -> Generator[StringCommand, None, None]:
    """
    Make sure that the images under these names are those in the archives.

    An archive is sent only when an image in it differs from the server's; `docker load` takes it or, when the
    connection breaks, leaves everything as it was. The old image stays, without a name.

    + archives: archive by image name

    Raises:
        CouldNotLook: Docker is installed and does not answer.
    """
    present = host.get_fact(Contents).images
    wanted: dict[Path, list[Change]] = {}
    for name, archive in archives.items():
        image = archive.image(name)
        if image is None:
            raise StandfastError(f"{archive.path}: no image {name} in it")
        old = by_name(present, name)
        if old is None or not image.same(old):
            wanted.setdefault(archive.path, []).append(_change(name, image, old, archive))
    if not wanted:
        host.noop(f"{len(archives)} images are those of their archives")
        return
    for path, changes in wanted.items():
        inside = {name: each for name, each in archives.items() if each.path == path}
        archive = next(iter(inside.values()))
        step = Step(_load_script(archive, list(inside)), changes=changes)
        step.connector_arguments["_stdin"] = ArchiveStream(archive)
        yield step


@operation
def from_registries(names: Mapping[str, Sequence[Use]]) -> Generator[StringCommand, None, None]:
    """
    Make sure that there is an image under each of these names; one that is there is not pulled again.

    Only then is known what an image declares as a volume: the pull fails when a service mounts nothing there.

    + names: image names, and who needs them

    Raises:
        CouldNotLook: Docker is installed and does not answer.
    """
    present = host.get_fact(Contents).images
    missing = [name for name in names if by_name(present, name) is None]
    if not missing:
        host.noop(f"{len(names)} images are there")
        return
    attention(
        f"still to be pulled: {', '.join(missing)}. Where an image keeps data is seen then: if its service "
        "mounts nothing there, apply stops and leaves the application's containers as they are"
    )
    for name in missing:
        yield Step(
            _pull_script(name, names[name]),
            changes=[Change("create", f"image {name}", f"pulled, for {names[name][0].who}")],
        )


def by_name(images: tuple[Image, ...], name: str) -> Image | None:
    """The image that a server has under a name."""
    full = full_name(name)
    return next((image for image in images if full in map(full_name, image.names)), None)


def _change(name: str, image: Image, old: Image | None, archive: Archive) -> Change:
    size = f"{archive.path.name}, {max(archive.size / MEGABYTE, 0.1):.1f} MB"
    if old is None:
        return Change("create", f"image {name}", f"{image.short} from {size}")
    return Change("update", f"image {name}", f"{old.short} → {image.short} from {size}")


# What is not taken is read all the same, so that the reason arrives and not a broken pipe.
_LOAD = 'docker load --quiet > /dev/null || { code=$?; cat > /dev/null; exit "$code"; }'


def _load_script(archive: Archive, names: list[str]) -> str:
    """Shell code; afterwards every name means what was planned."""
    lines = [f"set -e; trap '' HUP PIPE; export {HERE}", _LOAD]
    for name in names:
        image = archive.image(name)
        if image is not None and not image.names:
            lines.append(f"docker tag {shlex.quote(image.id)} {shlex.quote(name)}")
        lines.append(f"docker image inspect --format '{{{{.Id}}}}' {shlex.quote(name)} > /dev/null")
    return "\n".join(lines)


_DECLARED = "{{with .Config}}{{range $path, $_ := .Volumes}}{{println $path}}{{end}}{{end}}"
_PULLED = "The image was pulled; the containers of the application are as they were."


def _pull_script(name: str, uses: Sequence[Use]) -> str:
    """Shell code; it fails when a service mounts nothing where the image turns out to keep data."""
    lines = [
        f"set -e; trap '' HUP PIPE; export {HERE}; image={shlex.quote(name)}",
        'docker pull --quiet -- "$image"',
        f"declared=$(docker image inspect --format '{_DECLARED}' \"$image\")",
        "wrong=$(printf '%s\\n' \"$declared\" | while IFS= read -r path; do",
        '  [ -n "$path" ] || continue',
        '  path=$(realpath -ms -- "$path")',
        *map(_judged, uses),
        "done)",
        f"""[ -z "$wrong" ] || {{ printf '%s\\n' "$wrong" '{_PULLED}' >&2; exit 1; }}""",
    ]
    return "\n".join(lines)


def _judged(use: Use) -> str:
    """Shell code that prints what is wrong with `$path` for a service, if anything is."""
    patterns = " | ".join(map(shlex.quote, ("", *use.mounted)))
    message = '"$path"'.join(map(shlex.quote, use.unmounted.split(PATH)))
    return f"  case $path in {patterns}) ;; *) printf '%s\\n' {message} ;; esac"
