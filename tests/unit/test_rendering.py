"""Templates and diffs: what is written, and what is shown of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from pyinfra.context import ctx_host

from standfast.declaration import HOST_DATA_KEY, Declaration, template
from standfast.errors import InventoryError
from standfast.inventory.schema import Environment, Host
from standfast.inventory.secrets import SecretValue
from standfast.operations.diff import unified
from standfast.rendering import Rendered, plain, render, render_file

SECRETS = {"key": SecretValue("p&ss'w\"rd $x")}


def test_a_secret_is_written_and_not_shown() -> None:
    rendered = render("KEY={{ secrets.key }}\nN={{ n }}\n", "env.j2", {"n": 1}, SECRETS)
    assert rendered.text == "KEY=p&ss'w\"rd $x\nN=1\n"
    assert rendered.shown == "KEY=‹key›\nN=1\n"
    assert rendered.sensitive
    assert "p&ss" not in repr(rendered)


def test_an_undefined_variable_is_named_with_its_line() -> None:
    with pytest.raises(InventoryError) as caught:
        render("one\ntwo {{ nmae }}\n", "files/env.j2", {"name": "web-1"}, SECRETS)
    assert str(caught.value) == (
        "files/env.j2:2: 'nmae' is undefined. The template may use: name, secrets.key"
    )


def test_an_undefined_secret_is_named() -> None:
    with pytest.raises(InventoryError, match=r"env\.j2:1: .*'other'.*secrets\.key"):
        render("{{ secrets.other }}", "env.j2", {}, SECRETS)


def test_a_syntax_error_is_named_with_its_line() -> None:
    with pytest.raises(InventoryError, match=r"env\.j2:2: the template cannot be read"):
        render("one\n{% if %}\n", "env.j2", {}, {})


def test_only_j2_files_are_templates(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text("{{ not a template }}\n")
    assert render_file(tmp_path / "compose.yml", {}, {}).text == "{{ not a template }}\n"
    (tmp_path / "latin1.yml").write_bytes(b"\xe9")
    with pytest.raises(InventoryError, match="UTF-8"):
        render_file(tmp_path / "latin1.yml", {}, {})


def test_a_template_of_the_users_own_that_is_no_text_is_named(tmp_path: Path) -> None:
    own = tmp_path / "templates/caddy/Caddyfile.j2"
    own.parent.mkdir(parents=True)
    declaration = Declaration("web-1", Environment.lab, Host(address="203.0.113.1"), tmp_path)
    with ctx_host.use(SimpleNamespace(data=SimpleNamespace(**{HOST_DATA_KEY: declaration}))):
        own.write_text("{{ name }}\n")
        assert template("caddy/Caddyfile.j2").text == "web-1\n"
        own.write_bytes(b"\xe9")
        with pytest.raises(InventoryError, match=r"Caddyfile\.j2: expected a readable UTF-8 file"):
            template("caddy/Caddyfile.j2")


def test_a_new_file_is_shown_whole() -> None:
    assert unified(None, plain("a\nb\n")) == "@@ -0,0 +1,2 @@\n+a\n+b"


def test_a_rotated_secret_is_hidden_on_both_sides() -> None:
    new = Rendered("KEY=new\nPLAIN=2\n# note\n", "KEY=‹key›\nPLAIN=2\n# note\n")
    shown = unified(b"KEY=old\nPLAIN=1\n# note\nfree text with old\n", new)
    assert "old" not in shown.replace("(hidden)", "")
    assert "new" not in shown
    assert "-KEY=(hidden)" in shown
    assert "+KEY=‹key›" in shown
    assert "-(hidden)" in shown


@pytest.mark.parametrize("secret", ["hunter2", "hunter2="])
def test_what_a_confidential_file_held_is_hidden_though_its_new_text_has_no_secret(secret: str) -> None:
    old = f"# {secret}\n# kept\nLEVEL=info\nPG={secret}\n#PG={secret}\n\n{secret}\n"
    new = plain("# kept\nLEVEL=info\nPORT=80\n")
    assert unified(old.encode(), new, confidential=True).splitlines()[1:] == [
        *("-# (hidden)", " # kept", " LEVEL=info"),
        *("-PG=(hidden)", "-# (hidden)", "-", "-(hidden)", "+PORT=80"),
    ]


def test_a_comment_in_a_file_with_secrets_may_be_an_old_secret() -> None:
    shown = unified(b"#KEY=old\n# note\n", Rendered("KEY=new\n# note\n", "KEY=\u2039key\u203a\n# note\n"))
    assert shown.splitlines()[1:] == ["-# (hidden)", "+KEY=\u2039key\u203a", " # note"]


@pytest.mark.parametrize(
    "line",
    [
        "POSTGRES_PASSWORD=hunter2",
        "export PGPASSWORD='hunter2 with spaces'",
        "#POSTGRES_PASSWORD=hunter2",
        "      POSTGRES_PASSWORD: hunter2",
        "      - REDIS_PASS=hunter2",
        '  "api_key": "hunter2",',
        "secretKey = hunter2",
        "<password>hunter2</password>",
        "requirepass hunter2",
        "command: redis-server --requirepass hunter2",
        'command: ["redis-server", "--requirepass", "hunter2"]',
        "DATABASE_URL=postgres://app:hunter2@db:5432/app",
        "url: https://app:hunter2@example.com/",
        f"  hunter2{'A' * 57}",
    ],
)
def test_an_old_value_that_looks_like_a_secret_is_masked_in_every_file(line: str) -> None:
    shown = unified(f"a\n{line}\nb\n".encode(), plain("a\nb\n"))
    assert "hunter2" not in shown
    assert "***" in shown
    assert f"+{line}" in unified(b"a\n", plain(f"a\n{line}\n")), "what is in the user's file is shown"
    assert f" {line}" in unified(f"{line}\na\n".encode(), plain(f"{line}\nb\n"))


@pytest.mark.parametrize(
    "line",
    [
        "PasswordAuthentication yes",
        "server_tokens off;",
        "image: registry.example.com/app:1.0",
        "# the passwords are elsewhere",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH/CDmcGBmK1jHC3KWwd+k9zjm0FAAAA kim@laptop",
        "reverse_proxy http://app:8000",
    ],
)
def test_an_old_line_without_a_secret_is_shown(line: str) -> None:
    assert f"-{line}" in unified(f"a\n{line}\n".encode(), plain("a\n"))


def test_a_change_of_hidden_values_alone_is_said() -> None:
    assert (
        unified(b"KEY=a\n", Rendered("KEY=b\n", "KEY=(hidden)\n"))
        == "(only hidden values or line ends change)"
    )


def test_binary_content_is_not_shown() -> None:
    assert unified(b"\xff\xfe", plain("text\n")) == "(binary content)"
