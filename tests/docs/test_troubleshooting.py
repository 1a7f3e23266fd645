"""docs/troubleshooting.md: each row is whole, and its checks are there."""

from __future__ import annotations

import re

import pytest

from realtime.checkup.known_checks import CHECKS
from tests.docs.blocks import ROOT

TEXT = (ROOT / "docs" / "troubleshooting.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| you see")
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_row_says_all_four_things(row: list[str]) -> None:
    """What one sees, why, what shows it, and what to do."""
    assert len(row) == 4
    assert all(row)


def test_every_check_helps_somewhere() -> None:
    """And none is named that is not there."""
    named = set(re.findall(r"manage\.py realtime check ([a-z]+)", TEXT))
    assert named <= CHECKS.keys()
    assert CHECKS.keys() - named == {"secrets"}  # which nobody sees from outside


def test_messages_are_those_of_the_sources() -> None:
    """What is quoted of ours is still said so."""
    sources = "\n".join(
        re.sub(r'"\s*\n?\s*f?"', "", path.read_text())
        for package in ("shardlayer", "realtime")
        for path in (ROOT / package).rglob("*.py")
    )
    for text in (
        "nothing is at this address",
        "The layer is in memory",
        "lets nobody in with this login",
        "keeps nothing on its disk",
        "is not available, waiting for it",
        "it has no topic",
        "No process tells figures",
        "The database with the keys did not answer",
        "A key of the API can't be looked up",
        "is not a setting.",
    ):
        assert text.rstrip(".") in TEXT
        assert text in sources, text
