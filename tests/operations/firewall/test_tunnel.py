"""Who is connected through a VPN that ends on the server: the trial passes, so the plan has to look."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from standfast.facts.ssh import CurrentSession, Tunnel
from standfast.operations.attention import collecting
from tests.operations import cases

# As iproute2 prints them, the first one for an address of each kind of device.
ROUTE = r"10.8.0.2 dev {} src 10.8.0.1 uid 0 \    cache "
LINK = r"5: {}: <POINTOPOINT,NOARP,UP,LOWER_UP> mtu 1420 qdisc noqueue state UNKNOWN mode DEFAULT \    {}"
WIREGUARD = (
    r"link/none  promiscuity 0 minmtu 0 maxmtu 2147483552 \    wireguard addrgenmode none numtxqueues 1"
)
TUN = (
    r"link/none  promiscuity 0 minmtu 68 \    tun type tun pi off vnet_hdr off persist on addrgenmode random"
)
ETHERNET = r"link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff promiscuity 0 addrgenmode eui64"

IP = """#!/bin/sh
case $* in
  '-o route get 10.8.0.2') cat {0}/route ;;
  '-d -o link show dev '*) cat {0}/link ;;
  *) exit 255 ;;
esac
"""
WG = """#!/bin/sh
case $* in
  'show wg0 listen-port') echo 51820 ;;
  'show wg0 persistent-keepalive') cat {0}/awake ;;
  *) echo 'Unable to access interface: Protocol not supported' >&2; exit 1 ;;
esac
"""


def program(folder: Path, name: str, text: str) -> None:
    """Put a program in front of the server's own."""
    (folder / name).write_text(text.format(folder))
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("device", "link", "awake", "expected"),
    [
        ("wg0", WIREGUARD, "a2V5=\toff\n", Tunnel("wg0", 51820)),
        ("wg0", WIREGUARD, "a2V5=\toff\nb2V5=\t25\n", Tunnel("wg0", None)),
        ("wg1", WIREGUARD, "", Tunnel("wg1", None)),
        ("tun0", TUN, "", Tunnel("tun0", None)),
        ("wg0", TUN, "a2V5=\toff\n", Tunnel("wg0", 51820)),
        ("eth0", ETHERNET, "", None),
        ("wg0", "odd", "", None),
    ],
)
def test_what_the_server_tells(
    device: str, link: str, awake: str, expected: Tunnel | None, tmp_path: Path
) -> None:
    program(tmp_path, "ip", IP)
    program(tmp_path, "wg", WG)
    (tmp_path / "route").write_text(ROUTE.format(device))
    (tmp_path / "link").write_text(LINK.format(device, link))
    (tmp_path / "awake").write_text(awake)
    assert tunnel(tmp_path) == expected


@pytest.mark.parametrize(
    "text", ["#!/bin/sh\necho 'RTNETLINK answers: Network is unreachable' >&2; exit 2", ""]
)
def test_a_server_that_does_not_tell(text: str, tmp_path: Path) -> None:
    program(tmp_path, "ip", text)
    assert tunnel(tmp_path) is None


def test_a_server_without_wg(tmp_path: Path) -> None:
    program(tmp_path, "ip", IP)
    program(tmp_path, "wg", "#!/bin/sh\nexit 127\n")
    (tmp_path / "route").write_text(ROUTE.format("wg0"))
    (tmp_path / "link").write_text(LINK.format("wg0", WIREGUARD))
    assert tunnel(tmp_path) == Tunnel("wg0", None)


def tunnel(programs: Path) -> Tunnel | None:
    """What the fact's command finds, for a connection from 10.8.0.2."""
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SSH_CONNECTION": "10.8.0.2 50000 10.8.0.1 22",
    }
    done = subprocess.run(
        ["sh", "-c", CurrentSession().command().get_raw_value()],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    session = CurrentSession().process(done.stdout.splitlines())
    assert (str(session.client), session.port) == ("10.8.0.2", 22)
    return session.tunnel


def outcome(tunnel: str, **arguments: object) -> tuple[cases.Outcome, list[str]]:
    """What is planned for a server whose rules have UDP 8000 to 8010 open, and what is to be looked at."""
    case = cases.load(Path(__file__).parent / "iptables-not-installed.yml")
    session = case["facts"][0]
    session["output"] = session["output"].replace("standfast-status", f"{tunnel}\nstandfast-status")
    case["arguments"] |= arguments
    with collecting() as said:
        return cases.run(case), list(said)


def test_its_port_is_closed() -> None:
    found, said = outcome("standfast-tunnel wg0 51820")
    assert found.refused == (
        "firewall: allow: expected an opening for UDP port 51820, found none, and the tunnel wg0 comes in there, "
        "through which standfast is connected. It stays open for a while, during the trial too, and then nobody "
        "gets in. Add `{port: 51820, protocol: [udp]}`, or say `--i-am-elsewhere` when you get in without it as "
        "well. Nothing was changed."
    )
    assert not said


@pytest.mark.parametrize("port", [8000, 8005, 8010])
def test_its_port_is_open(port: int) -> None:
    found, said = outcome(f"standfast-tunnel wg0 {port}")
    assert (found.refused, len(found.changes), said) == ("", 4, [])


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ("-A STANDFAST-INPUT -p udp -m multiport --dports 53,51000:52000 -j ACCEPT", False),
        ("-A STANDFAST-INPUT -p udp -m udp --dport 51820 -j DROP", True),
        ("-A STANDFAST-INPUT -p tcp -m tcp --dport 51820 -j ACCEPT", True),
        ("-A STANDFAST-INPUT -p udp -m multiport --dports , -j ACCEPT", True),
    ],
)
def test_rules_of_an_own_template(rule: str, refused: bool) -> None:
    case = cases.load(Path(__file__).parent / "iptables-not-installed.yml")
    text = case["arguments"]["ipv4"].replace(
        "-A STANDFAST-INPUT -j DROP", f"{rule}\n-A STANDFAST-INPUT -j DROP"
    )
    found, _ = outcome("standfast-tunnel wg0 51820", ipv4=text)
    assert bool(found.refused) == refused


def test_it_is_meant() -> None:
    found, _ = outcome("standfast-tunnel wg0 51820", elsewhere=True)
    assert (found.refused, len(found.changes)) == ("", 4)


def test_its_port_is_not_known() -> None:
    found, (said,) = outcome("standfast-tunnel tun0 ")
    assert found.refused == ""
    assert said.startswith("you are connected through tun0, a tunnel that ends on this server")
