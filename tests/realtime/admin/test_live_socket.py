"""The WebSocket of an open page."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, cast

import orjson
import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.admin import site
from django.contrib.auth.models import User
from pytest_django import Settings

from realtime import apublish
from realtime.admin import live_socket
from realtime.admin.live_tickets import LiveTicket, write_ticket
from realtime.admin.watched_room import LARGEST, WatchedRoom
from realtime.clients.client_counters import counters
from realtime.routing import websocket_application
from realtime.sharded_layer import sharded_layer
from shardlayer import Broadcast
from tests.realtime.admin.staff import make_staff
from tests.realtime.conftest import channel_layers
from tests.realtime.users import cookie_of
from tests.waiting import PATIENCE, until

ROOMS = LiveTicket(site="admin", model="room", view="", query={})

pytestmark = pytest.mark.django_db(transaction=True)  # other threads look at the database


class OpenPage:
    """The socket of a page in somebody's browser."""

    def __init__(self, user: User | None, *, path: str = "/ws/admin/", root_path: str = "") -> None:
        self._user = user
        self._scope: dict[str, Any] = {
            "type": "websocket",
            "path": root_path + path,
            "root_path": root_path,
            "query_string": b"",
            "subprotocols": [],
        }

    async def __aenter__(self) -> Self:
        headers = [(b"host", b"testserver"), (b"origin", b"http://testserver")]
        if self._user is not None:
            cookie = await sync_to_async(cookie_of)(self._user)
            headers.append((b"cookie", cookie.encode()))
        self._scope["headers"] = headers
        communicator: Any = ApplicationCommunicator  # which has no types
        self._socket = communicator(websocket_application, self._scope)
        await self._socket.send_input({"type": "websocket.connect"})
        self.answer = await self.receive()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._socket.send_input({"type": "websocket.disconnect", "code": 1001})
        await self._socket.wait(PATIENCE)

    async def receive(self) -> dict[str, Any]:
        event: dict[str, Any] = await self._socket.receive_output(PATIENCE)
        return event

    async def say(self, text: str) -> dict[str, Any]:
        """Send a text and return what comes of it."""
        await self._socket.send_input({"type": "websocket.receive", "text": text})
        return await self.receive()

    async def show(self, ticket: LiveTicket) -> dict[str, str]:
        """Return the parts that are shown first."""
        return parts_of(await self.say(write_ticket(ticket) or ""))


def parts_of(event: dict[str, Any]) -> dict[str, str]:
    """Return the parts that came."""
    assert event["type"] == "websocket.send", event
    parts: dict[str, str] = json.loads(event["text"])
    return parts


@pytest.fixture(autouse=True)
async def quick_layer(settings: Settings, memory_layer: object) -> None:
    """A layer in memory, and pages that look again at once."""
    settings.REALTIME = {"ADMIN_REFRESH": 0.01, "CHECK_TIMEOUT": 10}


@pytest.fixture
async def viewer() -> User:
    """Somebody of the staff who may look at rooms."""
    return await sync_to_async(make_staff)("view_room")


async def test_page_is_shown_anew_when_it_asks(viewer: User) -> None:
    """The parts come once for the ticket and once for each `next`, with what is new."""
    async with OpenPage(viewer) as page:
        assert page.answer == {"type": "websocket.accept"}
        assert "No rooms yet." in (await page.show(ROOMS))["rooms"]
        await apublish("chat.lobby", 1)

        async def is_shown() -> bool:
            rooms = parts_of(await page.say("next"))["rooms"]
            return 'href="/admin/realtime/room/chat.lobby/"' in rooms

        await until(is_shown)


async def test_links_keep_the_root_path(viewer: User) -> None:
    """Under a root path the links stand below it."""
    await apublish("chat.lobby", 1)
    async with OpenPage(viewer, root_path="/below") as page:
        assert 'href="/below/admin/realtime/room/' in (await page.show(ROOMS))["rooms"]


async def test_links_stay_in_the_admin_site(viewer: User, settings: Settings) -> None:
    """A page of the project's second site links to that one."""
    settings.ROOT_URLCONF = "tests.realtime.two_admins"
    __import__("tests.realtime.two_admins")
    await apublish("chat.lobby", 1)
    async with OpenPage(viewer) as page:
        ticket = LiveTicket(site="second", model="room", view="", query={})
        assert 'href="/second/realtime/room/' in (await page.show(ticket))["rooms"]


def _guest() -> User:
    return User.objects.create_user("guest")


def _clerk() -> User:
    return User.objects.create_user("clerk", is_staff=True)


def _former() -> User:
    user = make_staff("view_room", name="former")
    user.is_active = False
    user.save()
    return user


@pytest.mark.parametrize("make", [_guest, _clerk, _former, None])
async def test_who_may_not_look_is_refused(make: Callable[[], User] | None) -> None:
    """Nobody else sees anything: not signed in, not of the staff, not allowed, not active."""
    user = None if make is None else await sync_to_async(make)()
    async with OpenPage(user) as page:
        answer = await page.say(write_ticket(ROOMS) or "")
        assert answer == {"type": "websocket.close", "code": live_socket.CLOSE_REFUSED}


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "x" * (live_socket.MAX_TEXT + 1),
        write_ticket(LiveTicket(site="none", model="room", view="", query={})),
        write_ticket(LiveTicket(site="admin", model="user", view="", query={})),
        write_ticket(LiveTicket(site="admin", model="room", view="none", query={})),
    ],
    ids=["nonsense", "long", "site", "model", "view"],
)
async def test_other_tickets_are_refused(viewer: User, text: str) -> None:
    """What is no ticket of a page shows nothing."""
    async with OpenPage(viewer) as page:
        answer = await page.say(text)
        assert answer == {"type": "websocket.close", "code": live_socket.CLOSE_REFUSED}


