"""Every recorded server beside this file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from standfast.engine import scan
from tests.operations.cases import fact_name
from tests.operations.drift import scans

CASES = sorted(Path(__file__).parent.glob("scans/*.yml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_recorded_server(path: Path) -> None:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert scans.found(case) == case["findings"]


def test_every_fact_is_recorded() -> None:
    recorded = {name for path in CASES for name in yaml.safe_load(path.read_text())["answers"]}
    assert recorded >= {fact_name(fact) for fact in scan.FACTS} - {"ssh.CurrentSession"}
