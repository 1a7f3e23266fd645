"""CHANGELOG.md: what a merge leaves of two versions of an entry is found."""

from __future__ import annotations

import re
from itertools import pairwise

from realtime.loadtest.scenarios.scenario_names import SCENARIOS
from tests.docs.blocks import ROOT

LINES = (ROOT / "CHANGELOG.md").read_text().splitlines()


def orphans(lines: list[str]) -> list[str]:
    """Return the lines that go on with a sentence of which the line before has nothing."""
    return [
        line
        for before, line in pairwise(lines)
        if re.match(r"  [a-z]", line) and (before.endswith(".") or not before)
    ]


def test_no_end_of_an_entry_stands_alone() -> None:
    """A sentence goes on only below its beginning."""
    assert orphans(LINES) == []
    assert orphans(["- One is", "  whole.", "  this has no beginning."]) == [
        "  this has no beginning."
    ]


def test_scenarios_of_the_load_test_are_whole() -> None:
    """The entry of the load test names each of them."""
    text = " ".join(line.strip() for line in LINES)
    [named] = re.findall(r"The scenarios are (.*?)\. ", text)
    assert set(re.findall(r"`([\w-]+)`", named)) == set(SCENARIOS)
