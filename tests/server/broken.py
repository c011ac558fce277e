"""What somebody may break on a full server by hand, and exactly which assertions of `verify` fall by it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.server.drifts import listens


@dataclass(frozen=True)
class Broken:
    """One thing done by hand."""

    by: str
    """Shell code, as root."""
    fails: tuple[str, ...]
    """Assertions, with what stands behind the server's name in their brackets: ``test_unit_is_at_work caddy``."""
    undo: str = ""
    """Where apply does not repair it."""


BY_HAND: tuple[Broken, ...] = (
    # Whatever is done to rules after this one is taken back by the server itself, at our word.
    Broken(
        "standfast-host firewall arm --token by-hand --seconds 600 --what test",
        ("test_nothing_is_on_trial",),
        "standfast-host firewall revert --token by-hand",
    ),
    Broken("hostname somebody", ("test_hostname",), "hostname -F /etc/hostname"),
    Broken(
        "cp /etc/hosts /root; sed -i /{server}/d /etc/hosts",
        ("test_own_name_resolves",),
        "cp /root/hosts /etc/hosts",
    ),
    Broken("ln -sf ../usr/share/zoneinfo/Europe/Berlin /etc/localtime", ("test_timezone",)),
    Broken("dpkg --remove --force-depends htop", ("test_package_is_installed htop",)),
    Broken(
        "systemctl disable -q --now cron",
        ("test_unit_is_at_work cron.service", "test_unit_starts_at_boot cron.service"),
        "systemctl enable -q --now cron",
    ),
    Broken(
        "systemctl disable -q standfast-watchdog", ("test_unit_starts_at_boot standfast-watchdog.service",)
    ),
    Broken(
        "systemd-run -q --unit=broken false; until systemctl -q is-failed broken; do sleep 0.1; done",
        ("test_no_unit_has_failed",),
        "systemctl reset-failed broken",
    ),
    Broken(
        "echo 'APT::Periodic::Unattended-Upgrade \"0\";' > /etc/apt/apt.conf.d/99by-hand",
        ("test_security_updates_are_installed_daily",),
        "rm /etc/apt/apt.conf.d/99by-hand",
    ),
    Broken(
        "echo 'Unattended-Upgrade::Origins-Pattern {{ \"origin=*\"; }};' > /etc/apt/apt.conf.d/98by-hand",
        ("test_only_security_updates_are_installed",),
        "rm /etc/apt/apt.conf.d/98by-hand",
    ),
    Broken(
        "echo 'Unattended-Upgrade::Automatic-Reboot \"true\";' > /etc/apt/apt.conf.d/97by-hand",
        ("test_reboots_only_when_declared",),
        "rm /etc/apt/apt.conf.d/97by-hand",
    ),
    Broken("usermod -s /bin/sh hanako", ("test_user_exists hanako",)),
    Broken("gpasswd -d hanako adm", ("test_user_is_in_its_groups hanako",)),
    Broken(
        "echo '# nothing' > /etc/sudoers.d/standfast-hanako; chmod 444 /etc/sudoers.d/standfast-hanako",
        (
            "test_user_may_use_sudo_as_declared hanako",
            "test_only_root_may_read /etc/sudoers.d/standfast-hanako",
        ),
    ),
    Broken(
        "cat ~ops/.ssh/authorized_keys >> ~hanako/.ssh/authorized_keys",
        ("test_user_has_the_declared_keys_and_no_other hanako",),
    ),
    Broken("chmod 666 ~hanako/.ssh/authorized_keys", ("test_only_the_user_may_write_its_keys hanako",)),
    Broken("chmod 644 /srv/apps/toybox/.env", ("test_only_root_may_read /srv/apps/toybox/.env",)),
    Broken(
        "chmod 640 /etc/standfast/backup-password; chgrp adm /etc/standfast/backup-password",
        ("test_only_root_may_read /etc/standfast/backup-password",),
    ),
    Broken("chmod 664 /etc/docker/daemon.json", ("test_only_root_may_write /etc/docker/daemon.json",)),
    Broken(
        "chown ops /srv/apps/toybox/compose.yml", ("test_only_root_may_write /srv/apps/toybox/compose.yml",)
    ),
    # sshd reads this file first; none of it is in force before a reload, which nobody does.
    Broken(
        "printf '%s\\n' 'PermitRootLogin yes' 'PasswordAuthentication yes' 'KbdInteractiveAuthentication yes' "
        "'PermitEmptyPasswords yes' 'PubkeyAuthentication no' 'X11Forwarding yes' 'MaxAuthTries 6' "
        "> /etc/ssh/sshd_config.d/00-by-hand.conf",
        (
            *("test_root_login", "test_password_login", "test_password_login_by_another_door"),
            *("test_no_login_without_a_password", "test_keys_are_accepted"),
            *("test_nothing_draws_on_our_screens", "test_settings"),
        ),
        "rm /etc/ssh/sshd_config.d/00-by-hand.conf",
    ),
    Broken("systemctl disable -q ssh", ("test_ssh_starts_at_boot",), "systemctl enable -q ssh"),
    Broken(
        "iptables -D STANDFAST-INPUT -p tcp --dport 80 -j ACCEPT",
        ("test_opening_is_in_force 80/tcp-ipv4", "test_open_ports_answer"),
    ),
    Broken(
        "ip6tables -D STANDFAST-DOCKER -p udp -m conntrack --ctstate DNAT --ctorigdstport 443 "
        "--ctdir ORIGINAL -j RETURN",
        ("test_opening_is_in_force 443/udp-ipv6",),
    ),
    Broken(
        "iptables -I INPUT -p tcp --dport 5432 -j ACCEPT",
        ("test_our_rules_come_first ipv4", "test_guarded_port_is_silent 5432"),
    ),
    Broken(
        "iptables -I STANDFAST-INPUT -p tcp --dport 7000 -j ACCEPT; "
        f"systemd-run -q --unit=by-hand python3 -m http.server 7000; {listens(7000)}",
        ("test_nothing_else_is_let_in ipv4", "test_nothing_else_that_listens_is_let_in"),
        "systemctl stop by-hand",
    ),
    Broken("ip6tables -D STANDFAST-INPUT -j DROP", ("test_what_is_not_let_in_is_dropped ipv6",)),
    Broken(
        "ip6tables -I STANDFAST-INPUT -s 2001:db8::/64 -p tcp --dport 22 -m comment --comment ssh -j ACCEPT",
        ("test_ssh_is_let_in ipv6",),
    ),
    Broken(
        "sed -i 's/--dport 443/--dport https-and-more/' /etc/standfast/firewall/ipv4.rules",
        ("test_rules_can_be_loaded_at_the_next_boot",),
    ),
    Broken(
        "docker run -d --name extra -v /data --entrypoint sleep toybox/postgres:17 infinity",
        ("test_no_container_keeps_data_in_an_anonymous_volume",),
        "docker rm -f -v extra",
    ),
    Broken(
        "sed -i 's/10m/10g/' /etc/docker/daemon.json",
        ("test_logs_rotate",),
    ),
    Broken(
        "docker update --restart no toybox-web-1",
        ("test_service_comes_back_as_declared toybox/web",),
        "docker update --restart unless-stopped toybox-web-1",
    ),
    Broken(
        "docker tag toybox/web:1 toybox/kept; docker tag toybox/postgres:17 toybox/web:1",
        ("test_service_runs_the_declared_image toybox/web",),
        "docker tag toybox/kept toybox/web:1; docker rmi toybox/kept",
    ),
    Broken(
        "printf 'http://127.0.0.1:8099 {{\\n respond hello\\n}}\\n' >> /etc/caddy/Caddyfile",
        ("test_caddyfile_is_in_force",),
    ),
    Broken("sed -i '/ databases /d' /etc/cron.d/standfast", ("test_cron_knows_the_times",)),
    Broken(
        "mkdir -p /var/lib/standfast/backups; : > /var/lib/standfast/backups/held.json; "
        "while standfast-host backup status --json | grep -q '\"running\": {{'; do sleep 0.2; done",
        ("test_no_writer_was_left_standing",),
        "rm /var/lib/standfast/backups/held.json",
    ),
)

