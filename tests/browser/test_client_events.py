"""The JavaScript client where no WebSocket gets through, against real workers."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from realtime.room_tokens import sign_room
from tests.browser.direct_publisher import direct_publisher
from tests.browser.recorder import RecordingClient
from tests.browser.stack import Workers
from tests.browser.visitors import WORKER_IS_DOWN, Visitors

BEGINNING = {"offset": 0, "epoch": ""}


@pytest.fixture(autouse=True)
def expected_faults(visitors: Visitors) -> None:
    """Refused WebSockets, and streams that are ended or given up."""
    visitors.expected += [*WORKER_IS_DOWN, "/sse/"]


@pytest.fixture
def other(visitors: Visitors, workers: Workers) -> RecordingClient:
    """A client of the other worker, by WebSocket, which publishes."""
    client = RecordingClient(visitors.open(f"{workers.second.url}health/live"))
    client.wait("live", 0)
    return client


def blocked(tab: Page, *rooms: str, **options: Any) -> RecordingClient:
    """Return a client whose WebSocket is refused: the server has none at this address."""
    return RecordingClient(tab, *rooms, url="/blocked/", sse="/sse/", **options)


def test_falls_back_by_itself(tab: Page, other: RecordingClient) -> None:
    """After three refused handshakes it follows its rooms by Server-Sent Events, and says so."""
    other.publish("chat.e1", "before")
    client = blocked(tab, "chat.e1", since=BEGINNING)
    client.wait("live", 1)
    assert client.run("client.status.transport") == "sse"
    assert 3 <= client.states.count("offline") <= 5  # the other transport is loaded meanwhile
    for n in range(3):
        other.publish("chat.e1", n)
    client.wait("live", 4)
    assert client.data == ["before", 0, 1, 2]
    assert [each["replayed"] for each in client.run("told.data")] == [True, False, False, False]
    assert client.events("error") == client.events("gap") == []


def test_what_events_cannot_do(tab: Page) -> None:
    """A stream only comes: what has to be sent is refused with a code of its own."""
    client = blocked(tab, "chat.e2")
    client.wait("live", 0)
    assert client.publish("chat.e2", 1) == "one_way"
    assert client.run("client.connectionId()") == ""
    assert client.run("client.history('chat.e2').catch(({ code }) => code)") == "one_way"


def test_rooms_come_and_go(tab: Page, other: RecordingClient) -> None:
    """A room that is subscribed to later comes in a new stream; the others go on in it."""
    client = blocked(tab, "chat.e3")
    client.wait("live", 0)
    other.publish("chat.e3", 1)
    client.wait("live", 1)
    client.run("""() => {
      told.room = client.subscribe("chat.e4", (data) => {
        told.data.push({ data });
        document.title = `${told.states.at(-1)} ${told.data.length}`;
      });
      return new Promise((done) => told.room.addEventListener("subscribed", done, { once: true }));
    }""")
    other.publish("chat.e3", 2)
    other.publish("chat.e4", 3)
    client.wait("live", 3)
    assert sorted(client.data) == [1, 2, 3]
    client.run("told.room.unsubscribe()")
    other.publish("chat.e4", 4)
    other.publish("chat.e3", 5)
    client.wait("live", 4)
    assert client.events("gap") == []


def test_a_worker_is_killed(tab: Page, other: RecordingClient, workers: Workers) -> None:
    """It comes back by the same way, and gets what it missed."""
    client = blocked(tab, "chat.e5")
    client.wait("live", 0)
    other.publish("chat.e5", "before")
    client.wait("live", 1)
    workers.first.kill()
    try:
        tab.wait_for_function("told.states.filter((state) => state === 'offline').length > 3")
        other.publish("chat.e5", "meanwhile")
    finally:
        workers.first.start()
    client.wait("live", 2)
    assert client.data == ["before", "meanwhile"]
    assert client.run("client.status.transport") == "sse"
    assert client.events("gap") == []


def test_tabs_share_a_stream(tab: Page, other: RecordingClient, workers: Workers) -> None:
    """A browser opens few streams to a server: tabs that share have one."""
    asked: list[str] = []
    tab.context.on("request", lambda request: asked.append(request.url))
    first = blocked(tab, "chat.e6", share="ada")
    first.wait("live", 0)
    page = tab.context.new_page()
    page.goto(f"{workers.first.url}health/live")
    second = blocked(page, "chat.e6", share="ada")
    second.wait("live", 0)
    other.publish("chat.e6", 1)
    first.wait("live", 1)
    second.wait("live", 1)
    assert len([url for url in asked if "/sse/" in url]) == 2  # the second began with its room


def test_a_wrong_token_costs_the_tab_that_has_it_alone(tab: Page, workers: Workers) -> None:
    """In the address of the stream that tabs share, one token stands for the room."""

    def follow(page: Page, token: str) -> RecordingClient:
        client = blocked(page, share="ada")
        client.run(
            """(token) => {
              client.subscribe("orders.7", (data) => told.data.push({ data }), { token });
            }""",
            token,
        )
        client.wait("live", 0)
        return client

    right = follow(tab, sign_room("orders.7"))
    page = tab.context.new_page()
    page.goto(f"{workers.first.url}health/live")
    wrong = follow(page, "wrong")
    # The stream that they share may be live before it is opened anew with this token.
    page.wait_for_function("told.events.some(({ type }) => type === 'error')")
    assert [event["code"] for event in wrong.events("error")] == ["bad_token"]
    tab.wait_for_function("told.events.filter(({ type }) => type === 'subscribed').length === 2")
    with direct_publisher(workers.redis.url) as publisher:
        publisher.publish("orders.7", "paid")
    tab.wait_for_function("told.data.length > 0")
    assert right.data == ["paid"]
    assert wrong.data == right.events("error") == []


def test_none_is_wanted(tab: Page) -> None:
    """With `sse: false` it tries WebSockets for ever."""
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    client = RecordingClient(tab, "chat.e7", url="/blocked/", sse=False)
    tab.wait_for_function("told.states.filter((state) => state === 'offline').length > 5")
    assert client.run("client.status.transport") == "websocket"
    assert not [url for url in asked if "/sse/" in url]
