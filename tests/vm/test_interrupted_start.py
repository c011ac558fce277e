"""A start that is interrupted or killed: nothing stays, or `destroy` takes it away."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from standfast.lab import processes
from standfast.lab.drivers import Driver
from tests.server.conftest import LAB, STANDFAST

SECONDS = 300


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left(driver: Driver, driver_name: str, how: signal.Signals) -> None:
    folder = LAB / ("vms" if driver_name == "vagrant" else "servers") / "half-1"
    start = subprocess.Popen(
        [*STANDFAST, "lab", "up", "half-1", "--driver", driver_name],
        env={**os.environ, "STANDFAST_LAB_DIR": str(LAB)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert processes.wait_until(lambda: processes.leader(folder) is not None, SECONDS)
        start.send_signal(how)
        start.wait(SECONDS)
        if how == signal.SIGKILL:
            assert driver.names() == ["half-1"]
            driver.destroy("half-1")
        assert driver.names() == []
        assert processes.of(folder) == set()
        assert not folder.exists()
    finally:
        start.kill()
