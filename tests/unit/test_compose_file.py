"""A user's Compose file, read without a server: what it says, and where it is wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import pytest

from standfast.apps import admission
from standfast.apps.archive import Image, full_name
from standfast.apps.compose_file import ComposeFile, Dependency, Mount, Port, read
from standfast.apps.interpolation import Unfilled, environment, interpolate
from standfast.errors import InventoryError
from standfast.inventory.schema import AllowRule


def compose(text: str, **variables: str) -> ComposeFile:
    """Read a Compose file of the application `toybox`."""
    return read(textwrap.dedent(text), "files/compose.yml", variables, "/srv/apps/toybox")


def faults(
    text: str,
    *,
    volumes: tuple[str, ...] = (),
    allow: tuple[AllowRule, ...] = (),
    images: Mapping[str, Image] | None = None,
    archives: tuple[str, ...] = (),
) -> list[str]:
    """What speaks against a Compose file."""
    return admission.faults(
        compose(text),
        host="web-1",
        app="toybox",
        volumes=volumes,
        allow=allow,
        images=images or {},
        archives=archives,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$NAME/${NAME}", "value/value"),
        ("${NAME:-other}", "value"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY-other}", ""),
        ("${MISSING-other}", "other"),
        ("${MISSING:-${NAME}-x}", "value-x"),
        ("${MISSING:-${ALSO:-deep}}", "deep"),
        ("${NAME:+yes}${MISSING:+no}", "yes"),
        ("${NAME:?never}", "value"),
        ("$MISSING", ""),
        ("costs 5$$", "costs 5$"),
    ],
)
def test_interpolation(text: str, expected: str) -> None:
    assert interpolate(text, {"NAME": "value", "EMPTY": ""}) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${MISSING:?set it}", "the variable MISSING has no value (set it)"),
        ("${MISSING?}", "the variable MISSING has no value (required)"),
        ("${EMPTY:?}", "the variable EMPTY has no value"),
        ("${OPEN", "no closing brace"),
        ("${NAME!x}", "no variable reference"),
        ("a $ b", "no variable"),
    ],
)
def test_interpolation_that_fails(text: str, reason: str) -> None:
    with pytest.raises(Unfilled) as caught:
        interpolate(text, {"NAME": "value", "EMPTY": ""})
    assert reason in str(caught.value)


def test_environment_file() -> None:
    assert environment(
        "# comment\n"
        "PLAIN=a b # comment\n"
        "HASH=a#b\n"
        "export EXPORTED=x\n"
        "SINGLE='$PLAIN # \"kept\"'\n"
        'DOUBLE="one\\ntwo ${PLAIN} \\$x"\n'
        "REFERS=${PLAIN}/$HASH\n"
        "EMPTY=\n"
        "COLON: y\n"
        "NOT_SET\n"
    ) == {
        "PLAIN": "a b",
        "HASH": "a#b",
        "EXPORTED": "x",
        "SINGLE": '$PLAIN # "kept"',
        "DOUBLE": "one\ntwo a b $x",
        "REFERS": "a b/a#b",
        "EMPTY": "",
        "COLON": "y",
    }


def test_mounts_and_ports_in_both_spellings() -> None:
    service = compose("""
        services:
          web:
            image: "web:${TAG:-1}"
            volumes:
              - /anonymous
              - data:/data:ro
              - ./conf:/etc/conf
              - ~/keys:/keys
              - {type: bind, source: ../shared, target: /shared}
              - {type: volume, target: /also-anonymous}
            tmpfs: /run
            ports:
              - "80"
              - "8080:80"
              - "127.0.0.1:8000-8001:80-81/udp"
              - "[::1]:9000:90"
              - 22:22
              - {target: 443, published: "443", host_ip: 10.0.0.1}
        """).services["web"]
    assert service.image == "web:1"
    assert service.mounts == (
        Mount(6, "volume", "", "/anonymous"),
        Mount(7, "volume", "data", "/data"),
        Mount(8, "bind", "/srv/apps/toybox/conf", "/etc/conf"),
        Mount(9, "bind", "/root/keys", "/keys"),
        Mount(10, "bind", "/srv/apps/shared", "/shared"),
        Mount(11, "volume", "", "/also-anonymous"),
        Mount(12, "tmpfs", "", "/run"),
    )
    assert service.ports == (
        Port(14, "", (), "tcp"),
        Port(15, "", (8080,), "tcp"),
        Port(16, "127.0.0.1", (8000, 8001), "udp"),
        Port(17, "::1", (9000,), "tcp"),
        Port(18, "", (22,), "tcp"),
        Port(19, "10.0.0.1", (443,), "tcp"),
    )


def test_dependencies_namespaces_profiles_and_inheritance() -> None:
    file = compose(
        """
        x-common: &common {image: "app:1", volumes: ["data:/data"]}
        services:
          base: {<<: *common, profiles: [never]}
          db: {image: "db:1", deploy: {replicas: 2}}
          web:
            extends: base
            profiles: [web]
            depends_on: {db: {condition: service_healthy, restart: true}}
            configs: [site]
          side: {extends: {service: web}, image: "side:1", network_mode: "service:web", profiles: [other]}
        configs: {site: {file: ./site.conf}}
        volumes: {data: {external: true, name: "${DATA}"}}
        """,
        COMPOSE_PROFILES="web,x",
        DATA="toybox_data",
    )
    web, side = file.services["web"], file.services["side"]
    assert (web.image, web.enabled, web.mounts[0].target) == ("app:1", True, "/data")
    assert web.dependencies == (Dependency("db", "service_healthy", restart=True),)
    assert web.binds == ("/srv/apps/toybox/site.conf",)
    assert (side.image, side.enabled, side.namespaces) == ("side:1", True, {"network_mode": "web"})
    assert side.dependencies == (Dependency("web", restart=True),)
    assert (file.services["db"].replicas, file.services["base"].enabled) == (2, False)
    assert file.volumes["data"].name == "toybox_data"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: [", "files/compose.yml:1:12: this is not valid YAML"),
        ("a:\n\tb: 1", "files/compose.yml:2:1: this is not valid YAML"),
        ("", "files/compose.yml: expected a Compose file with `services:`, found an empty file"),
        ("version: '3'", "files/compose.yml:1:1: expected `services:`, and there is none"),
        ("services: {web: [image]}", "files/compose.yml:1:17: expected the settings of service web"),
        ("services: {a: {image: x}, a: {image: y}}", "1:27: `a` stands here a second time"),
        ("services: {a: {ports: [x:y]}}", "files/compose.yml:1:24: expected a port or a range of ports"),
        ("services: {a: {image: '${TAG:?which}'}}", "1:23: the variable TAG has no value (which). Set it"),
        ("services: {a: {extends: b}}", "1:25: service a extends 'b', which is no other service"),
        ("services: {a: {scale: many}}", "1:23: expected a number of containers"),
    ],
)
def test_files_that_are_wrong(text: str, message: str) -> None:
    with pytest.raises(InventoryError) as caught:
        compose(text)
    assert message in str(caught.value)


def test_a_good_file_has_no_faults() -> None:
    assert not faults(
        """
        services:
          db: {image: "postgres:17", volumes: ["toybox_pgdata:/var/lib/postgresql/data"]}
          web: {image: web, ports: ["127.0.0.1:8000:8000", "80:80", "[::1]:81:81"], volumes: ["./x:/x"]}
        volumes: {toybox_pgdata: {external: true}}
        """,
        volumes=("toybox_pgdata",),
        allow=(AllowRule(port="79-81"),),
        images={
            full_name("postgres:17"): Image(
                "sha256:1", settings={"Volumes": {"/var/lib/postgresql/data": {}}}
            )
        },
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "services: {db: {image: db, volumes: [/data]}}",
            (
                "files/compose.yml:1: service db mounts an anonymous volume at /data. A new container would begin "
                "with an empty one. Write `db_data:/data`, `db_data: {external: true}` under the file's `volumes:` "
                "and `db_data: {}` under hosts.web-1.docker.volumes."
            ),
        ),
        (
            "services: {db: {image: db, volumes: ['x:/data']}}",
            "mounts the volume x, which is not declared. Write",
        ),
        (
            "services: {db: {image: db, volumes: ['x:/data']}}\nvolumes: {x: }",
            "files/compose.yml:2: the volume x belongs to Compose, so that `docker compose down -v` deletes it.",
        ),
        (
            "services: {db: {image: db, volumes: ['x:/data']}}\nvolumes: {x: {external: true, name: y}}",
            "files/compose.yml:2: the external volume y is declared nowhere. Write `y: {}`",
        ),
        ("services: {web: {build: .}}", "files/compose.yml:1: service web has no `image`"),
        ("services: {web: {image: w, ports: ['80']}}", "publishes a port that Docker chooses anew"),
        (
            "services: {web: {image: w, ports: ['8080:80/udp']}}",
            (
                "files/compose.yml:1: service web publishes port 8080/udp to the outside, and the firewall does not "
                "declare it. Publish it at 127.0.0.1 when only this server needs it, or write "
                "`{port: 8080, protocol: [udp]}` under hosts.web-1.firewall.allow."
            ),
        ),
        (
            "services: {web: {image: w, ports: ['10.0.0.1:8081:80']}}",
            "publishes port 8081/tcp to the outside",
        ),
        (
            "include: [other.yml]\nservices: {web: {image: w}}",
            "files/compose.yml:1: `include` hides services",
        ),
        (
            "services: {web: {image: w, extends: {file: x.yml, service: y}}}",
            "`extends` with `file` hides settings",
        ),
        ("services: {web: {image: w, volumes_from: [db]}}", "`volumes_from` cannot be predicted"),
    ],
)
def test_faults(text: str, expected: str) -> None:
    (found,) = faults(text, allow=(AllowRule(port=8080),))
    assert expected in found


def test_all_faults_come_at_once() -> None:
    found = faults(
        """
        services:
          db: {image: db, volumes: [/a, /b]}
          web: {build: ., ports: ["1:1"]}
        """
    )
    assert [each.split(":")[1] for each in found] == ["3", "3", "4", "4"]


def test_an_image_that_declares_a_volume_elsewhere() -> None:
    """postgres:18 moved its volume up: the mount of older versions leaves the data in an anonymous one."""
    (found,) = faults(
        """
        services: {db: {image: "postgres:18", volumes: ["x:/var/lib/postgresql/data"]}}
        volumes: {x: {external: true}}
        """,
        volumes=("x",),
        images={
            full_name("postgres:18"): Image("sha256:1", settings={"Volumes": {"/var/lib/postgresql": {}}})
        },
    )
    assert "keeps data in /var/lib/postgresql, and service db mounts nothing there" in found
    assert "a mount at /var/lib/postgresql/data does not cover it" in found


def test_an_archive_that_no_service_uses() -> None:
    (found,) = faults("services: {web: {image: 'web:1'}}", archives=("web:2",))
    assert found.startswith(
        "hosts.web-1.apps.toybox.images: no service of files/compose.yml uses the image web:2."
    )


def test_two_services_want_one_port() -> None:
    one = compose(
        "services: {web: {image: w, ports: ['127.0.0.1:80:80']}, b: {image: b, ports: ['::1:1:1']}}"
    )
    other = compose("services: {x: {image: w, ports: ['80:80', '81:81']}}")
    (found,) = admission.collisions({"toybox": one, "other": other})
    assert "toybox/web publishes port 80/tcp, and so does other/x" in found


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("postgres", "docker.io/library/postgres:latest"),
        ("toybox/web:1", "docker.io/toybox/web:1"),
        ("localhost/web", "localhost/web:latest"),
        ("registry:5000/web", "registry:5000/web:latest"),
        ("ghcr.io/a/b:c", "ghcr.io/a/b:c"),
        ("web@sha256:0", "web@sha256:0"),
    ],
)
def test_full_names(name: str, full: str) -> None:
    assert full_name(name) == full
