"""What `bin/audit` makes of pip-audit's answer."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

AUDIT = runpy.run_path(str(Path(__file__).resolve().parents[2] / "bin" / "audit.py"))

SOUND = {"name": "django", "version": "5.2", "vulns": []}
SKIPPED = {"name": "orjson", "version": "3", "skip_reason": "not found"}
BROKEN = {"name": "twisted", "version": "1", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]}


@pytest.mark.parametrize(
    ("packages", "says", "code"),
    [
        ([SOUND, SKIPPED], "1 of 2 packages audited, none is vulnerable", 0),
        ([SOUND, BROKEN], "twisted 1: PYSEC-2", 1),
        ([SKIPPED], "left out: ", 0),
    ],
)
def test_report(packages: list[dict[str, Any]], says: str, code: int) -> None:
    """A vulnerability fails it, and what could not be audited is not called sound."""
    text, found = AUDIT["report"](packages)
    assert says in text
    assert found == code
