"""Secrets: where they come from, what is said when they cannot be had, and that they never show."""

from __future__ import annotations

import copy
import json
import os
import pickle
import traceback
from pathlib import Path

import pytest

from standfast.errors import InventoryError
from standfast.inventory import secrets
from standfast.inventory.faults import InventoryFaults
from standfast.inventory.loader import load
from standfast.inventory.schema import Secret
from standfast.inventory.secrets import Resolver, SecretValue, resolve, resolve_all

VALUE = "correct-horse-battery"


def fails(secret: Secret, root: Path, environment: dict[str, str] | None = None) -> str:
    """The message with which a secret cannot be had; it never contains the value."""
    with pytest.raises(InventoryError) as caught:
        Resolver(root=root, environment=environment).resolve(secret, where="here")
    assert VALUE not in str(caught.value)
    assert caught.value.exit_code == 3
    return str(caught.value)


def secret_file(path: Path, content: bytes, mode: int = 0o600) -> Secret:
    path.write_bytes(content)
    path.chmod(mode)
    return Secret(file=path.name)


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOYBOX_PASSWORD", VALUE)
    assert resolve(Secret(env="TOYBOX_PASSWORD"), root=tmp_path, where="here").reveal() == VALUE


def test_from_a_file_without_its_last_newline(tmp_path: Path) -> None:
    assert (
        resolve(secret_file(tmp_path / "a", b"one\ntwo\n\n"), root=tmp_path, where="").reveal()
        == "one\ntwo\n"
    )
    assert resolve(secret_file(tmp_path / "b", b"one\r\n"), root=tmp_path, where="").reveal() == "one"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("echo two words", "two words"),
        ("echo 'quoted  text'", "quoted  text"),
        ("printf abc | tr a-c A-C", "ABC"),
        ("echo $HOME_OF_TEST", "it is there"),
    ],
)
def test_from_a_command(command: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME_OF_TEST", "it is there")
    assert resolve(Secret(command=command), root=tmp_path, where="").reveal() == expected


def test_a_command_cannot_read_our_standard_input(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"not for the command\n")
    os.close(write_end)
    own = os.dup(0)
    os.dup2(read_end, 0)
    try:
        message = fails(Secret(command="cat"), tmp_path)
    finally:
        os.dup2(own, 0)
        os.close(own)
        os.close(read_end)
    assert message == "here: expected a secret from the output of `cat`, but it is empty"


def test_a_command_runs_in_the_repository_and_once(tmp_path: Path) -> None:
    secret = Secret(command="echo x >> runs; cat runs")
    resolver = Resolver(root=tmp_path)
    first = resolver.resolve(secret, where="one")
    assert resolver.resolve(Secret(command="echo x >> runs; cat runs"), where="two") is first
    assert (tmp_path / "runs").read_text(encoding="utf-8") == "x\n"


def test_a_failing_command_runs_once_too(tmp_path: Path) -> None:
    resolver = Resolver(root=tmp_path)
    for where in ("one", "two"):
        with pytest.raises(InventoryError, match=f"^{where}: .* ended with exit status 7"):
            resolver.resolve(Secret(command="echo x >> runs; exit 7"), where=where)
    assert (tmp_path / "runs").read_text(encoding="utf-8") == "x\n"


def test_a_variable_that_is_not_set(tmp_path: Path) -> None:
    assert fails(Secret(env="TOYBOX_PASSWORD"), tmp_path, {}) == (
        "here: expected the environment variable TOYBOX_PASSWORD, but it is not set; "
        "set it: `export TOYBOX_PASSWORD=…`"
    )
    near = fails(Secret(env="TOYBOX_PASWORD"), tmp_path, {"TOYBOX_PASSWORD": VALUE})
    assert near.endswith("but it is not set; did you mean TOYBOX_PASSWORD, which is set?")


def test_an_empty_secret(tmp_path: Path) -> None:
    assert fails(Secret(env="EMPTY"), tmp_path, {"EMPTY": ""}) == (
        "here: expected a secret from the environment variable EMPTY, but it is empty"
    )
    assert fails(secret_file(tmp_path / "empty", b"\n"), tmp_path).endswith("but it is empty")


def test_a_file_that_everybody_may_read(tmp_path: Path) -> None:
    message = fails(secret_file(tmp_path / "open", VALUE.encode(), 0o644), tmp_path)
    assert message == (
        "here: expected a file that only you can read, but everybody on this machine may read "
        f"open (mode 0644); `chmod 600 {tmp_path}/open`"
    )


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    assert fails(Secret(file="nowhere"), tmp_path) == (
        "here: expected a secret in the file nowhere: No such file or directory"
    )
    (tmp_path / "folder").mkdir()
    assert "Is a directory" in fails(Secret(file="folder"), tmp_path)
    assert "UTF-8" in fails(secret_file(tmp_path / "bytes", b"\xff\xfe"), tmp_path)


def test_a_command_that_cannot_be_run(tmp_path: Path) -> None:
    assert fails(Secret(command="no-such-program-here x"), tmp_path) == (
        "here: expected a secret from `no-such-program-here x`, but it cannot be run: No such file or directory"
    )


def test_a_command_that_fails_shows_its_stderr_and_never_its_stdout(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = Secret(command=f"echo {VALUE}; echo 'the store is locked' >&2; exit 3")
    with pytest.raises(InventoryError) as caught:
        resolve(command, root=tmp_path, where="here")
    assert "ended with exit status 3" in str(caught.value)
    captured = capfd.readouterr()
    assert captured.err == "the store is locked\n"
    assert captured.out == ""


def test_a_command_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "COMMAND_SECONDS", 0.2)
    message = fails(Secret(command="sleep 30"), tmp_path)
    assert message == "here: expected a secret from `sleep 30`, but it had not ended after 0.2 s"


def test_a_secret_never_shows(tmp_path: Path) -> None:
    value = SecretValue(VALUE)
    shown = [repr(value), str(value), f"{value}", f"{value:>20}", f"{value!r}", "%s" % value, repr([value])]  # noqa: UP031 - this way of formatting too
    shown += [json.dumps({"x": value}, default=str), ascii(value), repr(vars(type(value)))]
    assert not [text for text in shown if VALUE in text]
    assert str(value) == "(hidden)"
    with pytest.raises(TypeError):
        json.dumps(value)
    with pytest.raises(TypeError, match="hidden"):
        pickle.dumps(value)
    assert copy.deepcopy(value) is value
    assert value == SecretValue(VALUE)
    assert value != SecretValue("other")
    assert value != VALUE
    assert value.reveal() == VALUE


def test_a_traceback_with_local_variables_does_not_show_it() -> None:
    def at_work() -> None:
        password = SecretValue(VALUE)
        raise RuntimeError(f"failed with {password}")

    try:
        at_work()
    except RuntimeError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "(hidden)" in text
    assert VALUE not in text


def inventory(tmp_path: Path) -> Path:
    """Two hosts that share a secret; one of them has more."""
    (tmp_path / "compose.yml").write_text("services: {}\n", encoding="utf-8")
    path = tmp_path / "two.yml"
    path.write_text(
        "environment: lab\n"
        "hosts:\n"
        "  web-1: &web\n"
        "    address: 192.0.2.1\n"
        "    docker: {}\n"
        "    apps:\n"
        "      toybox:\n"
        "        compose: compose.yml\n"
        "        secrets:\n"
        "          shared: {command: echo x >> runs; cat runs}\n"
        "  web-2:\n"
        "    <<: *web\n"
        "    address: 192.0.2.2\n"
        "    apps:\n"
        "      toybox:\n"
        "        compose: compose.yml\n"
        "        secrets:\n"
        "          shared: {command: echo x >> runs; cat runs}\n"
        "          first: {env: TOYBOX_FIRST}\n"
        "          second: {env: TOYBOX_SECOND}\n",
        encoding="utf-8",
    )
    return path


def test_all_secrets_of_an_inventory_each_source_once(tmp_path: Path) -> None:
    loaded = load(inventory(tmp_path))
    environment = {"TOYBOX_FIRST": "1", "TOYBOX_SECOND": "2"}
    resolved = resolve_all(loaded, environment=environment)
    assert resolved["web-1"]["toybox"]["shared"].reveal() == "x"
    assert resolved["web-2"]["toybox"]["shared"].reveal() == "x"
    assert resolved["web-2"]["toybox"]["second"].reveal() == "2"


def test_only_the_secrets_of_the_chosen_hosts(tmp_path: Path) -> None:
    loaded = load(inventory(tmp_path))
    assert set(resolve_all(loaded, hosts=["web-1"], environment={})) == {"web-1"}


def test_all_missing_secrets_are_named_with_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InventoryFaults) as caught:
        resolve_all(load(inventory(tmp_path)), environment={})
    assert str(caught.value) == (
        "two.yml:19:18: hosts.web-2.apps.toybox.secrets.first: expected the environment variable "
        "TOYBOX_FIRST, but it is not set; set it: `export TOYBOX_FIRST=…`\n"
        "two.yml:20:19: hosts.web-2.apps.toybox.secrets.second: expected the environment variable "
        "TOYBOX_SECOND, but it is not set; set it: `export TOYBOX_SECOND=…`"
    )


def test_the_home_folder_in_a_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    secret_file(tmp_path / "password", VALUE.encode())
    assert resolve(Secret(file="~/password"), root=Path("/"), where="").reveal() == VALUE
    assert os.environ["HOME"] == str(tmp_path)
