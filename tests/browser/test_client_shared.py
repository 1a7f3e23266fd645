"""Tabs of one browser that share a connection, against real workers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocket

from realtime.room_tokens import sign_room
from tests.browser.direct_publisher import direct_publisher
from tests.browser.recorder import RecordingClient, asleep, wait_in
from tests.browser.stack import Workers
from tests.browser.visitors import WORKER_IS_DOWN, Visitors
from tests.realtime.test_room_tokens import is_too_old

BEGINNING = {"offset": 0, "epoch": ""}
Open = Callable[[], Page]


class Sockets:
    """The WebSockets of several tabs.

    Attributes:
        opened: How often each tab opened one.
        sent: The commands that were sent, over all of them, without pings.
    """

    def __init__(self) -> None:
        self.opened: list[Page] = []
        self.sent: list[dict[str, Any]] = []

    def watch(self, page: Page) -> None:
        """Note what a tab opens and sends from now on."""

        def opened(socket: WebSocket) -> None:
            self.opened.append(page)
            socket.on("framesent", lambda frame: self._sent(json.loads(frame)))

        page.on("websocket", opened)

    def of(self, command: str) -> list[Any]:
        """Return what was sent of a kind of command."""
        return [frame[command] for frame in self.sent if command in frame]

    def _sent(self, frame: dict[str, Any]) -> None:
        if "ping" not in frame:
            self.sent.append(frame)


@pytest.fixture
def sockets() -> Sockets:
    """What the tabs of `open_tab` open and send."""
    return Sockets()


@pytest.fixture
def open_tab(tab: Page, workers: Workers, sockets: Sockets) -> Open:
    """Opens tabs of one browser, in one window of which others stay visible."""
    sockets.watch(tab)
    tabs = [tab]

    def open_tab() -> Page:
        if len(tabs) == 1 and not tabs[0].evaluate("'client' in globalThis"):
            return tabs[0]
        page = tab.context.new_page()
        sockets.watch(page)
        page.goto(f"{workers.first.url}health/live")
        tabs.append(page)
        return page

    return open_tab


def follower(page: Page, *rooms: str, share: str = "ada", **options: Any) -> RecordingClient:
    """Return a client that shares with those of the same name."""
    return RecordingClient(page, *rooms, share=share, **options)


def test_tabs_share_one_connection(open_tab: Open, sockets: Sockets) -> None:
    """Three tabs have one WebSocket; each gets what its rooms get, once and in order."""
    clients = [follower(open_tab(), "chat.s1", f"chat.own{n}") for n in range(3)]
    for client in clients:
        client.wait("live", 0)
    assert len(sockets.opened) == 1
    for n, client in enumerate(clients):
        client.publish("chat.s1", n)
        client.publish(f"chat.own{n}", f"own {n}")
    for client in clients:
        client.wait("live", 4)
    for n, client in enumerate(clients):
        told = client.run("told.data")
        assert [each["data"] for each in told if each["room"] == "chat.s1"] == [0, 1, 2]
        assert [each["data"] for each in told if each["room"] != "chat.s1"] == [f"own {n}"]
        assert client.events("gap") == client.events("error") == []
    assert len(sockets.opened) == 1


def test_other_people_have_their_own(open_tab: Open, sockets: Sockets) -> None:
    """Tabs share with those that name the same person, and with no others."""
    clients = [follower(open_tab(), "chat.s2", share=name) for name in ("ada", "bob", "ada")]
    for client in clients:
        client.wait("live", 0)
    assert len(sockets.opened) == 2


def test_a_private_window_has_its_own(
    open_tab: Open, workers: Workers, sockets: Sockets, browser: Browser
) -> None:
    """The browser keeps its channels and locks apart, whatever the page says."""
    first = follower(open_tab(), "chat.s2")
    first.wait("live", 0)
    with browser.new_context() as context:
        page = context.new_page()
        sockets.watch(page)
        page.goto(f"{workers.first.url}health/live")
        second = follower(page, "chat.s2")
        second.wait("live", 0)
        assert len(sockets.opened) == 2
        second.publish("chat.s2", "both get it")
        second.wait("live", 1)
        first.wait("live", 1)


def test_a_tab_that_comes_later_gets_the_past(open_tab: Open) -> None:
    """It replays what the room holds to the tab that asks; the others get nothing twice."""
    first = follower(open_tab(), "chat.s3")
    first.wait("live", 0)
    for n in range(400):  # more than an answer holds, with their padding
        first.run("(n) => client.publish('chat.s3', { n, pad: 'x'.repeat(3000) })", n)
    first.wait("live", 400)
    page = open_tab()
    second = follower(page, "chat.s3", since=BEGINNING)
    page.wait_for_function("told.data.length >= 300")
    first.publish("chat.s3", {"n": 400})
    first.wait("live", 401)
    page.wait_for_function("told.data.at(-1)?.data.n === 400")
    assert [each["n"] for each in first.data] == list(range(401))
    numbers = [each["n"] for each in second.data]
    assert numbers == list(range(numbers[0], 401))
    assert first.events("gap") == second.events("gap") == []


def test_the_last_tab_leaves_a_room(open_tab: Open, sockets: Sockets) -> None:
    """A room is left when no tab is in it any more, by word or because the tab is closed."""
    first = follower(open_tab(), "chat.keep")
    first.wait("live", 0)
    second_page, third_page = open_tab(), open_tab()
    second = follower(second_page, "chat.keep", "chat.leave", "chat.closed")
    third = follower(third_page, "chat.leave")
    second.wait("live", 0)
    third.wait("live", 0)
    for client in (second, third):
        client.run("""() => {
          const room = client.subscribe("chat.leave", () => {});
          room.addEventListener("subscribed", () => room.unsubscribe());
        }""")
    second_page.close()
    wait_in(
        third_page,
        lambda: {"room": "chat.closed"} in sockets.of("unsubscribe"),
        "the room of the closed tab was not left",
    )
    assert {"room": "chat.keep"} not in sockets.of("unsubscribe")
    third.publish("chat.keep", "still there")
    first.wait("live", 1)


def test_another_tab_takes_over(open_tab: Open, sockets: Sockets) -> None:
    """When the tab that holds the connection is closed, another opens one and resumes."""
    holder = open_tab()
    first = follower(holder, "chat.s5")
    first.wait("live", 0)
    other_page, third_page = open_tab(), open_tab()
    others = [follower(page, "chat.s5") for page in (other_page, third_page)]
    for client in others:
        client.wait("live", 0)
    first.publish("chat.s5", "before")
    for client in others:
        client.wait("live", 1)
    holder.close()
    for page in (other_page, third_page):
        page.wait_for_function("told.states.filter((state) => state === 'live').length > 1")
    assert len(sockets.opened) == 2
    others[0].publish("chat.s5", "after")
    for client in others:
        client.wait("live", 2)
        assert client.data == ["before", "after"]
        assert client.events("gap") == []


def test_a_frozen_tab_loses_the_connection(open_tab: Open, sockets: Sockets) -> None:
    """A tab that holds it and sleeps is passed over; when it wakes it shares that of the others."""
    holder = open_tab()
    first = follower(holder, "chat.s6", heartbeat=500, pongTimeout=6_000)
    first.wait("live", 0)
    other = open_tab()
    second = follower(other, "chat.s6", heartbeat=500, pongTimeout=6_000)
    second.wait("live", 0)
    with asleep(holder):
        other.wait_for_function("told.states.filter((state) => state === 'live').length > 1")
        assert sockets.opened == [holder, other]
        second.publish("chat.s6", "while you slept")
        second.wait("live", 1)
    first.wait("live", 1)
    assert first.data == ["while you slept"]
    assert first.events("gap") == []
    assert sockets.opened == [holder, other]


def test_a_worker_is_killed(
    open_tab: Open, sockets: Sockets, workers: Workers, visitors: Visitors
) -> None:
    """All tabs come back on one new connection, with nothing lost."""
    visitors.expected += WORKER_IS_DOWN
    pages = [open_tab()]
    clients = [follower(pages[0], "chat.s7")]
    clients[0].wait("live", 0)
    pages.append(open_tab())
    clients.append(follower(pages[1], "chat.s7"))
    clients[1].wait("live", 0)
    workers.first.kill()
    try:
        for page in pages:
            page.wait_for_function("told.states.includes('offline')")
    finally:
        workers.first.start()
    for page in pages:
        page.wait_for_function("told.states.at(-1) === 'live'", timeout=60_000)
    clients[0].publish("chat.s7", "back")
    for client in clients:
        client.wait("live", 1)
        assert client.events("gap") == []


def test_a_thousand_messages_a_second(open_tab: Open, workers: Workers) -> None:
    """Two tabs on one connection get 5,000 messages in some seconds: each once, in order."""
    first = follower(open_tab(), "chat.s8")
    first.wait("live", 0)
    second = follower(open_tab(), "chat.s8")
    second.wait("live", 0)
    with direct_publisher(workers.redis.url) as publisher:
        publisher.publish("chat.s8", *({"n": n} for n in range(5_000)), rate=1_000)
    for client in (first, second):
        client.wait("live", 5_000)
    for client in (first, second):
        assert [each["n"] for each in client.data] == list(range(5_000))
        assert client.events("gap") == client.events("error") == []


def test_a_token_that_has_expired_costs_no_tab_the_room(open_tab: Open, workers: Workers) -> None:
    """Who is in the room stays there, whoever shows the old token: again, or for the first time."""
    pages, clients = [], []
    for _ in range(3):
        pages.append(open_tab())
        clients.append(follower(pages[-1]))
        clients[-1].wait("live", 0)
    token = sign_room("orders.s9", expires=12)
    joins = """(token) => new Promise((resolve) => {
      const room = client.subscribe("orders.s9", (data) => told.data.push({ data }), { token });
      room.addEventListener("subscribed", () => resolve(room.state));
      room.addEventListener("left", () => resolve(room.state));
    })"""
    assert clients[0].run(joins, token) == clients[1].run(joins, token) == "joined"
    wait_in(pages[0], lambda: is_too_old("orders.s9", token), "the token does not expire")
    assert clients[0].run("client.history('orders.s9')")["offset"] == 0
    assert clients[1].run("(token) => client.history('orders.s9', { token })", token)["offset"] == 0
    assert clients[2].run(joins, token) == "joined"  # as the connection is in the room
    with direct_publisher(workers.redis.url) as publisher:
        publisher.publish("orders.s9", "paid")
    for page, client in zip(pages, clients, strict=True):
        page.wait_for_function("told.data.length > 0")
        assert client.data == ["paid"]
        assert client.events("error") == []
