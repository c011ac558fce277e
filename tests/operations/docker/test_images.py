"""Image archives: read without loading them, sent without unpacking them."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
from pyinfra.connectors.util import write_stdin

from standfast.apps import archive
from standfast.errors import InventoryError, StandfastError
from standfast.operations.images import ArchiveStream
from tests.server import small_images

PROGRAM = b"\x7fELF" + b"busybox" * 50_000


def test_id_and_volumes(tmp_path: Path) -> None:
    path = tmp_path / "db.tar"
    identity = small_images.write(path, "demo/db:1", PROGRAM, volumes=["/data"])
    image = archive.read(path).image("docker.io/demo/db:1")
    assert image is not None
    assert (image.id, image.volumes, image.names) == (identity, ("/data",), ("demo/db:1",))
    assert archive.read(path).image("demo/db") is None


def test_compressed_archive_says_the_same(tmp_path: Path) -> None:
    plain, packed = tmp_path / "app.tar", tmp_path / "app.tar.gz"
    small_images.write(plain, "demo/app:1", PROGRAM)
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert archive.read(packed).images == archive.read(plain).images


def test_archive_of_a_newer_docker(tmp_path: Path) -> None:
    """It has both lists; containerd's image store knows the image by the digest in the newer one."""
    configuration = json.dumps({"rootfs": {"diff_ids": ["sha256:1"]}, "config": {"Cmd": ["x"]}}).encode()
    config = f"blobs/sha256/{sha256(configuration).hexdigest()}"
    annotations = {"io.containerd.image.name": "docker.io/demo/app:1"}
    path = tmp_path / "app.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in {
            config: configuration,
            "index.json": json.dumps(
                {"manifests": [{"digest": "sha256:abc", "annotations": annotations}, {"digest": "sha256:d"}]}
            ).encode(),
            "manifest.json": json.dumps(
                [{"Config": config, "RepoTags": ["demo/app:1"], "Layers": []}]
            ).encode(),
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    image = archive.read(path).image("demo/app:1")
    assert image is not None
    assert image.same(archive.Image("sha256:abc"))
    assert not image.same(archive.Image("sha256:d"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected an archive made by `docker save`"),
        (b"nothing of the kind", "expected an archive made by `docker save`"),
        (b"\x28\xb5\x2f\xfd" + b"x" * 600, "it is compressed with zstd"),
    ],
)
def test_what_is_no_archive(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "app.tar"
    path.write_bytes(content)
    with pytest.raises(InventoryError, match=message):
        archive.read(path)
    with pytest.raises(InventoryError, match="cannot be read"):
        archive.read(tmp_path / "missing.tar")


def test_tar_without_images(tmp_path: Path) -> None:
    path = tmp_path / "app.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("etc/passwd"))
    with pytest.raises(InventoryError, match=r"it has no manifest\.json"):
        archive.read(path)


def test_it_is_compressed_on_its_way_through_pyinfra(tmp_path: Path) -> None:
    path = tmp_path / "app.tar"
    small_images.write(path, "demo/app:1", PROGRAM)
    sent = io.BytesIO()
    sent.close = lambda: None  # type: ignore[method-assign] # to look into it after pyinfra has closed it
    stream = ArchiveStream(archive.read(path))
    write_stdin(stream, sent)
    assert gzip.decompress(sent.getvalue()) == path.read_bytes()
    assert len(sent.getvalue()) < path.stat().st_size / 10
    assert stream.sent == path.stat().st_size


def test_what_is_dense_is_sent_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "app.tar"
    small_images.write(path, "demo/app:1", random.Random(1).randbytes(3_000_000))  # noqa: S311 - no secret
    assert b"".join(ArchiveStream(archive.read(path)).chunks()) == path.read_bytes()


def test_archive_that_changed_after_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "app.tar"
    small_images.write(path, "demo/app:1", PROGRAM)
    stream = ArchiveStream(archive.read(path))
    small_images.write(path, "demo/app:1", PROGRAM, marker="other")
    with pytest.raises(StandfastError, match="has changed since the plan"):
        list(stream)
