"""The admin's Rooms pages."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from demo.embedded import free_port
from realtime import publish
from realtime.sharded_layer import sharded_layer
from tests.realtime.admin.staff import body
from tests.realtime.conftest import channel_layers

ROOMS = "/admin/realtime/room/"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_of_admin")]


def test_rooms_are_listed_with_links(staff: Client) -> None:
    """Every room is a row, linked to its page."""
    publish("chat.lobby", 1)
    publish("machine.cpu", 1)
    page = body(staff, ROOMS)
    assert f'href="{ROOMS}chat.lobby/"' in page
    assert "machine.cpu" in page
    assert "2 rooms on this page" in page


def test_list_says_that_there_is_nothing(staff: Client) -> None:
    """Without rooms the page says so in words."""
    assert "No rooms yet." in body(staff, ROOMS)


def test_list_has_pages(staff: Client, settings: Settings) -> None:
    """More rooms than a page holds are on further pages, all of them once or more."""
    settings.REALTIME = {"ADMIN_PAGE_SIZE": 2}
    names = {f"room.{number}" for number in range(12)}
    for name in names:
        publish(name, 1)
    path, seen = ROOMS, set()
    for _ in range(100):
        page = body(staff, path)
        seen |= {name for name in names if f"/{name}/" in page}
        if "Next page" not in page:
            break
        path = f"{ROOMS}?from={page.partition('?from=')[2].partition(chr(34))[0]}"
    assert seen == names
    assert "First page" in page


def test_room_shows_its_history(staff: Client) -> None:
    """A room's page has the newest publications as indented JSON, escaped."""
    publish("chat.lobby", {"text": "<script>"})
    page = body(staff, f"{ROOMS}chat.lobby/")
    assert "&lt;script&gt;" in page
    assert "<script>&quot;" not in page
    assert "{\n  &quot;text&quot;" in page
    assert "1 in epoch" in page
    assert "Nobody is in this room." in page


def test_long_data_are_cut(staff: Client) -> None:
    """A long publication is cut, and the page says how much it leaves out."""
    publish("chat.lobby", "x" * 30_000)
    page = body(staff, f"{ROOMS}chat.lobby/")
    assert "10002 more characters are not shown." in page
    assert len(page) < 40_000


@pytest.mark.parametrize("data", [b"not <json>", b"[" * 500 + b"]" * 500, b"\xff"])
def test_odd_data_are_shown_as_they_are(staff: Client, data: bytes) -> None:
    """What somebody put past the checks into a room does not break its page."""
    async_to_sync(sharded_layer().publish)("chat.lobby", data)
    assert "1 publication" in body(staff, f"{ROOMS}chat.lobby/")


def test_unknown_room_is_an_empty_room(staff: Client) -> None:
    """A room that nobody used is shown as such; what can't be a room is not found."""
    assert "Nothing is kept" in body(staff, f"{ROOMS}nobody/")
    assert staff.get(f"{ROOMS}no%20room/").status_code == 404


def test_opening_a_room_by_name(staff: Client) -> None:
    """The field opens a room; a name that can't be is told."""
    response = staff.get(ROOMS, {"q": " chat.lobby "})
    assert (response.status_code, response["Location"]) == (302, f"{ROOMS}chat.lobby/")
    assert "No room can have that name." in body(staff, f"{ROOMS}?q=no+room")


def test_dead_redis_has_a_row(staff: Client, settings: Settings) -> None:
    """Without Redis the pages stay and say which server does not answer."""
    port = free_port()
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[f"redis://:secret@127.0.0.1:{port}"], publish_timeout=0.3
    )
    for page in (body(staff, ROOMS), body(staff, f"{ROOMS}general/")):
        assert str(port) in page
        assert "secret" not in page


def test_memory_layer_is_shown_too(staff: Client, settings: Settings) -> None:
    """The pages work on the layer in memory."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[f"memory://{uuid4().hex}"])
    publish("general", 1)
    assert "general" in body(staff, ROOMS)


def test_admin_index_links_to_the_rooms(staff: Client) -> None:
    """The admin's first page has Rooms, to view only."""
    page = body(staff, "/admin/")
    assert f'href="{ROOMS}"' in page
    assert f"{ROOMS}add/" not in page


def test_only_staff_with_the_permission_may_look(client: Client) -> None:
    """Nobody else gets in: not signed in, not of the staff, without the permission."""
    paths = (ROOMS, f"{ROOMS}general/")
    for path in paths:
        assert "/admin/login/" in client.get(path)["Location"]
    client.force_login(User.objects.create_user("guest"))
    for path in paths:
        assert "/admin/login/" in client.get(path)["Location"]
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    for path in paths:
        assert client.get(path).status_code == 403


def test_nothing_can_be_changed(staff: Client) -> None:
    """There is no page to add or delete a room."""
    assert staff.get(f"{ROOMS}general/delete/").status_code == 404
    assert "Nothing is kept" in body(staff, f"{ROOMS}add/")  # a room of that name


def test_second_admin_site_is_not_left(staff: Client, settings: Settings) -> None:
    """The search and every link of a page lead to the admin site that the page is of."""
    settings.ROOT_URLCONF = "tests.realtime.two_admins"
    publish("chat.lobby", 1)
    settings.REALTIME = {"ADMIN_PAGE_SIZE": 1}
    rooms = ROOMS.replace("/admin/", "/second/")
    response = staff.get(rooms, {"q": "chat.lobby"})
    assert response["Location"] == f"{rooms}chat.lobby/"
    for page in (rooms, f"{rooms}?q=no+room", f"{rooms}?from=-", response["Location"]):
        links = re.findall(r'(?:href|action)="(/[^"]*)"', body(staff, page))
        assert not [link for link in links if link.startswith("/admin/")]
        assert "/second/" in links
    assert f'href="{rooms}chat.lobby/"' in every_page(staff, rooms)


def every_page(client: Client, path: str) -> str:
    """Return the pages of the list from `path` on, joined."""
    pages = [body(client, path)]
    while following := re.search(r'href="(\?from=[^"]*)">Next', pages[-1]):
        pages.append(body(client, f"{path}{following[1]}"))
    return "".join(pages)
