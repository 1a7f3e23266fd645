"""Django's signals while Redis is away: they hold up nobody, and nothing is forgotten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.test import Client as Browser
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from realtime.sharded_layer import sharded_layer
from tests.realtime.client import Client
from tests.realtime.conftest import channel_layers
from tests.realtime.users import end_queries

TIMEOUT = 20.0  # seconds that a publication waits for Redis


@pytest.fixture
async def patient_layer(settings: Settings, redis_server: EmbeddedValkey) -> AsyncIterator[None]:
    """The default layer, on a real server, that gives up late."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url], publish_timeout=TIMEOUT)
    yield
    await sharded_layer().close()


@pytest.fixture
def ada(transactional_db: None, settings: Settings, patient_layer: None) -> Iterator[User]:
    """A user, whose password takes no time to hash."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    yield User.objects.create_user("ada", password="x")
    end_queries()


async def test_redis_that_is_away_is_told_later(ada: User, redis_server: EmbeddedValkey) -> None:
    """Signing out takes no longer than ever, and ends the connection when Redis is back."""
    browser = Browser()
    await database_sync_to_async(browser.force_login)(ada)
    headers = {"Cookie": browser.cookies.output(header="", sep=";")}
    async with Client(headers=headers) as client:
        assert (await client.ask(1, connect={}))["connected"]["user"] == "ada"
        await asyncio.to_thread(redis_server.stop)
        began = time.monotonic()
        await database_sync_to_async(browser.logout)()
        ada.set_password("y")
        await ada.asave()
        assert time.monotonic() - began < TIMEOUT / 2  # a publication would wait for all of it
        assert (await client.ask(2, ping={})) == {"id": 2, "pong": {}}
        await asyncio.to_thread(redis_server.start)
        while (event := await client.event())["type"] != "websocket.close":
            pass
        assert event["code"] == 4002
