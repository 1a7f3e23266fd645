"""docs/guarantees.md: every promise names a test, and every test that is named is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)*)`", DOCUMENT)))

WITHOUT_TESTS = {"What Redis loses"}  # how safe Redis is with what it has, its own pages say


@cache
def existing_in(path: Path) -> frozenset[str]:
    """Return the names of a file's tests, those of classes as `Class::test`."""
    found: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, functions) and node.name.startswith("test_"):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}::{item.name}" for item in node.body if isinstance(item, functions)
            }
    return frozenset(found)


def promises() -> list[tuple[str, str]]:
    """Return each row of each table, with the title of its section."""
    rows: list[tuple[str, str]] = []
    for section in DOCUMENT.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        for table in re.findall(r"^\|[- |]+\|\n((?:\|.*\n)+)", text, re.MULTILINE):
            rows += [(title, row) for row in table.splitlines()]
    return rows


@pytest.mark.parametrize("name", NAMED)
def test_named_test_exists(name: str) -> None:
    """A file, and in it the test, that a promise names."""
    path, _, test = name.partition("::")
    assert (ROOT / path).is_file()
    assert existing_in(ROOT / path)
    assert not test or test in existing_in(ROOT / path)


@pytest.mark.parametrize(("title", "row"), promises())
def test_every_promise_names_what_holds_it(title: str, row: str) -> None:
    """The last column of each row names a test, or the page that does."""
    held_by = row.rstrip("|").rpartition("|")[2]
    assert title in WITHOUT_TESTS or "`tests/" in held_by or "](" in held_by


def test_links_lead_somewhere() -> None:
    """Every relative link leads to a page, and to a title in it."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", DOCUMENT):
        page, _, anchor = target.partition("#")
        text = (ROOT / "docs" / page).read_text("utf-8") if page else DOCUMENT
        titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert not anchor or anchor in anchors, target
