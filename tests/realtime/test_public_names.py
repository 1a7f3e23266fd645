"""What a project imports from `realtime`: there, typed, and hidden by no module."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import realtime

FOLDER = Path(str(realtime.__file__)).parent


def typed_names() -> dict[str, str]:
    """Return what the package names for type checkers, and from which module."""
    tree = ast.parse((FOLDER / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.name: str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_names_are_the_same_for_type_checkers_and_at_run_time() -> None:
    """What is imported lazily, what is typed and what `__all__` says is one list."""
    assert typed_names() == realtime._PLACE_OF
    assert sorted(realtime.__all__) == sorted(realtime._PLACE_OF)
    assert set(realtime.__all__) <= set(dir(realtime))


def test_each_name_can_be_imported() -> None:
    """Each is what its module calls so; a name that is not there is an AttributeError."""
    for name in realtime.__all__:
        assert getattr(realtime, name) is not None
    assert not hasattr(realtime, "no_such_name")


def test_no_module_hides_a_name() -> None:
    """Importing a module of the package would put it in the place of a function of its name."""
    modules = {path.stem for path in FOLDER.iterdir()}
    assert modules.isdisjoint(realtime.__all__)


def test_each_function_that_waits_has_a_twin() -> None:
    """Both take the same arguments; one is a coroutine function, and each has its own name."""
    pairs = [name for name in realtime.__all__ if f"a{name}" in realtime.__all__]
    assert len(pairs) >= 10
    for name in pairs:
        blocking, asynchronous = getattr(realtime, name), getattr(realtime, f"a{name}")
        assert inspect.iscoroutinefunction(asynchronous)
        assert not inspect.iscoroutinefunction(blocking)
        assert blocking.__name__ == name
        assert asynchronous.__name__ == f"a{name}"
        of_blocking, of_asynchronous = map(inspect.signature, (blocking, asynchronous))
        assert of_blocking.parameters == of_asynchronous.parameters


def test_import_needs_no_settings() -> None:
    """The package can be imported before Django is set up, as INSTALLED_APPS has it."""
    code = "import realtime, realtime.apps"
    environment = {"PATH": "/usr/bin:/bin"}
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env=environment,
        cwd=FOLDER.parent,
        timeout=60,
    )
