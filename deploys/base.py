"""The ground that everything else stands on: name, time, packages, people, security updates."""

from pyinfra import host
from pyinfra.api.deploy import deploy as subject

from standfast.declaration import declared, template
from standfast.inventory.public_keys import key_lines
from standfast.operations import accounts, apt, files, host_program, system, systemd

PACKAGES = ("ca-certificates", "cron", "curl", "python3", "sudo", "tzdata", "unattended-upgrades")
# A file that apt cannot read would stop every later apt on the server.
READABLE_BY_APT = 'APT_CONFIG="$new" apt-config dump > /dev/null'


@subject("base")
def deploy() -> None:
    """Declare the server's name, time zone, packages, accounts, upgrades, and our program on it."""
    declaration = declared()
    wanted = declaration.host

    system.as_found()
    system.hostname(wanted.hostname or declaration.name)
    apt.packages([*PACKAGES, *wanted.packages])
    system.timezone(wanted.timezone)
    host_program.installed()

    for name, user in host.loop(wanted.users.items()):
        accounts.account(name, shell=user.shell, groups=user.groups)
        accounts.authorized_keys(name, key_lines(user.keys, declaration.root))
        accounts.sudo(name, allowed=user.sudo)

    for name in host.loop(("20auto-upgrades", "52standfast")):
        files.file(f"/etc/apt/apt.conf.d/{name}", template(f"base/{name}.j2"), validate=READABLE_BY_APT)
    for timer in host.loop(("apt-daily.timer", "apt-daily-upgrade.timer")):
        systemd.service(timer)
