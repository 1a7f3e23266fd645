"""The browser test of docs/testing.md, run by Django's runner with the system's Chromium."""

from __future__ import annotations

from pathlib import Path

from demo.embedded import EmbeddedValkey
from tests import tools
from tests.browser.conftest import ARGUMENTS
from tests.docs.project_files import write_files
from tests.realtime.testing.test_testing_guide import guide_files, run

SETTINGS = """
import os
from pathlib import Path

BASE_DIR = Path(__file__).parent.parent
SECRET_KEY = "only for this test"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes",
                  "django.contrib.staticfiles", "realtime", "browser"]
ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
STATIC_URL = "/static/"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3",
                         "TEST": {"NAME": BASE_DIR / "test.sqlite3"}}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = {"default": {"BACKEND": "shardlayer.layer.ShardedChannelLayer",
                              "CONFIG": {"hosts": [os.environ["REDIS_URL"]]}}}
REALTIME = {"ROOMS": {"orders": {"subscribe": "anyone"}}}
"""
URLS = """
from browser import views
from django.urls import path

urlpatterns = [path("orders/", views.orders), path("buy/", views.buy)]
"""
ASGI = """
import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
http = get_asgi_application()

from realtime.lifespan import lifespan
from realtime.routing import websocket_application

application = ProtocolTypeRouter(
    {"http": http, "websocket": websocket_application, "lifespan": lifespan})
"""


def test_browser_test_of_the_guide_passes(redis_server: EmbeddedValkey, tmp_path: Path) -> None:
    """A page in a real browser sees what the test publishes through a real Redis."""
    files = {
        "project/__init__.py": "",
        "project/settings.py": SETTINGS,
        "project/urls.py": URLS,
        "project/asgi.py": ASGI,
        "browser/__init__.py": "",
        **{name: text for name, text in guide_files().items() if name.startswith("browser/")},
    }
    write_files(tmp_path, files)
    output = run(
        tmp_path,
        *("-m", "django", "test", "browser"),
        DJANGO_SETTINGS_MODULE="project.settings",
        REDIS_URL=redis_server.url,
        CHROMIUM=str(tools.find("chromium")),
        CHROMIUM_ARGUMENTS=" ".join(ARGUMENTS),
    )
    assert "Ran 1 test" in output
    assert "OK" in output
