"""What the preflight's findings mean; its lines are as a Debian 13 server printed them."""

from __future__ import annotations

import time
from base64 import b64encode

import pytest

from standfast.engine.preflight import judge


def b64(text: str) -> str:
    """Text as ``preflight.sh`` prints it."""
    return b64encode(text.encode()).decode()


def file_system(
    free: int, blocks: int, inodes_free: int = 16207192, inodes: int = 16777216, error: str = "-"
) -> str:
    """A line about a file system with blocks of 4 KiB."""
    return f"file-system {b64('/srv/data')} {b64('/srv')} {error} {free} {blocks} 4096 {inodes_free} {inodes}"


def test_a_sound_server_has_no_faults() -> None:
    lines = [
        "file-system L2V0Yw== Lw== - 19021470 66053021 4096 16207192 16777216",
        "file-system L3Zhci9saWIvZG9ja2Vy L3Zhci9saWIvZG9ja2Vy - 1024 1024 4096 0 0",
        f"dockerd 812 {b64('/usr/sbin/dockerd -H fd:// ')}",
        f"apt-lock 991 240 {b64('/usr/bin/python3 /usr/bin/unattended-upgrade ')}",
        f"clock {time.time() - 100:.6f}",
    ]
    found = judge(lines)
    assert (found.faults, found.notes) == ([], [])


def test_all_faults_are_named_at_once() -> None:
    error = b64(
        "mktemp: failed to create file via template ‘/srv/data/.standfast-probe.XXXXXXXX’: Read-only file system"
    )
    found = judge(
        [
            file_system(100000, 200000, error=error),
            file_system(0, 66053021),
            f"dockerd 812 {b64('/usr/sbin/dockerd -H fd:// ')}",
            f"dockerd 990 {b64('/snap/docker/2963/bin/dockerd ')}",
            f"apt-lock 991 1500 {b64('apt-get install nginx ')}",
            f"clock {time.time() + 9 * 3600:.6f}",
        ]
    )
    assert [fault.split(". ")[0] for fault in found.faults] == [
        "/srv: /srv/data cannot be written: Read-only file system",
        "/srv: 0 kB free of 270.6 GB, at least 500.0 MB needed",
        "apt's lock has been held for 25 minutes by pid 991 `apt-get install nginx`",
        "its clock is 9 hours ahead of this machine's",
        "2 Docker daemons run: pid 812 `/usr/sbin/dockerd -H fd://`, pid 990 `/snap/docker/2963/bin/dockerd`",
    ]


@pytest.mark.parametrize(
    ("free", "blocks", "good"),
    [
        (122_071, 66053021, True),  # 500 MB of a large disk
        (122_070, 66053021, False),
        (513, 10240, True),  # 5 % of a small volume
        (511, 10240, False),
    ],
)
def test_space_is_enough_when_it_is_half_a_gigabyte_or_a_share(free: int, blocks: int, good: bool) -> None:
    assert (judge([file_system(free, blocks)]).faults == []) is good


@pytest.mark.parametrize(
    ("free", "total", "good"), [(5000, 10**6, True), (4999, 10**6, False), (6, 100, True), (4, 100, False)]
)
def test_inodes_are_enough_when_they_are_five_thousand_or_a_share(free: int, total: int, good: bool) -> None:
    assert (judge([file_system(10**6, 10**6, free, total)]).faults == []) is good


@pytest.mark.parametrize(
    ("ahead", "good"), [(0, True), (110, True), (-110, True), (130, False), (-130, False)]
)
def test_the_clock_may_differ_by_two_minutes(ahead: float, good: bool) -> None:
    assert (judge([f"clock {time.time() + ahead:.6f}"]).faults == []) is good


def test_an_interrupted_installation_is_no_fault() -> None:
    found = judge(["dpkg-interrupted"])
    assert found.faults == []
    assert "apply finishes it" in found.notes[0]
