"""Writes images as `docker load` reads them: layers, a configuration, a manifest, in one tar file."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Layer:
    """A tar file, compressed with gzip; `digest` is the SHA-256 of what it is uncompressed."""

    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder (`content` None) of a layer, `path` without the leading slash."""

    path: str
    content: bytes | None
    mode: int
    owner: int = 0


def pack(entries: Sequence[Entry], path: Path, when: int) -> Layer:
    """Write a layer of the given files; the same files give the same bytes."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry in sorted(entries, key=lambda entry: entry.path):
            member = tarfile.TarInfo(entry.path)
            member.type = tarfile.DIRTYPE if entry.content is None else tarfile.REGTYPE
            member.mode, member.mtime = entry.mode, when
            member.uid = member.gid = entry.owner
            member.size = len(entry.content or b"")
            tar.addfile(member, io.BytesIO(entry.content or b""))
    plain.seek(0)
    return compress(plain, path)


def compress(plain: BinaryIO, path: Path) -> Layer:
    """Write a layer from an uncompressed tar, a piece at a time; on the disk before its name is."""
    digest = hashlib.sha256()
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with new.open("wb") as out:
            with gzip.GzipFile("", "wb", compresslevel=1, fileobj=out, mtime=0) as packed:
                while piece := plain.read(MIB):
                    digest.update(piece)
                    packed.write(piece)
            out.flush()
            os.fsync(out.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return Layer(path, digest.hexdigest())


def write(
    path: Path,
    tag: str,
    layers: Sequence[Layer],
    config: Mapping[str, object],
    *,
    architecture: str,
    when: str,
) -> str:
    """
    Write an image and return its id; the layers are copied, not packed again.

    + tag: what it is called after `docker load`, for example `toybox/web:1`
    + config: as in the image specification: Entrypoint, Env, …
    + when: the image's date, RFC 3339

    Raises:
        OSError: no room, no permission; there is no half-written archive under this name.
    """
    described = {
        "architecture": architecture,
        "os": "linux",
        "created": when,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]},
        "history": [{"created": when, "created_by": "examples/toybox/build-images"} for _ in layers],
    }
    content = json.dumps(described, sort_keys=True).encode()
    identity = hashlib.sha256(content).hexdigest()
    names = [f"{layer.digest}.tar" for layer in layers]
    manifest = [{"Config": f"{identity}.json", "RepoTags": [tag], "Layers": names}]
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with tarfile.open(new, "w", format=tarfile.GNU_FORMAT) as tar:
            for layer, name in zip(layers, names, strict=True):
                with layer.path.open("rb") as packed:
                    member = tarfile.TarInfo(name)
                    member.size = layer.path.stat().st_size
                    tar.addfile(member, packed)
            for name, text in (
                (f"{identity}.json", content),
                ("manifest.json", json.dumps(manifest).encode()),
            ):
                member = tarfile.TarInfo(name)
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text))
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return f"sha256:{identity}"
