"""The admin's overview."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from demo.embedded import free_port
from realtime.admin.overview_admin import totals
from realtime.operations import Overview
from tests.realtime.admin.staff import body
from tests.realtime.conftest import channel_layers

OVERVIEW = "/admin/realtime/overviewpage/"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_of_admin")]


def test_overview_shows_the_totals(staff: Client) -> None:
    """All figures are there, and what nobody told is unknown."""
    page = body(staff, OVERVIEW)
    assert "Redis servers up" in page
    assert "unknown" in page
    assert "No worker has reported" in page


def test_dead_redis_is_told(staff: Client, settings: Settings) -> None:
    """The page comes all the same, and says which server is down."""
    port = free_port()
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[f"redis://:secret@127.0.0.1:{port}"], publish_timeout=0.3
    )
    page = body(staff, OVERVIEW)
    assert "down" in page
    assert str(port) in page
    assert "secret" not in page


def test_unknown_is_not_zero() -> None:
    """A figure that is not known is not shown as 0, and one that is only bounded as both bounds."""
    found = Overview(
        shards=32, servers_up=1, servers=1, silent={}, is_known=True, rooms=3, rooms_most=5
    )
    shown = {total.name: total.value for total in totals(found, {})}
    assert shown["Connections"] == "unknown"
    assert shown["Shards up"] == "unknown"
    assert shown["Rooms with members"] == "3 to 5"


def test_others_may_not_look(client: Client, django_user_model: type) -> None:
    """It needs the permission that all of the pages need."""
    user = django_user_model.objects.create_user("clerk", is_staff=True)  # type: ignore[attr-defined]
    client.force_login(user)
    assert client.get(OVERVIEW).status_code == 403
