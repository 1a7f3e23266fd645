"""A name means one thing: no two files and no two classes of the product have the same one."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Django names what is in these, and their classes.
DJANGOS = (
    *(ROOT / "realtime" / "management" / "commands", ROOT / "realtime" / "migrations"),
    *(ROOT / "realtime" / "apps.py", ROOT / "shardlayer" / "apps.py"),
)

SOURCES = [
    path
    for package in ("shardlayer", "realtime")
    for path in sorted((ROOT / package).rglob("*.py"))
    if not any(map(path.is_relative_to, DJANGOS)) and not path.name.startswith("__")
]


def clashes(named: list[tuple[str, Path]]) -> list[str]:
    """Return what stands in several places, with the places."""
    places = defaultdict(list)
    for name, path in named:
        places[name].append(str(path.relative_to(ROOT)))
    return [f"{name}: {', '.join(found)}" for name, found in places.items() if len(found) > 1]


def test_no_two_files_have_one_name() -> None:
    """A file's name says which of the product's ideas is inside."""
    assert SOURCES
    assert clashes([(path.name, path) for path in SOURCES]) == []


def test_no_two_classes_have_one_name() -> None:
    """Nobody has to ask which of two is meant; a class of a dependency's name is in its place."""
    classes = [
        (node.name, path)
        for path in SOURCES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    ]
    assert classes
    assert clashes(classes) == []