async def test_permission_that_is_taken_away_ends_it(
    viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is there is looked at again while the page is open."""
    monkeypatch.setattr(live_socket, "RECHECK", 0.0)
    async with OpenPage(viewer) as page:
        await page.show(ROOMS)
        await sync_to_async(viewer.user_permissions.clear)()
        assert (await page.say("next"))["code"] == live_socket.CLOSE_REFUSED


async def test_sign_out_ends_it(viewer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is gone shows nothing more."""
    monkeypatch.setattr(live_socket, "RECHECK", 0.0)
    from django.contrib.sessions.models import Session

    async with OpenPage(viewer) as page:
        await page.show(ROOMS)
        await Session.objects.all().adelete()
        assert (await page.say("next"))["code"] == live_socket.CLOSE_REFUSED


async def test_so_many_pages_refresh_themselves(viewer: User, settings: Settings) -> None:
    """One more than ADMIN_MAX_LIVE is told that there are too many; it may come when one goes."""
    settings.REALTIME = {"ADMIN_REFRESH": 0.01, "ADMIN_MAX_LIVE": 1, "CHECK_TIMEOUT": 10}
    before = counters.admin_pages_refused
    async with OpenPage(viewer) as page:
        await page.show(ROOMS)
        async with OpenPage(viewer) as another:
            event = await another.say(write_ticket(ROOMS) or "")
            assert event == {"type": "websocket.close", "code": live_socket.CLOSE_BUSY}
    assert counters.admin_pages_refused == before + 1
    async with OpenPage(viewer) as page:
        assert await page.show(ROOMS)


async def test_strangers_take_no_places(viewer: User, settings: Settings) -> None:
    """Who has shown no ticket, or may not look, does not keep the staff's pages from refreshing."""
    settings.REALTIME = {"ADMIN_REFRESH": 0.01, "ADMIN_MAX_LIVE": 1, "CHECK_TIMEOUT": 10}
    guest = await sync_to_async(_guest)()
    async with OpenPage(None), OpenPage(guest), OpenPage(None), OpenPage(viewer) as page:
        assert await page.show(ROOMS)


async def test_dead_redis_is_said(viewer: User, settings: Settings) -> None:
    """The page goes on to be shown while Redis does not answer."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=["redis://127.0.0.1:1"], publish_timeout=0.1)
    async with OpenPage(viewer) as page:
        assert "127.0.0.1:1" in (await page.show(ROOMS))["rooms"]
        assert "127.0.0.1:1" in parts_of(await page.say("next"))["rooms"]
    await sharded_layer().close()


async def test_project_without_admin_refuses(settings: Settings) -> None:
    """Where there is no admin nothing is served at its address."""
    settings.INSTALLED_APPS = [
        app for app in settings.INSTALLED_APPS if app != "django.contrib.admin"
    ]
    async with OpenPage(None) as page:
        assert page.answer["type"] == "websocket.close"


async def test_site_decides_who_looks(viewer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """An admin site of a project's own is asked, with the request, as for its other pages."""
    asked: list[str] = []

    def has_permission(request: Any) -> bool:
        asked.append(f"{request.path} {request.headers['host']} {request.user.get_username()}")
        return False

    monkeypatch.setattr(site, "has_permission", has_permission)
    async with OpenPage(viewer) as page:
        event = await page.say(write_ticket(ROOMS) or "")
    assert event["code"] == live_socket.CLOSE_REFUSED
    assert asked == [f"/ws/admin/ testserver {viewer.get_username()}"]


async def test_room_without_history_is_watched(viewer: User, settings: Settings) -> None:
    """What comes while it is watched is shown; the page is a member until it closes."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://watched"], history={})
    room, layer = "cursor.lobby", sharded_layer()
    node = await layer.node()
    ticket = LiveTicket(site="admin", model="room", view=f"watch:{room}", query={})
    async with OpenPage(viewer) as page:
        assert "Nothing has come yet" in (await page.show(ticket))["room"]
        assert node.members(room) == 1
        await apublish(room, {"text": "<b>hello</b>"})
        shown: list[str] = []

        async def is_shown() -> bool:
            shown.append(parts_of(await page.say("next"))["room"])
            return "&lt;b&gt;hello" in shown[-1]

        await until(is_shown)
        assert "counts as a connection" in shown[-1]
    await until(lambda: node.members(room) == 0)
    await layer.close()


def test_watching_keeps_no_long_publications() -> None:
    """Of such a one it is shown how long it is; a stranger may send fifty of them."""
    watched = WatchedRoom(cast(Any, None), "cursor.lobby")
    text = orjson.dumps({"room": "cursor.lobby", "data": "x" * LARGEST})
    before = sys.getrefcount(text)
    watched.write(Broadcast([text, b'{"room":"cursor.lobby","data":1}']))
    assert [item.data for item in watched.publications()] == [
        b"1",
        orjson.dumps(f"{len(text):,} bytes: too long to be shown here"),
    ]
    assert sys.getrefcount(text) == before
