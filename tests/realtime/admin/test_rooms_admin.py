"""The admin's Rooms pages."""

from __future__ import annotations

import re
from urllib.parse import urljoin
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
    assert "1 to 2 of 2" in page


def test_list_says_that_there_is_nothing(staff: Client) -> None:
    """Without rooms the page says so in words."""
    assert "No rooms yet." in body(staff, ROOMS)


def test_list_has_pages(staff: Client, settings: Settings) -> None:
    """Each room is on one page, in the order asked for, and nothing is behind the last."""
    settings.REALTIME = {"ADMIN_PAGE_SIZE": 5, "CHECK_TIMEOUT": 10}
    names = [f"room.{number:02}" for number in range(12)]
    for name in names:
        publish(name, 1)
    path, seen = f"{ROOMS}?sort=name", []
    for _ in names:
        page = body(staff, path)
        seen += re.findall(rf'href="{ROOMS}([^"/]+)/"', page)
        following = re.search(r'href="([^"]*)" rel="next"', page)
        if following is None:
            break
        path = ROOMS + following[1].replace("&amp;", "&")
    assert seen == names
    assert 'rel="prev"' in page
    assert "11 to 12 of 12" in page


def test_list_is_narrowed(staff: Client) -> None:
    """A beginning and a shard leave the rooms that fit; the field keeps what was typed."""
    publish("chat.lobby", 1)
    publish("news", 1)
    page = body(staff, f"{ROOMS}?q=chat.")
    assert f'href="{ROOMS}chat.lobby/"' in page
    assert f'href="{ROOMS}news/"' not in page
    assert 'value="chat."' in page
    assert "1 room of 2" in page
    shard = sharded_layer().shard_of("news")
    assert f'href="{ROOMS}news/"' in body(staff, f"{ROOMS}?shard={shard}")
    assert f'href="{ROOMS}news/"' not in body(staff, f"{ROOMS}?shard={(shard + 1) % 32}")
    assert "No room fits that." in body(staff, f"{ROOMS}?q=none")


@pytest.mark.parametrize(
    "query",
    ["page=-1", "page=99999999999", "page=x", "shard=99", "shard=x", "sort=x", "shard=\u0661"],
)
def test_odd_questions_show_the_list(staff: Client, query: str) -> None:
    """What can't be asked is left out."""
    publish("news", 1)
    assert f'href="{ROOMS}news/"' in body(staff, f"{ROOMS}?{query}")


def test_what_is_asked_is_escaped(staff: Client) -> None:
    """Markup in the address stays text, in the field and in the links."""
    publish("news", 1)
    page = body(staff, f"{ROOMS}?q=%3Cscript%3E&sort=%22%3E%3Cscript%3E&x=%3Cscript%3E")
    assert "<script>" not in page[page.index("content-main") : page.index("END Content")]
    assert "No room can have that name" in page


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
    assert "10,002 more characters are not shown." in page
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
    """A whole name that is searched for has a link, whether or not there is such a room."""
    assert f'href="{ROOMS}nobody/"' in body(staff, f"{ROOMS}?q=+nobody+")


@pytest.mark.parametrize(
    "name",
    ["with_underscore", "with_5Funderscore", "add", "a-b.C", ".", "..", "..."],
)
def test_every_name_has_its_page(staff: Client, name: str) -> None:
    """The address of a room leads to it, whatever the admin does with such characters."""
    publish(name, 1)
    page = body(staff, ROOMS)
    [address] = re.findall(rf'href="({ROOMS}[^"?]+)"', page)
    followed = urljoin(f"http://testserver{ROOMS}", address).removeprefix("http://testserver")
    assert f"<title>{name} |" in body(staff, followed)


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
    """Every link of a page leads to the admin site that the page is of."""
    settings.ROOT_URLCONF = "tests.realtime.two_admins"
    publish("chat.lobby", 1)
    rooms = ROOMS.replace("/admin/", "/second/")
    for page in (rooms, f"{rooms}?q=nobody", f"{rooms}chat.lobby/"):
        links = re.findall(r'(?:href|action)="(/[^"]*)"', body(staff, page))
        assert not [link for link in links if link.startswith("/admin/")]
        assert "/second/" in links
    assert f'href="{rooms}chat.lobby/"' in body(staff, rooms)
