"""What `shardlayer` offers is imported when it is asked for, and not before."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import shardlayer

SOURCE = Path(shardlayer.__file__)

# A finder that knows nothing of these packages, as if they were not installed.
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("django", "channels", "asgiref", "redis", "twisted"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def places_for_types() -> dict[str, str]:
    """Return where a type checker finds each name, as the source has it."""
    block = next(node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If))
    return {
        alias.asname or alias.name: node.module or ""
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_each_name_is_where_types_say() -> None:
    """The two lists are one, and nothing is offered that is in neither."""
    assert places_for_types() == shardlayer._PLACES
    assert set(shardlayer.__all__) == {*shardlayer._PLACES, "__version__"}
    for name, place in shardlayer._PLACES.items():
        assert getattr(shardlayer, name) is getattr(import_module(place), name)
    assert set(shardlayer.__all__) <= set(dir(shardlayer))


def test_other_names_are_not_there() -> None:
    """As of any module, so that submodules can be imported from it."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = shardlayer.nothing
    from shardlayer import testing

    assert testing.__name__ == "shardlayer.testing"


def run(code: str) -> str:
    """Run a program; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=SOURCE.parents[1],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_client_runs_where_django_is_not_installed() -> None:
    """It can be imported and made; the layer says what is missing."""
    code = """
from shardlayer.client import RoomClient
client = RoomClient("ws://127.0.0.1:1/ws/")
try:
    from shardlayer import ShardedChannelLayer
except ModuleNotFoundError as error:
    print(error)
"""
    assert run(WITHOUT + code).startswith("No module named ")


def test_import_loads_nothing() -> None:
    """Of this package but itself."""
    code = "import shardlayer, sys; print([x for x in sys.modules if x.startswith('shardlayer.')])"
    assert run(code) == "[]"


def test_app_registers_the_checks_of_the_layer() -> None:
    """A project that names `shardlayer` alone in INSTALLED_APPS has them."""
    code = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["shardlayer"], CHANNEL_LAYERS={"default": {
    "BACKEND": "shardlayer.layer.ShardedChannelLayer", "CONFIG": {"hosts": 5}}})
django.setup()
from django.core.checks import run_checks
print([message.id for message in run_checks()])
"""
    assert run(code) == "['shardlayer.E001']"
