"""A layer on a real server, templates, and databases with the tables of `shop`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import dj_database_url
import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker, Settings

from demo.embedded import EmbeddedValkey
from realtime.sharded_layer import sharded_layer
from tests.postgresql import PostgreSQL
from tests.realtime.conftest import channel_layers
from tests.realtime.live_models.shop import tables

POSTGRESQL = "liveshop_postgresql"  # an alias


@pytest.fixture
def shop_layer(settings: Settings, redis_server: EmbeddedValkey) -> Iterator[None]:
    """A layer on a real server, and the templates of this folder."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    (engine,) = settings.TEMPLATES
    settings.TEMPLATES = [engine | {"DIRS": [Path(__file__).parent / "templates"]}]
    yield
    asyncio.run(sharded_layer().close())


@pytest.fixture
def databases(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Any database may be used, also one that no setting names. Nothing is rolled back."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def shop(shop_layer: None, databases: None) -> Iterator[None]:
    """The tables in the database of the tests, SQLite."""
    with tables():
        yield


@pytest.fixture
def postgresql_alias(postgresql: PostgreSQL, databases: None) -> Iterator[str]:
    """The alias of a PostgreSQL with the tables."""
    given = {"default": {}, POSTGRESQL: dj_database_url.parse(postgresql.url)}
    connections.databases[POSTGRESQL] = connections.configure_settings(given)[POSTGRESQL]
    try:
        with tables(POSTGRESQL):
            yield POSTGRESQL
    finally:
        connections[POSTGRESQL].close()
        del connections[POSTGRESQL]
        del connections.databases[POSTGRESQL]


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]
)
def alias(request: pytest.FixtureRequest, shop_layer: None) -> str:
    """The alias of a database with the tables: SQLite, and a PostgreSQL that is not the default."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_alias"))
    request.getfixturevalue("shop")
    return "default"
