"""What the staff may do to a room."""

from __future__ import annotations

import time

import orjson
import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django import Settings

from demo.embedded import free_port
from realtime import disconnect, history, publish
from realtime.rooms.room_names import CONTROL_ROOM, OWN_ROOMS
from realtime.sharded_layer import sharded_layer
from tests.realtime.admin.staff import body, make_staff
from tests.realtime.conftest import channel_layers

ROOM = "/admin/realtime/room/chat.lobby/"
EVERYTHING = ("view_room", "publish_room", "disconnect_room")

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_of_admin")]


@pytest.fixture
def operator(client: Client) -> Client:
    """The browser of somebody who may do everything to rooms."""
    client.force_login(make_staff(*EVERYTHING, name="operator"))
    return client


def logged() -> list[tuple[str, str]]:
    """Return the room and the text of each entry of the admin's log."""
    return [(entry.object_id or "", entry.change_message) for entry in LogEntry.objects.all()]


def told(client: Client) -> str:
    """Return the page to which an action leads."""
    return body(client, ROOM)


def test_publishing(operator: Client) -> None:
    """What was typed is published as JSON, logged, and told."""
    answer = operator.post(ROOM, {"action": "publish", "json": '{"text": "<b>"}'})
    assert (answer.status_code, answer["Location"]) == (302, ROOM)
    assert [each.data for each in history("chat.lobby").publications] == [{"text": "<b>"}]
    assert logged() == [("chat.lobby", "Published 14 bytes to chat.lobby.")]
    page = told(operator)
    assert "Published 14 bytes" in page
    assert "&lt;b&gt;" in page
    assert "<b>&quot;" not in page


@pytest.mark.parametrize(
    "text", ["{not json}", "", "<script>alert(1)</script>", "[" * 400 + "]" * 400]
)
def test_what_is_no_json_is_not_published(operator: Client, text: str) -> None:
    """The page says what is wrong and keeps what was typed, escaped."""
    answer = operator.post(ROOM, {"action": "publish", "json": text})
    assert answer.status_code == 200
    page = answer.content.decode()
    assert any(word in page for word in ("That is not JSON", "required", "nested too deeply"))
    assert "<script>alert" not in page
    assert logged() == []
    assert history("chat.lobby").publications == []


@pytest.mark.parametrize("action", ["publish", "announce"])
def test_what_is_too_large_is_said(operator: Client, action: str) -> None:
    """The page says so, and nothing is logged."""
    answer = operator.post(ROOM, {"action": action, "json": f'"{"x" * 1_100_000}"'})
    assert answer.status_code == 302
    assert "the limit is 1,048,576 bytes" in told(operator)
    assert logged() == []


def test_announcing(operator: Client) -> None:
    """An announcement is kept in no room, and logged."""
    operator.post(ROOM, {"action": "announce", "json": "7"})
    assert logged() == [("chat.lobby", "Announced 1 byte to everybody.")]
    assert history("chat.lobby").publications == []


@pytest.mark.parametrize(
    ("action", "text"),
    [
        ("put_out", "Put user 7 out of chat.lobby."),
        ("disconnect", "Disconnected user 7 everywhere."),
    ],
)
def test_disconnecting(operator: Client, action: str, text: str) -> None:
    """The workers are told, and the log has it; the user need not exist any more."""
    operator.post(ROOM, {"action": action, "user": "7"})
    assert logged() == [("chat.lobby", text)]
    layer = sharded_layer()
    [order] = layer.wait_for(lambda: layer.history(CONTROL_ROOM))
    assert b'"7"' in order.data
    assert (b"chat.lobby" in order.data) == (action == "put_out")


@pytest.mark.parametrize("room", sorted(OWN_ROOMS))
def test_the_workers_own_rooms_are_left_alone(client: Client, room: str) -> None:
    """Who may publish can neither sign somebody out by that, nor have it forgotten who was."""
    layer = sharded_layer()
    disconnect(8)
    before = layer.wait_for(lambda: layer.history(CONTROL_ROOM))
    assert any(b'"8"' in order.data for order in before)
    client.force_login(make_staff("view_room", "publish_room"))
    forged = orjson.dumps({"at": time.time(), "user": "7"}).decode()
    for action in ("publish", "clear"):
        answer = client.post(f"/admin/realtime/room/{room}/", {"action": action, "json": forged})
        assert answer.status_code == 302
        assert "own rooms" in body(client, ROOM)
    assert logged() == []
    assert layer.wait_for(lambda: layer.history(CONTROL_ROOM)) == before


