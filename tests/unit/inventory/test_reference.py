"""What is generated from the schema is current, complete and true."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from standfast.inventory import reference, shape
from standfast.inventory.document import Plain
from standfast.inventory.loader import load
from standfast.inventory.schema import Inventory
from standfast.inventory.secrets import resolve_all
from standfast.inventory.yaml_text import inline

ROOT = Path(__file__).parents[3]


def fields(part: type[BaseModel] = Inventory) -> Iterator[tuple[str, object, FieldInfo]]:
    """Every setting of the schema: its name with its part, its type, and what is said about it."""
    for (name, annotation), info in zip(
        shape.settings(part).items(), part.model_fields.values(), strict=True
    ):
        yield f"{part.__name__}.{name}", annotation, info
        inner = shape.part(annotation)
        if inner is not None:
            yield from fields(inner)


FIELDS = list(fields())


@pytest.mark.parametrize("name", reference.generated())
def test_generated_files_are_current(name: str) -> None:
    written = (ROOT / name).read_text(encoding="utf-8")
    assert written == reference.generated()[name], "run `python -m standfast.inventory.reference`"


@pytest.mark.parametrize(("name", "annotation", "info"), FIELDS, ids=[name for name, _, _ in FIELDS])
def test_every_setting_is_described_and_has_an_example_that_fits(
    name: str, annotation: object, info: FieldInfo
) -> None:
    assert info.description, name
    assert info.examples, name
    assert all(shape.fits(annotation, example) for example in info.examples), name


def test_every_setting_is_on_the_reference_page() -> None:
    page = reference.page()
    for name, _, _ in FIELDS:
        assert f"| `{name.rpartition('.')[2]}` |" in page


def test_the_json_schema_is_one_and_closed() -> None:
    schema = reference.json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert '"null"' not in reference.json_schema_text()


@pytest.mark.parametrize(
    "change",
    [
        {"hosts": {}},
        {"hosts": {"web-1": {}}},
        {"hosts": {"web_1": {"address": "a"}}},
        {"hosts": {"web-1": {"address": "a", "adress": "b"}}},
        {"hosts": {"web-1": {"address": "a", "docker": None}}},
        {"hosts": {"web-1": {"address": "a", "caddy": {"sites": {"x": {}}}}}},
        {"hosts": {"web-1": {"address": "a", "firewall": {"allow": [{"port": 80443}]}}}},
        {"environment": "prod"},
    ],
)
def test_editors_refuse_what_we_refuse(change: dict[str, object]) -> None:
    data = {"environment": "lab", "hosts": {"web-1": {"address": "192.0.2.1"}}}
    validator = Draft202012Validator(reference.json_schema())
    assert validator.is_valid(data)
    assert not validator.is_valid({**data, **change})


def test_the_example_of_this_repository_loads_with_its_environment() -> None:
    loaded = load(ROOT / "inventories/production.example.yml")
    environment = {
        "TOYBOX_POSTGRES_PASSWORD": "a",
        "TOYBOX_DJANGO_SECRET_KEY": "b",
        "STANDFAST_BACKUP_PASSWORD": "c",
    }
    resolved = resolve_all(loaded, environment=environment)
    assert resolved["web-1"]["toybox"]["postgres_password"].reveal() == "a"
    assert loaded.inventory.hosts["web-1"].address == "203.0.113.10"


def test_the_example_explains_every_setting_it_can() -> None:
    text = (ROOT / "inventories/production.example.yml").read_text(encoding="utf-8")
    for part in ("Host", "Ssh", "Docker", "App", "Caddy", "Site", "Secret"):
        for name, _, _ in FIELDS:
            if name.startswith(f"{part}."):
                assert f"{name.partition('.')[2]}:" in text, name


@pytest.mark.parametrize(
    "value",
    [
        "a",
        "yes",
        "22:30",
        "",
        "a, b",
        "- a",
        "{x",
        "a #b",
        "日本",
        'q"uote',
        "a\\b",
        "1",
        "null",
        "*",
        "a\nb",
    ],
)
def test_examples_are_written_so_that_they_are_read_back(value: str) -> None:
    data: Plain = {"name": [value, {"inner": value}, 1, True]}
    assert yaml.safe_load(inline(data)) == data
