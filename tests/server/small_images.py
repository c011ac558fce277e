"""Image archives of two megabytes: busybox and a file, written as `docker save` writes them."""

from __future__ import annotations

import io
import json
import tarfile
from base64 import b64decode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from standfast.lab.nspawn import Server

APPLETS = ("sh", "sleep", "cat", "echo", "httpd", "ls", "touch", "true", "test", "env", "rm")
FETCH = """set -e; cd /tmp
if ! [ -e bb ]; then
  sudo apt-get -qq update >&2; apt-get -qq download busybox-static >&2; dpkg-deb -x busybox-static*.deb bb
fi
base64 -w0 bb/*bin/busybox || base64 -w0 bb/usr/bin/busybox"""


def busybox(server: Server) -> bytes:
    """A static busybox, from the server's own package sources."""
    return b64decode(server.run(FETCH).stdout)


def write(
    path: Path,
    name: str,
    program: bytes,
    *,
    marker: str = "1",
    command: Sequence[str] = ("sleep", "infinity"),
    volumes: Sequence[str] = (),
) -> str:
    """
    Write an archive with one image; returns the image's id.

    + marker: content of /etc/marker; another one makes another image
    """
    layer = _tar({"bin/busybox": program, "etc/marker": marker.encode()}, links=APPLETS)
    configuration = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2024-01-01T00:00:00Z",
            "config": {
                "Env": ["PATH=/bin"],
                "Cmd": list(command),
                **({"Volumes": {volume: {} for volume in volumes}} if volumes else {}),
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
            "history": [{"created": "2024-01-01T00:00:00Z"}],
        }
    )
    identity = sha256(configuration).hexdigest()
    manifest = [{"Config": f"{identity}.json", "RepoTags": [name], "Layers": ["1/layer.tar"]}]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        _tar({f"{identity}.json": configuration, "1/layer.tar": layer, "manifest.json": _json(manifest)})
    )
    return f"sha256:{identity}"


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def _tar(files: dict[str, bytes], links: Sequence[str] = ()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in links:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        if links:
            folder = tarfile.TarInfo("tmp")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
