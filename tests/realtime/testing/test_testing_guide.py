"""The code of docs/testing.md in a project of its own, run by pytest and by Django's runner."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.project_files import write_files

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "testing.md").read_text()
PLUGINS = ("pytest_django.plugin", "pytest_asyncio.plugin", "realtime.pytest_plugin")

# Nothing listens at the address: a test that does not keep its rooms in memory fails.
SETTINGS = """
SECRET_KEY = "only for this test"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "realtime", "shop"]
ROOT_URLCONF = "project.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = {"default": {"BACKEND": "shardlayer.layer.ShardedChannelLayer",
                              "CONFIG": {"hosts": ["redis://127.0.0.1:1"], "wait_replicas": 1,
                                         "publish_timeout": 2}}}
REALTIME = {"ROOMS": {"orders": {"subscribe": "anyone"}, "stock": {"subscribe": "staff"}}}
"""
URLS = """
from django.urls import path
from shop import views
urlpatterns = [path("buy/", views.buy)]
"""
MODELS = """
from django.db import models
from realtime import live_model

@live_model(rooms=lambda order: ["orders"], fields=["status"])
class Order(models.Model):
    status = models.CharField(max_length=20, default="new")
"""

# What the guide says and does not show.
MORE = """
import pytest
from channels.layers import get_channel_layer
from django.test import override_settings
from realtime import announce, history, publish, publish_many
from realtime.testing import CommandFailed, captured_publications

def test_overridden_layers_are_in_memory_and_take_their_options(realtime, settings):
    publish("orders", 1)
    settings.CHANNEL_LAYERS = {"default": {
        "BACKEND": "shardlayer.layer.ShardedChannelLayer",
        "CONFIG": {"hosts": ["redis://127.0.0.1:2"], "capacity": 7}}}
    publish("orders", 2)
    assert get_channel_layer().options.capacity == 7
    assert [one.data for one in realtime.publications] == [1, 2]

@pytest.mark.parametrize("number", [1, 2])
def test_rooms_are_empty(realtime, number):
    assert history("orders").publications == []
    publish("orders", number)

def test_other_backends_are_left_alone(realtime, settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    assert type(get_channel_layer()).__name__ == "InMemoryChannelLayer"

def test_each_way_to_publish_is_captured(realtime):
    publish("orders", 0)
    with captured_publications() as outer, captured_publications() as inner:
        publish_many({"orders": 1, "stock": 2})
        announce({"text": "hello"})
    assert inner == outer
    assert [(one.room, one.data) for one in inner] == [
        ("orders", 1), ("stock", 2), (None, {"text": "hello"})]
    assert len(realtime.publications) == 4

async def test_pages_of_other_sites_are_refused(realtime):
    for origin in ("https://elsewhere.example", None):
        page = realtime.communicator(origin=origin)
        with pytest.raises(CommandFailed) as refused:
            await page.connect()
        assert refused.value.code == 403

async def test_clients_publish_where_they_may(realtime):
    async with realtime.communicator() as page:
        with pytest.raises(CommandFailed, match="forbidden"):
            await page.publish("orders", {})
        assert await page.receive_nothing()
"""


def guide_files() -> dict[str, str]:
    """Return the guide's blocks by the file that each names in its first line."""
    found = re.findall(r"^```\w+\n# (\S+)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert len(found) == GUIDE.count("\n```\n"), "a block names no file"
    return dict(found)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the guide's files."""
    own = {
        "project/__init__.py": "",
        "project/settings.py": SETTINGS,
        "project/urls.py": URLS,
        "shop/__init__.py": "",
        "shop/models.py": MODELS,
        "test_more.py": MORE,
    }
    write_files(tmp_path, {**own, **guide_files()})
    return tmp_path


def run(project: Path, *command: str, **variables: str) -> str:
    """Run Python in the project; return what it printed."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST", "DJANGO"))
    }
    done = subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env={**environment, "PYTHONPATH": f"{project}{os.pathsep}{ROOT}", **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def run_pytest(project: Path, *arguments: str) -> str:
    """Run pytest with the plugin, whether or not this installation names it already."""
    return run(
        project,
        *("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"),
        *(f"-p{plugin}" for plugin in PLUGINS),
        *arguments,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )


def test_guides_tests_pass_under_pytest(project: Path) -> None:
    """All of them, in one process: each finds its rooms empty."""
    assert "10 passed" in run_pytest(project, "test_orders.py", "shop/tests.py")


def test_rooms_and_clients_are_what_the_guide_says(project: Path) -> None:
    """Overridden settings, every way to publish, refused clients."""
    assert "7 passed" in run_pytest(project, "test_more.py")


def test_guides_test_cases_pass_under_djangos_runner(project: Path) -> None:
    """They need no pytest."""
    output = run(project, "-m", "django", "test", "shop", DJANGO_SETTINGS_MODULE="project.settings")
    assert "Ran 5 tests" in output


def test_plugin_leaves_other_projects_alone(tmp_path: Path) -> None:
    """Where nobody asks for the fixture, nothing of Django is imported; settings are not needed."""
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_nothing_is_imported():\n"
        "    named = ('django', 'channels', 'asgiref')\n"
        "    assert not [name for name in sys.modules if name.partition('.')[0] in named]\n"
    )
    output = run(
        tmp_path,
        *("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"),
        "-prealtime.pytest_plugin",
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    assert "1 passed" in output
