"""What may reach the server: SSH, the declared openings, and nothing else."""

from pyinfra import host
from pyinfra.api.deploy import deploy as subject

from standfast.declaration import declared, template
from standfast.facts.ssh import SshPorts
from standfast.operations import apt, confirmed, files, firewall, other_firewalls, systemd
from standfast.operations.change import Change
from standfast.operations.files import Activation
from standfast.rendering import Rendered

UNIT = "/etc/systemd/system/standfast-firewall.service"
WATCHDOG = "/etc/systemd/system/standfast-watchdog.service"
READ_UNITS = Activation(Change("reload", "systemd", "reads the new unit"), "systemctl daemon-reload")


@subject("firewall")
def deploy() -> None:
    """Declare the rules, and that they are there before the network is."""
    wanted = declared().host.firewall
    ports = host.get_fact(SshPorts)

    def rules(family: firewall.Family) -> Rendered:
        return template(
            "firewall/rules.j2",
            family=family,
            ssh_ports=ports,
            ssh=firewall.ssh_openings(wanted.ssh, ports, family),
            allow=firewall.openings(wanted.allow, family),
        )

    confirmed.prepared()
    apt.packages(["iptables"])
    files.file(firewall.LOADER, template("firewall/load.sh.j2"), mode="755", validate='sh -n "$new"')
    files.file(UNIT, template("firewall/standfast-firewall.service.j2"), activate=READ_UNITS)
    firewall.ruleset(
        ipv4=rules("ipv4"),
        ipv6=rules("ipv6"),
        ssh=wanted.ssh,
        replaced=wanted.replace,
        elsewhere=declared().elsewhere,
        confirmation=firewall.confirmation(wanted),
    )
    systemd.service("standfast-firewall")
    other_firewalls.off(wanted.replace, load=f"{firewall.LOADER} load {firewall.FOLDER}")
    files.file(WATCHDOG, template("firewall/standfast-watchdog.service.j2"), activate=READ_UNITS)
    systemd.service("standfast-watchdog")
