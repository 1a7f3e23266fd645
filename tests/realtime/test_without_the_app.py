"""A project that uses `realtime`, and does not have it in INSTALLED_APPS, is told so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
BEGIN = """
import asyncio
from django.conf import settings
settings.configure(
    SECRET_KEY="-",
    INSTALLED_APPS=["django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "shardlayer.layer.ShardedChannelLayer",
            "CONFIG": {"hosts": ["memory://without"]},
        }
    },
)
import django
django.setup()
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from realtime import apublish_on_commit, live_model, on_commit, publish_on_commit
def refused(call):
    try:
        call()
    except ImproperlyConfigured as error:
        print(error)
"""
SAYS = "{} needs the app: add 'realtime' to INSTALLED_APPS."


def ran(code: str) -> list[str]:
    """Run code in such a project; return the lines that it printed."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("arguments", ["", "outbox=True", "outbox=True, database='default'"])
def test_publishing_on_commit_needs_the_app(arguments: str) -> None:
    """Which database has the outbox, only its models can tell."""
    code = f"refused(lambda: publish_on_commit('news', 1, {arguments}))"
    assert ran(code) == [SAYS.format("publish_on_commit")]


def test_asynchronous_twin() -> None:
    """It says the same."""
    code = "refused(lambda: asyncio.run(apublish_on_commit('news', 1)))"
    assert ran(code) == [SAYS.format("publish_on_commit")]


def test_publishing_in_a_named_transaction_does_not() -> None:
    """Where the database is named, and there is no outbox, no model is asked."""
    code = """
publish_on_commit("news", 1, database="default")
on_commit._wait_at_exit()
print(on_commit.counters.published)
"""
    assert ran(code) == ["1"]


def test_live_models_need_the_app() -> None:
    """They say so where they are declared."""
    code = """
class Order(models.Model):
    class Meta:
        app_label = "shop"
refused(lambda: live_model(rooms=lambda order: ["orders"])(Order))
order = Order(pk=1)
from django.db.models.signals import post_save
print(post_save.has_listeners(Order))
"""
    assert ran(code) == [SAYS.format("live_model"), "False"]