def test_closing_one_connection(operator: Client) -> None:
    """All workers are told; what names no connection is refused."""
    name = "Zk3xw91abQ0p-_7c"
    operator.post(ROOM, {"action": "close", "connection": name})
    assert logged() == [("chat.lobby", f"Told all workers to close the connection {name}.")]
    answer = operator.post(ROOM, {"action": "close", "connection": "7"}, follow=True)
    assert "is not the id of a connection" in answer.content.decode()
    assert len(logged()) == 1


@pytest.mark.parametrize("user", ["", "nobody", "x" * 300])
def test_who_is_no_user_is_not_disconnected(operator: Client, user: str) -> None:
    """What can't be a primary key is said, and nothing is logged."""
    answer = operator.post(ROOM, {"action": "disconnect", "user": user}, follow=True)
    page = answer.content.decode()
    assert "Nothing was done" in page or "neither a user nor the primary key" in page
    assert logged() == []


def test_clearing_the_history(operator: Client) -> None:
    """What the room held is gone, and its offsets go on."""
    publish("chat.lobby", 1)
    operator.post(ROOM, {"action": "clear"})
    assert logged() == [("chat.lobby", "Cleared the history of chat.lobby.")]
    assert history("chat.lobby").publications == []
    publish("chat.lobby", 2)
    assert [each.offset for each in history("chat.lobby").publications] == [2]


@pytest.mark.parametrize(
    ("permissions", "refused"),
    [
        (
            ("view_room",),
            ["publish", "announce", "clear", "put_out", "disconnect", "close", "x", ""],
        ),
        (("view_room", "publish_room"), ["put_out", "disconnect", "close", "x"]),
        (("view_room", "disconnect_room"), ["publish", "announce", "clear"]),
        (("publish_room", "disconnect_room"), ["publish", "disconnect"]),
    ],
)
def test_each_action_needs_its_permission(
    client: Client, permissions: tuple[str, ...], refused: list[str]
) -> None:
    """Who may not is refused, and shown no form."""
    client.force_login(make_staff(*permissions))
    for action in refused:
        answer = client.post(ROOM, {"action": action, "json": "1", "user": "7"})
        assert answer.status_code == 403
    assert logged() == []
    if "view_room" in permissions:
        page = body(client, ROOM)
        assert ('value="publish"' in page) == ("publish_room" in permissions)
        assert ('value="clear"' in page) == ("publish_room" in permissions)
        assert ('value="disconnect"' in page) == ("disconnect_room" in permissions)


def test_other_sites_can_not_act() -> None:
    """A form without the token of the page is refused."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_staff(*EVERYTHING))
    answer = client.post(ROOM, {"action": "publish", "json": "1"})
    assert answer.status_code == 403
    assert logged() == []
    assert history("chat.lobby").publications == []
    page = body(client, ROOM)
    assert page.count("csrfmiddlewaretoken") >= 3  # of each form
    token = client.cookies["csrftoken"].value
    data = {"action": "publish", "json": "1", "csrfmiddlewaretoken": token}
    assert client.post(ROOM, data).status_code == 302


def test_dead_redis_is_told(operator: Client, settings: Settings) -> None:
    """Nobody knows what became of it, and both the page and the log say so."""
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[f"redis://127.0.0.1:{free_port()}"], publish_timeout=0.2
    )
    operator.post(ROOM, {"action": "publish", "json": "1"})
    [(_, text)] = logged()
    assert "may or may not have been done" in text
    assert "It is unknown whether this was done" in told(operator)


def test_link_of_a_person_fills_in_the_form(operator: Client) -> None:
    """Whoever is in the room can be chosen from the list: the form has their key, escaped."""
    page = body(operator, f"{ROOM}?user=7%22%3E")
    assert 'value="7&quot;&gt;"' in page
    assert "<details open>" in page
