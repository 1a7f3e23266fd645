"""Staff who look at the admin's pages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from tests.realtime.admin.staff import make_staff
from tests.realtime.conftest import channel_layers
from tests.waiting import PATIENCE


@pytest.fixture
def redis_of_admin(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """A layer on a real server without rooms."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url], publish_timeout=PATIENCE)
    settings.REALTIME = settings.REALTIME | {"CHECK_TIMEOUT": 10}


@pytest.fixture
def viewer(db: None) -> User:
    """Somebody of the staff who may look at rooms and nothing else."""
    return make_staff("view_room")


@pytest.fixture
def staff(client: Client, viewer: User) -> Client:
    """The viewer's browser."""
    client.force_login(viewer)
    return client
