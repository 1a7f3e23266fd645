"""Private attributes of dependencies: each is used in one module, which says where it was read.

Private is what begins with one underscore and no class of ours defines. A module that needs one is
named here, has the version in which it was read, and a test that fails when it changes. What is
underscored and documented all the same, as Django's `_meta` is, is not private. Not seen here: a
name that is put together while running, and one that a class of ours defines as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("shardlayer", "realtime", "demo")

GETTERS = {"getattr", "setattr", "hasattr", "delattr"}
DOCUMENTED = {
    *("_meta", "_state", "_default_manager", "_base_manager"),
    *("_replace", "_asdict", "_fields"),
}

# Module -> the names of one dependency that it uses, and the test that fails when they change.
USED = {
    "shardlayer/aio/native_threads.py": (
        {"_thread_id"},
        "tests/shardlayer/aio/test_native_threads.py",
    ),
    "shardlayer/aio/unlisted_tasks.py": (
        {"_unregister_task"},
        "tests/shardlayer/aio/test_unlisted_tasks.py",
    ),
    "shardlayer/broker/redis/sockets.py": ({"_writer"}, "tests/shardlayer/broker/test_sockets.py"),
    "shardlayer/server/last_resort.py": (
        {"_current_frames", "_exit"},
        "tests/server/test_last_resort.py",
    ),
    "shardlayer/server/http_channel.py": ({"_transferDecoder"}, "tests/server/test_garbage.py"),
    "realtime/kafka/reading/consumer.py": (
        {
            *("_client", "_coordinator", "_fetcher", "_loop", "_subscription"),
            *("_commit_lock", "_do_commit_offsets"),
            *("_group_instance_id", "_isolation_level", "_session_timeout_ms"),
            "_heartbeat_interval_ms",
            *("_fetch_count", "_fetch_task", "_records", "_assignment", "_partition_records"),
            *("_aborted_transactions", "_key_deserializer", "_value_deserializer"),
        },
        "tests/realtime/kafka/test_consumer.py",
    ),
    # aiokafka's in two: reading, and ending what Kafka does not let go.
    "realtime/kafka/reading/closing.py": (
        {
            *("_client", "_coordinator", "_fetcher", "_pending_tasks", "_sender"),
            *("_stop_heartbeat_task", "_stop_commit_offsets_refresh_task"),
        },
        "tests/realtime/kafka/test_closing.py",
    ),
    "demo/embedded/valkey.py": ({"_binary"}, "tests/demo/embedded/test_valkey.py"),
}

Classes = dict[str, ast.ClassDef]


def is_private(name: object) -> TypeGuard[str]:
    """Tell whether a name has one underscore in front."""
    return isinstance(name, str) and re.match("_[a-zA-Z]", name) is not None


def name_of(node: ast.expr) -> str:
    """Return a node's name if it is one, else nothing."""
    return node.id if isinstance(node, ast.Name) else ""


def is_own(node: ast.expr) -> bool:
    """Tell whether it is `self`, `cls` or `super()`."""
    if isinstance(node, ast.Call):
        return name_of(node.func) == "super"
    return name_of(node) in {"self", "cls"}


def defined_in(tree: ast.AST) -> set[str]:
    """Return what a class, or a module with its classes, defines: methods, attributes, slots."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if is_own(node.value):
                names.add(node.attr)
        elif isinstance(node, ast.Constant) and is_private(node.value):  # a slot
            names.add(node.value)
    return names


def defined_by(kind: ast.ClassDef, classes: Classes) -> set[str]:
    """Return what a class and those of its bases that are ours define."""
    bases = [classes.get(name_of(base)) for base in kind.bases]
    return defined_in(kind).union(*(defined_by(base, classes) for base in bases if base))


def foreign_names(tree: ast.Module, classes: Classes) -> Iterator[str]:
    """Yield the names of all that is private and not ours."""
    kinds = {
        node: names
        for kind in ast.walk(tree)
        if isinstance(kind, ast.ClassDef)
        for names in [defined_by(kind, classes)]
        for node in ast.walk(kind)
    }
    here = defined_in(tree)
    for node in ast.walk(tree):
        names: list[str] = []
        ours = set[str]()
        if isinstance(node, ast.Attribute):
            names = [node.attr]
            ours = kinds.get(node, here) if is_own(node.value) else here
        elif isinstance(node, ast.Call) and name_of(node.func) in GETTERS:
            names = [str(each.value) for each in node.args[1:2] if isinstance(each, ast.Constant)]
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(each.name for each in node.names)]
        elif isinstance(node, ast.Import):
            names = [part for each in node.names for part in each.name.split(".")]
        yield from (name for name in names if is_private(name) and name not in ours | DOCUMENTED)


TREES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text())
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
CLASSES = {  # the product's last: no two of those have one name
    node.name: node
    for tree in reversed(TREES.values())
    for node in ast.walk(tree)
    if isinstance(node, ast.ClassDef)
}


def test_private_attributes_are_used_in_one_module_each() -> None:
    """What is found is what is named above: nothing more, and nothing that is gone."""
    found = {
        path: names for path, tree in TREES.items() if (names := set(foreign_names(tree, CLASSES)))
    }
    assert found == {path: names for path, (names, _) in USED.items()}


@pytest.mark.parametrize("path", USED)
def test_module_says_which_version_it_was_written_for(path: str) -> None:
    """And its test is there, which names what it looks at or meets it."""
    _, test = USED[path]
    assert re.search(r"\b[Rr]ead in [^.]*\d+\.\d+", (ROOT / path).read_text().replace("\n", " "))
    assert (ROOT / test).exists()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("connection._writer.close()", "_writer"),
        ("class A(Foreign):\n    def f(self): return self._theirs", "_theirs"),
        ("class A(B):\n    def f(self): self._ours._theirs = 1", "_theirs"),
        ("class A(Foreign):\n    def f(self): return super()._theirs()", "_theirs"),
        ("getattr(loop, '_theirs', None)", "_theirs"),
        ("from library._inside import name", "_inside"),
        ("import library._inside", "_inside"),
    ],
)
def test_use_is_found(source: str, name: str) -> None:
    """The search itself works."""
    classes = {"B": ast.parse("class B:\n    def f(self): self._ours = 1").body[0]}
    found = foreign_names(ast.parse(source), classes)  # type: ignore[arg-type]
    assert set(found) == {name}


@pytest.mark.parametrize(
    "source",
    [
        "class A(B):\n    def f(self): return self._ours",
        "class A:\n    __slots__ = ('_a',)\n    def f(self): return self._a.b",
        "class A:\n    def f(self, other: A): return other._g()\n    def _g(self): ...",
        "user._meta.pk",
    ],
)
def test_own_names_are_let_through(source: str) -> None:
    """What a class of ours defines is no dependency's."""
    classes = {"B": ast.parse("class B:\n    def f(self): self._ours = 1").body[0]}
    assert list(foreign_names(ast.parse(source), classes)) == []  # type: ignore[arg-type]
