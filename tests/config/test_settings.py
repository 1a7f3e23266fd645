"""What the project's settings make of an environment, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
SHOW = """
import json
from config import settings
print(json.dumps({name: value for name, value in vars(settings).items() if name.isupper()},
                 default=str))
"""


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python in an environment with just these variables."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"PATH": os.environ["PATH"], "SHARDLAYER_DEMO": "0", **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def settings_of(**environ: str) -> dict[str, Any]:
    """Return the settings that such an environment gives."""
    done = run(SHOW, **environ)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_development() -> None:
    """Without any variable the project runs on this machine."""
    found = settings_of()
    assert found["DEBUG"] is True
    assert found["SERVE_STATIC"] is True
    assert found["CHANNEL_LAYERS"]["default"]["CONFIG"]["hosts"] == ["redis://127.0.0.1:6379"]
    assert found["DATABASES"]["default"]["NAME"].endswith("var/db.sqlite3")
    assert (ROOT / "var").stat().st_mode & 0o777 == 0o700  # sessions and users are in it
    assert "localhost" in found["ALLOWED_HOSTS"]


def test_production() -> None:
    """With DEBUG off cookies are for https only and nobody's host is allowed by default."""
    found = settings_of(
        DJANGO_DEBUG="0",
        DJANGO_SECRET_KEY="s" * 60,
        DATABASE_URL="postgres://u:p@db/name",
        REDIS_URL="redis://a, redis://b",
        KAFKA_BOOTSTRAP_SERVERS="a:1,b:2",
        SHARDLAYER_WORKER="w2",
        SHARDLAYER_WORKERS="w1=http://a,w2=http://b",
    )
    assert found["SESSION_COOKIE_SECURE"] is True
    assert found["SERVE_STATIC"] is False
    assert found["ALLOWED_HOSTS"] == []
    assert found["DATABASES"]["default"]["ENGINE"] == "django.db.backends.postgresql"
    assert found["CHANNEL_LAYERS"]["default"]["CONFIG"]["hosts"] == ["redis://a", "redis://b"]
    assert found["REALTIME"]["KAFKA_BOOTSTRAP_SERVERS"] == ["a:1", "b:2"]
    assert found["DEMO"]["WORKERS"] == {"w1": "http://a", "w2": "http://b"}


@pytest.mark.parametrize("url", ["sqlite://:memory:", "postgres://db/name", "sqlite:////tmp/db"])
def test_database_without_a_password(url: str) -> None:
    """SQLite, and a server that knows its clients otherwise, need none."""
    found = settings_of(DJANGO_DEBUG="0", DJANGO_SECRET_KEY="s" * 60, DATABASE_URL=url)
    assert not found["DATABASES"]["default"].get("PASSWORD")


def test_production_needs_a_secret() -> None:
    """With DEBUG off and no secret key nothing starts, and the variable is named."""
    done = run(SHOW, DJANGO_DEBUG="0")
    assert done.returncode == 1
    assert "DJANGO_SECRET_KEY must be set" in done.stderr


DEVELOPMENT_KEY = "for development only: whoever reads this file can forge sessions"


@pytest.mark.parametrize(
    ("key", "url", "says"),
    [
        (DEVELOPMENT_KEY, "", "DJANGO_SECRET_KEY is one that was published"),
        ("change me before anybody else can reach this", "", "DJANGO_SECRET_KEY is one that was"),
        ("django-insecure-" + "s" * 50, "", "DJANGO_SECRET_KEY is one that was published"),
        ("s" * 31, "", "DJANGO_SECRET_KEY has 31 characters; it takes 32 or more"),
        ("s" * 60, "postgres://u:shardlayer@db/name", "password in DATABASE_URL is one that was"),
    ],
)
def test_published_secrets_are_refused(key: str, url: str, says: str) -> None:
    """With DEBUG off nothing starts with a secret that everybody can read here, or guess."""
    assert settings_of(DJANGO_SECRET_KEY=key, DATABASE_URL=url)["SECRET_KEY"] == key  # with DEBUG
    done = run(SHOW, DJANGO_DEBUG="0", DJANGO_SECRET_KEY=key, DATABASE_URL=url)
    assert done.returncode == 1
    assert says in done.stderr
    assert key not in done.stderr.rpartition("ImproperlyConfigured")[2]


@pytest.mark.parametrize("module", ["config.asgi", "config.urls"])
def test_import_needs_no_server(module: str) -> None:
    """The application is imported without Redis, and imports no Twisted on the way."""
    code = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'\n"
        "import django; django.setup()\n"
        f"import {module}\n"
        "assert 'twisted' not in sys.modules"
    )
    done = run(code, REDIS_URL="redis://127.0.0.1:1")
    assert done.returncode == 0, done.stderr
