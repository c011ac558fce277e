"""``standfast init`` from the built wheel, without this repository around."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]


def test_init_works_from_the_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    code = (
        "import standfast.cli.main as m, sys; print(m.__file__, file=sys.stderr); sys.argv[0] = 's'; m.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "init", "infra"],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(str(tmp_path / "installed"))
    for name in (".gitignore", "inventories/production.yml", "files/toybox/env.j2"):
        assert (tmp_path / "infra" / name).is_file()