# What `chattr +i` does, which a small system lacks.
NOTHING_NEW_IN = """python3 -c 'import array, fcntl, os
folder, flags = os.open("{}", os.O_RDONLY), array.array("i", [0])
fcntl.ioctl(folder, 0x80086601, flags)
flags[0] |= 0x10
fcntl.ioctl(folder, 0x40086602, flags)'"""
# After these the server is not good for anything else.
OUTAGE: tuple[Broken, ...] = (
    Broken(NOTHING_NEW_IN.format("/var/lib"), ("test_root_file_system_can_be_written",)),
    Broken(
        "chmod -x /usr/local/sbin/standfast-host",
        (
            *("test_our_program_runs", "test_nothing_is_on_trial", "test_the_rules_were_confirmed"),
            *("test_the_program_knows_every_declared_copy", "test_no_writer_was_left_standing"),
        ),
    ),
    Broken("chmod -x /usr/bin/restic", ("test_restic_runs",)),
    Broken(
        "docker stop toybox-web-1",
        (
            *("test_service_runs toybox/web", "test_service_is_healthy toybox/web"),
            *("test_published_ports_answer toybox/web", "test_application_answers toybox"),
            *("test_applications_behind_it_answer", "test_pages_have_link_previews"),
            "test_database_has_the_tables_of_the_application",
        ),
    ),
    # A container that somebody started by hand in the place of the database, on nobody's data.
    Broken(
        "docker rm -f toybox-db-1; docker run -d --name toybox-db-1 --restart unless-stopped -p 5432:5432 "
        "--label com.docker.compose.project=toybox --label com.docker.compose.service=db "
        "--entrypoint sleep toybox/postgres:17 infinity",
        (
            *("test_service_is_healthy toybox/db", "test_service_mounts_its_volumes toybox/db"),
            "test_service_publishes_what_is_declared toybox/db",
            *("test_no_container_keeps_data_in_an_anonymous_volume", "test_database_is_not_published"),
        ),
    ),
    Broken(
        "docker run -d --label com.docker.compose.project=toybox --label com.docker.compose.service=web "
        "--entrypoint sleep toybox/web:1 infinity",
        (
            *(
                "test_all_services_have_their_containers toybox",
                "test_service_comes_back_as_declared toybox/web",
            ),
            *(
                "test_service_mounts_its_volumes toybox/web",
                "test_service_publishes_what_is_declared toybox/web",
            ),
        ),
    ),
    Broken(
        "sed -i s/true/false/ /etc/docker/daemon.json; systemctl reload docker; "
        "until docker info -f '{{{{.LiveRestoreEnabled}}}}' | grep -q false; do sleep 0.1; done",
        ("test_containers_keep_running_when_docker_restarts",),
    ),
    Broken(
        f"cp /usr/bin/python3 /root/dockerd; systemd-run -q /root/dockerd -m http.server 2375; {listens(2375)}",
        ("test_there_is_exactly_one_daemon", "test_the_daemon_listens_on_no_port"),
    ),
    Broken(
        "systemctl stop caddy; echo 'toybox.lab {{' > /etc/caddy/Caddyfile",
        (
            *("test_unit_is_at_work caddy.service", "test_caddyfile_is_good", "test_caddyfile_is_in_force"),
            *("test_caddy_listens_where_sites_are", "test_site_answers toybox.lab"),
            "test_site_shows_the_right_certificate toybox.lab",
        ),
    ),
    Broken(
        "systemctl stop systemd-journald.service 'systemd-journald*.socket'; mv /var/log/journal /root",
        ("test_journal_takes_what_is_said", "test_unit_is_at_work systemd-journald.service"),
    ),
)
# What is only declared, and not on the server.
NOT_THERE = ("test_volume_exists not_there", "test_volume_is_on_this_server not_there")
DECLARED = """\
    ssh_server: {{settings: {{MaxAuthTries: "4"}}}}
    users: {{hanako: {{keys: ["{key}"], sudo: true, groups: [adm]}}}}
"""
"""Added to the example, so that there is something of every kind."""
NOT_TRIED = {
    "test_clock_is_near_ours": "a lab server has this machine's clock",
    "test_data_are_in_the_usual_folder": "moving them takes a daemon that has no container",
}
"""Assertions that nothing here makes fall, and why."""
