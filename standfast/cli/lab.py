"""``standfast lab``: throwaway real servers on this machine."""

from __future__ import annotations

import json
import os
import shutil
import sys

import click

from standfast.errors import StandfastError, UsageError
from standfast.lab import drivers
from standfast.lab.drivers import DRIVERS, Driver, Server
from standfast.lab.image import RELEASES

EXIT_CODES = "Exit codes: 0 done; 1 failed; 3 the command line is wrong; 130 interrupted."


def report(line: str) -> None:
    """Progress goes to stderr."""
    click.echo(line, err=True)


def become_root() -> None:
    """
    Start this command again with sudo, when it is not root that called it.

    Raises:
        StandfastError: there is no sudo.
    """
    if os.geteuid() == 0:
        return
    if sys.platform != "linux":
        return  # the library has the better message
    if shutil.which("sudo") is None:
        raise StandfastError("lab: this needs root, and there is no sudo here; run it as root")
    kept = [
        f"{name}={os.environ[name]}"
        for name in ("STANDFAST_LAB_DIR", "STANDFAST_CACHE_DIR", "PYTHONPATH")
        if name in os.environ
    ]
    again = [sys.executable, "-m", "standfast.cli.main", *sys.argv[1:]]
    os.execvp("sudo", ["sudo", "env", *kept, *again])  # noqa: S606 (no shell is wanted)


def as_data(server: Server, driver: str) -> dict[str, object]:
    """What --json shows of a server."""
    return {
        "name": server.name,
        "driver": driver,
        "release": server.release,
        "state": server.state,
        "address": server.address,
        "address6": server.address6,
        "ports": server.ports,
        "ssh_config": str(server.ssh_config),
    }


def place(server: Server) -> str:
    """Where a server is: its addresses, or the ports of this machine that lead to it."""
    if server.ports:
        return "  ".join(f"{server.address}:{outside} → {inside}" for inside, outside in server.ports.items())
    return f"{server.address}  {server.address6}"


def of(name: str) -> Driver:
    """The driver of a server that is there."""
    return DRIVERS[drivers.driver_of(name)]


@click.group(epilog=EXIT_CODES)
def lab() -> None:
    """Throwaway real servers on this machine: Debian, with sshd, systemd, iptables and Docker's needs.

    Reached as a rented server is: by key, as an account with sudo; root login is off.
    Needs Linux, root (sudo is called for you) and systemd-nspawn, or Vagrant and qemu for a VM.

    \b
    Examples:
      standfast lab up web-1                        a Debian 13 server
      standfast lab ssh web-1 -- sudo apt update    a command on it
      standfast lab power-cut web-1                 pull the plug
      standfast lab up vm-1 --driver vagrant        a VM, with a kernel of its own
      standfast lab destroy --all                   as if nothing had been
    """


@lab.command(epilog=EXIT_CODES)
@click.argument("name")
@click.option("--release", type=click.Choice(list(RELEASES)), default="trixie", show_default=True)
@click.option(
    "--driver",
    type=click.Choice(list(DRIVERS)),
    default=next(iter(DRIVERS)),
    show_default=True,
    help="nspawn: a container that boots in seconds; vagrant: a VM.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the server as JSON.")
def up(name: str, release: str, driver: str, as_json: bool) -> None:
    """Make a server, or switch it on; ends when it answers by SSH.

    \b
    Examples:
      standfast lab up web-1
      standfast lab up old-1 --release bookworm
      standfast lab up vm-1 --driver vagrant
    """
    become_root()
    server = drivers.up(name, driver, release, report)
    if as_json:
        click.echo(json.dumps(as_data(server, driver), indent=2))
    else:
        click.echo(f"{server.name}  {place(server)}")
        report(f"ssh -F {server.ssh_config} {server.name}")


@lab.command("list", epilog=EXIT_CODES)
@click.option("--json", "as_json", is_flag=True, help="Print the servers as JSON.")
def list_(as_json: bool) -> None:
    """List the servers, with addresses and state (running, off, incomplete).

    \b
    Example:
      standfast lab list --json
    """
    become_root()
    found = drivers.servers()
    if as_json:
        click.echo(json.dumps([as_data(server, driver) for driver, server in found], indent=2))
        return
    for driver, server in found:
        click.echo(f"{server.name:16} {driver:8} {server.release:9} {server.state:11} {place(server)}")
    if not found:
        report("no server; `standfast lab up NAME` makes one")


@lab.command(
    epilog="Exit codes: that of the command on the server; 255 no connection; 1 no such server.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(name: str, command: tuple[str, ...]) -> None:
    """Log in (as `ops`, on a VM as `vagrant`), or run a command there.

    \b
    Examples:
      standfast lab ssh web-1
      standfast lab ssh web-1 -- sudo journalctl -n 20
    """
    server = of(name).get(name)
    if not os.access(server.key, os.R_OK):
        become_root()
    words = command[1:] if command[:1] == ("--",) else command
    argv = ["ssh", "-F", str(server.ssh_config), name]
    sys.stdout.flush()
    os.execvp("ssh", [*argv, *(("--", *words) if words else ())])  # noqa: S606 (no shell is wanted)


@lab.command(epilog=EXIT_CODES)
@click.argument("name")
def reboot(name: str) -> None:
    """Reboot in order, and wait until the server answers again.

    \b
    Example:
      standfast lab reboot web-1
    """
    become_root()
    of(name).reboot(name, report)


@lab.command("power-cut", epilog=EXIT_CODES)
@click.argument("name")
def power_cut(name: str) -> None:
    """Pull the plug: everything on the server ends at once; its disk stays.

    \b
    Example:
      standfast lab power-cut web-1 && standfast lab power-on web-1
    """
    become_root()
    of(name).power_cut(name)


@lab.command("power-on", epilog=EXIT_CODES)
@click.argument("name")
def power_on(name: str) -> None:
    """Switch a server on; ends when it answers by SSH.

    \b
    Example:
      standfast lab power-on web-1
    """
    become_root()
    of(name).power_on(name, report)


@lab.command(epilog=EXIT_CODES)
@click.argument("name")
@click.argument("label")
def snapshot(name: str, label: str) -> None:
    """Keep a server as it is now; one of the same label is replaced. A VM's memory is kept too.

    \b
    Example:
      standfast lab snapshot web-1 before-the-test
    """
    become_root()
    of(name).snapshot(name, label, report)


@lab.command(epilog=EXIT_CODES)
@click.argument("name")
@click.argument("label")
def restore(name: str, label: str) -> None:
    """Take a server back to a snapshot; what happened on it since is gone.

    \b
    Example:
      standfast lab restore web-1 before-the-test
    """
    become_root()
    of(name).restore(name, label, report)


@lab.command(epilog=EXIT_CODES)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Every server of the lab; asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def destroy(names: tuple[str, ...], every: bool, yes: bool) -> None:
    """Remove servers with their disks; nothing of them is left on this machine.

    \b
    Examples:
      standfast lab destroy web-1 web-2
      standfast lab destroy --all
    """
    if every == bool(names):
        raise UsageError("lab destroy: name the servers to remove, or say --all")
    become_root()
    if every:
        # A lab may be shared: what stands here can be somebody else's work.
        names = tuple(name for driver in DRIVERS.values() for name in driver.names())
        if names and not yes:
            click.confirm(f"Remove {', '.join(names)} with their disks?", abort=True, err=True)
        if not names:
            for driver in DRIVERS.values():
                driver.clear(report)
    for name in names:
        of(name).destroy(name, report)
