"""The code of docs/live.md, as it stands there, in a project of its own and a browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from demo.embedded import EmbeddedValkey, free_port
from tests.browser.stack import Worker, is_served
from tests.browser.visitors import Visitors
from tests.docs.blocks import python_of
from tests.docs.project_files import write_files

GUIDE = (Path(__file__).parents[2] / "docs" / "live.md").read_text()
PATIENCE = 60_000  # milliseconds

SETTINGS = """
import os
SECRET_KEY = "only for this test"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                  "django.contrib.staticfiles", "realtime", "shop"]
ROOT_URLCONF = "project.urls"
STATIC_URL = "/static/"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
CHANNEL_LAYERS = {"default": {"BACKEND": "shardlayer.layer.ShardedChannelLayer",
                              "CONFIG": {"hosts": [os.environ["REDIS_URL"]]}}}
"""

URLS = """
from django.urls import path
from shop import views
urlpatterns = [path("orders/", views.orders), path("orders.json", views.orders_json)]
"""

STATIC_FILES = """
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
http = ASGIStaticFilesHandler(http)
"""

CLIENT = """
import { RealtimeClient } from "/static/realtime/client.js";
const list = document.querySelector("#orders");
const client = new RealtimeClient("/ws/");
client.connect();
"""

LOADED = "\nhttp = get_asgi_application()\n"
PAGE = "<!doctype html><title>Orders</title>\n"


def blocks(section: str, language: str) -> list[str]:
    """Return the code of a section of the guide, in its order."""
    text = GUIDE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = re.findall(rf"^```{re.escape(language)}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found, (section, language)
    return found


def files(way: str) -> dict[str, str]:
    """Return the project's files for one of the guide's ways."""
    rules, *_ = python_of("live.md")
    view, *_ = blocks("State without a race", "python")
    loaded, json_view = (
        *blocks("State that JavaScript loads", "js"),
        *blocks("State that JavaScript loads", "python"),
    )
    asgi, *_ = blocks("Where WebSockets are blocked", "python")
    models, *_ = blocks("Models that publish themselves", "python")
    script, *_ = blocks("State without a race", "js")
    page, *_ = blocks("State without a race", "html+django")
    row, element = blocks("HTML instead of data", "html+django")
    if way == "html":
        models, *_ = blocks("HTML instead of data", "python")
        page = element
    elif way == "json":
        show = script[script.index("function show") :]
        page = f'<ul id="orders"></ul><script type="module">{CLIENT}{show}{loaded}</script>'
    else:
        page = f'{page}<script type="module">{script}</script>'
    return {
        "project/__init__.py": "",
        "project/settings.py": SETTINGS + rules,
        "project/urls.py": URLS,
        "project/asgi.py": asgi.replace(LOADED, LOADED + STATIC_FILES),
        "shop/__init__.py": "",
        "shop/models.py": models,
        "shop/views.py": f"{view}\n{json_view}",
        "shop/templates/shop/orders.html": PAGE + page,
        "shop/templates/shop/_order.html": row.partition("#}\n")[2],
    }


class Shop:
    """The project, whose server runs."""

    def __init__(self, directory: Path, redis: EmbeddedValkey, way: str) -> None:
        write_files(directory, files(way))
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DATABASE": str(directory / "db.sqlite3"),
            "REDIS_URL": redis.url,
            "PYTHONPATH": os.pathsep.join([str(directory), str(Path.cwd())]),
        }
        self.run(
            "from django.core.management import call_command\n"
            "call_command('migrate', run_syncdb=True, verbosity=0)"
        )

    def run(self, code: str) -> None:
        """Run a program with the project's models: a process of its own, as a worker's would be."""
        setup = "import django; django.setup()\n"
        if "Order" in code:
            setup += "from shop.models import Order\n"
        subprocess.run(
            [sys.executable, "-c", setup + code],
            env={**os.environ, **self.environment},
            check=True,
        )


class ShopServer(Worker):
    """Serves it."""

    def command(self, port: int) -> list[str]:
        """Return the program and its arguments."""
        return [*(word.replace("config.asgi", "project.asgi") for word in super().command(port))]

    def is_up(self) -> bool:
        """Say whether it shows its page."""
        return is_served(f"{self.url}orders/")


@pytest.fixture
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, redis_server: EmbeddedValkey
) -> Iterator[tuple[Shop, ShopServer]]:
    """The project of one way, and its server."""
    shop = Shop(tmp_path, redis_server, request.param)
    directory, port = tmp_path / "server", free_port()
    with ShopServer(directory=directory, port=port, environment=shop.environment) as server:
        yield shop, server


def shows(page: Page, *rows: str) -> None:
    """Wait until the page shows these rows."""
    expect(page.locator("li")).to_have_text(list(rows), timeout=PATIENCE)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("shop", ["data", "json", "html"], indirect=True)
def test_the_guides_page_shows_what_becomes_of_the_rows(
    shop: tuple[Shop, ShopServer], visitors: Visitors
) -> None:
    """Rows that were there, new ones, changed ones and deleted ones; each once."""
    project, server = shop
    visitors.expected.append("favicon.ico")
    project.run("Order.objects.create()")
    page = visitors.open(f"{server.url}orders/")
    shows(page, "1: new")
    project.run("Order.objects.create()")
    shows(page, "1: new", "2: new")
    project.run("order = Order.objects.get(pk=1); order.status = 'paid'; order.save()")
    shows(page, "1: paid", "2: new")
    project.run("Order.objects.get(pk=2).delete()")
    shows(page, "1: paid")
