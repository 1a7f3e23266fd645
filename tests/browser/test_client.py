"""The JavaScript client against real workers."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, WebSocket

from benchmarks.children import Servant
from demo.embedded import free_port
from realtime.room_tokens import sign_room
from tests.browser.direct_publisher import direct_publisher
from tests.browser.recorder import (
    NOTE_REASONS,
    NOTE_WAITS,
    RecordingClient,
    machine_asleep,
    wait_in,
)
from tests.browser.stack import Worker, Workers
from tests.browser.visitors import WORKER_IS_DOWN, Visitors
from tests.waiting import PATIENCE, wait_until

BEGINNING = {"offset": 0, "epoch": ""}


@pytest.fixture
def other(tab: Page, visitors: Visitors, workers: Workers) -> Page:
    """A page like `tab`, of the other worker."""
    return visitors.open(f"{workers.second.url}health/live")


@pytest.fixture
def restartable(workers: Workers, visitors: Visitors) -> Iterator[Worker]:
    """The worker that serves `tab`, for a test that stops it; afterwards it runs again."""
    visitors.expected += WORKER_IS_DOWN
    yield workers.first
    if workers.first.pid is None:
        workers.first.start()


def frames_of(tab: Page) -> list[dict[str, Any]]:
    """Return a list that fills with the commands that a page sends, without pings."""
    sent: list[dict[str, Any]] = []

    def opened(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: sent.append(json.loads(frame)))

    tab.on("websocket", opened)
    return sent


def test_comes_back_with_a_note(tab: Page, restartable: Worker) -> None:
    """A worker gives the client a note, and the one that is started after it takes the note."""
    heard: list[str] = []

    def opened(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: heard.append(str(frame)))

    tab.on("websocket", opened)
    client = RecordingClient(tab, "chat.note")
    client.wait("live", 0)
    wait_in(tab, lambda: any('"note":{"note":"' in frame for frame in heard), "no note came")
    restartable.kill()
    tab.wait_for_function("told.states.includes('offline')")
    del heard[:]
    restartable.start()
    tab.wait_for_function("told.states.at(-1) === 'live'")
    wait_in(tab, lambda: heard, "no frame is told")
    assert '"resumed":true' in heard[0]


def test_publishing(tab: Page, other: Page) -> None:
    """What one client publishes reaches those of both workers, in order, with offsets."""
    here, there = RecordingClient(tab, "chat.p"), RecordingClient(other, "chat.p")
    here.wait("live", 0)
    there.wait("live", 0)
    replies = [here.publish("chat.p", {"n": n}) for n in range(5)]
    here.wait("live", 5)
    there.wait("live", 5)
    assert here.data == there.data == [{"n": n} for n in range(5)]
    assert [reply["offset"] for reply in replies] == [1, 2, 3, 4, 5]
    assert [each["offset"] for each in there.run("told.data")] == [1, 2, 3, 4, 5]


def test_refusals(tab: Page) -> None:
    """What the server refuses rejects with its code, and the connection goes on."""
    client = RecordingClient(tab, "chat.r")
    client.wait("live", 0)
    assert client.publish("machine.cpu", {}) == "forbidden"
    assert client.publish("no room!", {}) == "bad_room"
    assert client.run("client.ping()") >= 0
    assert client.states == ["connecting", "live"]


def test_history(tab: Page, other: Page) -> None:
    """A client that asks from the beginning gets what the room holds, marked as replayed."""
    first = RecordingClient(tab)
    first.wait("live", 0)
    for n in range(3):
        first.publish("chat.h", n)
    late = RecordingClient(other, "chat.h", since=BEGINNING)
    late.wait("live", 3)
    first.publish("chat.h", 3)
    late.wait("live", 4)
    assert late.data == [0, 1, 2, 3]
    assert [each["replayed"] for each in late.run("told.data")] == [True, True, True, False]
    assert late.events("gap") == []


def test_a_signed_room(tab: Page) -> None:
    """A room that the rules close to a visitor opens with a token that the server signed."""
    token = sign_room("orders.7")
    client = RecordingClient(tab)
    client.run(
        """(token) => {
          client.subscribe("orders.7", () => {}, { token });
          client.subscribe("orders.8", () => {}, { token });
        }""",
        token,
    )
    client.wait("live", 0)
    wait_in(tab, lambda: client.events("error"), "no error")
    assert [(event["room"], event["code"]) for event in client.events("error")] == [
        ("orders.8", "bad_token")
    ]
    assert [event["room"] for event in client.events("subscribed")] == ["orders.7"]
    assert client.run("(token) => client.history('orders.7', { token })", token)["offset"] == 0
    assert client.publish("orders.7", 1) == "forbidden"


def test_publishing_again(tab: Page, other: Page) -> None:
    """What is sent again under its key is there once, and can be read without joining."""
    here, there = RecordingClient(tab), RecordingClient(other)
    here.wait("live", 0)
    there.wait("live", 0)
    first = here.publish("chat.k", "once", key="k")
    assert there.publish("chat.k", "once", key="k") == first
    assert there.run("client.history('chat.k')") == {
        "room": "chat.k",
        "offset": 1,
        "epoch": first["epoch"],
        "publications": [{"offset": 1, "data": "once"}],
    }


def test_all_rooms_in_one_frame(tab: Page, other: Page, restartable: Worker) -> None:
    """It subscribes to all rooms in one frame, and after a restart resumes all in one frame."""
    sent = frames_of(tab)

    def subscribed() -> list[list[dict[str, Any]]]:
        return [frame["subscribe"] for frame in sent if "subscribe" in frame]

    rooms = [f"chat.f{n}" for n in range(20)]
    client, publisher = RecordingClient(tab, *rooms), RecordingClient(other)
    client.wait("live", 0)
    publisher.wait("live", 0)
    # The browser tells of frames on a way of its own, later than of what the page shows.
    wait_in(tab, lambda: sent, "no frame is told")
    assert [each["room"] for each in sent[0]["subscribe"]] == rooms
    for room in rooms:
        publisher.publish(room, "before")
    client.wait("live", 20)
    restartable.stop()
    tab.wait_for_function("told.states.includes('offline')")
    for room in rooms:
        publisher.publish(room, "meanwhile")
    restartable.start()
    client.wait("live", 40)
    wait_in(tab, lambda: len(subscribed()) > 1, sent)
    again = subscribed()[1:]
    assert len(again) == 1
    assert all(each["offset"] == 1 and len(each["epoch"]) == 8 for each in again[0])
    assert client.data == ["before"] * 20 + ["meanwhile"] * 20
    assert client.events("gap") == []
    assert all(event["recovered"] for event in client.events("subscribed")[20:])


def test_worker_that_stops_says_when_to_come_back(tab: Page, restartable: Worker) -> None:
    """The page waits as long as its worker said, and resumes."""
    told: list[float] = []

    def hear(frame: str | bytes) -> None:
        message = json.loads(frame)
        if "reconnect" in message:
            told.append(message["reconnect"]["after_ms"])

    tab.on("websocket", lambda socket: socket.on("framereceived", hear))
    client = RecordingClient(tab, "chat.stop")
    client.wait("live", 0)
    client.run(NOTE_WAITS)
    client.publish("chat.stop", "before")
    client.wait("live", 1)
    restartable.stop()
    tab.wait_for_function("told.waits.length > 0")
    wait_in(tab, lambda: told, "no frame is told")
    assert client.run("told.waits[0]") == pytest.approx(told[0], abs=100)
    restartable.start()
    tab.wait_for_function("told.states.at(-1) === 'live'")
    assert client.events("gap") == []


def test_lost_history_is_told(
    tab: Page, other: Page, workers: Workers, restartable: Worker
) -> None:
    """When Redis lost everything meanwhile, every room says gap, and goes on."""
    client, publisher = RecordingClient(tab, "chat.g"), RecordingClient(other)
    publisher.wait("live", 0)
    client.wait("live", 0)
    publisher.publish("chat.g", "before")
    client.wait("live", 1)
    restartable.kill()
    tab.wait_for_function("told.states.includes('offline')")
    workers.redis.flush()
    restartable.start()
    tab.wait_for_function("told.states.at(-1) === 'live'")
    assert len(client.events("gap")) == 1
    client.publish("chat.g", "after")
    client.wait("live", 2)
    assert client.data == ["before", "after"]


def test_a_silent_worker(tab: Page, restartable: Worker) -> None:
    """A worker that stops answering is noticed: first behind, then cut off, then back."""
    client = RecordingClient(tab, "chat.s", heartbeat=200, behindAfter=300, pongTimeout=4_000)
    client.wait("live", 0)
    client.run("told.states.length = 0")  # it may have been behind before, on a busy machine
    assert restartable.pid is not None
    os.kill(restartable.pid, signal.SIGSTOP)
    try:
        tab.wait_for_function("told.states.includes('offline')")
    finally:
        os.kill(restartable.pid, signal.SIGCONT)
    states = client.states
    assert states[: states.index("offline") + 1][-2:] == ["behind", "offline"]
    client.wait("live", 0)


def test_closing(tab: Page) -> None:
    """A closed client stays away, and connects again with its rooms when told to."""
    client = RecordingClient(tab, "chat.c")
    client.wait("live", 0)
    client.run("client.close()")
    assert client.run("client.status") == {
        "state": "offline", "lag": 0, "retryAt": None, "final": True,
        "reason": "Closed by this page.", "transport": "websocket",
    }  # fmt: skip
    client.run("client.connect()")
    client.wait("live", 0)
    client.publish("chat.c", "here")
    client.wait("live", 1)


def test_several_handlers_of_a_room(tab: Page) -> None:
    """Two handlers get each message; one that joins later gets the past that it asks for."""
    client = RecordingClient(tab, "chat.o")
    client.wait("live", 0)
    again = """(since) => client.subscribe("chat.o", (data, { offset, replayed }) => {
      told.data.push({ room: "again", data, offset, replayed });
      document.title = `${told.states.at(-1)} ${told.data.length}`;
    }, { since })"""
    client.publish("chat.o", "one")
    client.wait("live", 1)
    client.run(f"() => {{ ({again})({{ offset: 0, epoch: '' }}); }}")
    client.wait("live", 2)
    client.publish("chat.o", "two")
    client.wait("live", 4)
    told = [(each["room"], each["data"], each["replayed"]) for each in client.run("told.data")]
    assert told[:2] == [("chat.o", "one", False), ("again", "one", True)]
    assert sorted(told[2:]) == [("again", "two", False), ("chat.o", "two", False)]


def test_leaving_and_joining_in_one_turn(tab: Page) -> None:
    """Who leaves a room and subscribes at once again is in it."""
    client = RecordingClient(tab, "chat.t")
    client.wait("live", 0)
    client.run("() => { told.room = client.subscribe('chat.q', () => {}); }")
    client.run("() => { told.room.unsubscribe(); client.subscribe('chat.q', () => {}); }")
    client.publish("chat.t", "still there")
    client.wait("live", 1)


@pytest.fixture
def impatient(workers: Workers, tmp_path: Path) -> Iterator[Worker]:
    """A third worker, which soon gives up a client that answers no ping."""
    with Worker(
        directory=tmp_path,
        port=free_port(),
        environment=workers.environment,
        options=("--ping-interval", "1", "--ping-timeout", "1"),
    ) as worker:
        yield worker


def given_up(worker: Worker) -> float:
    """Return how many clients a worker closed because they answered no ping."""
    with urlopen(f"{worker.url}metrics", timeout=PATIENCE) as answer:
        figures = answer.read().decode()
    found = re.search(r'^shardlayer_closed_total{.*reason="ping_timeouts".*} (\S+)$', figures, re.M)
    return float(found[1]) if found else 0


def test_a_laptop_that_sleeps(
    browser: Browser, visitors: Visitors, workers: Workers, impatient: Worker
) -> None:
    """Its worker gives it up. What was published before that and after comes when it wakes."""
    visitors.expected += ["favicon.ico", *WORKER_IS_DOWN]
    tab = visitors.open(f"{impatient.url}health/live")
    client = RecordingClient(tab, "chat.z")
    client.wait("live", 0)
    with direct_publisher(workers.redis.url) as publisher:
        publisher.publish("chat.z", 0)
        client.wait("live", 1)
        before = given_up(impatient)
        with machine_asleep(browser):
            publisher.publish("chat.z", 1, 2, 3)
            wait_until(lambda: given_up(impatient) > before)
            publisher.publish("chat.z", 4, 5, 6)
            publisher.settle()
        client.wait("live", 7)
        publisher.publish("chat.z", 7)
    client.wait("live", 8)
    assert client.data == list(range(8))
    again = client.events("subscribed")[1:]
    assert again
    assert all(event["recovered"] for event in again)
    assert client.events("gap") == []


@pytest.fixture
def wire(workers: Workers, tmp_path: Path) -> Iterator[Servant]:
    """A network in front of the first worker, in which everything can vanish."""
    with Servant(
        "wire",
        ["benchmarks.faults.proxy", str(workers.first.port)],
        cpus=frozenset(os.sched_getaffinity(0)),
        folder=tmp_path,
    ) as wire:
        yield wire


def test_a_network_that_goes_silent(visitors: Visitors, workers: Workers, wire: Servant) -> None:
    """Nobody tells the client, which finds out, tries in vain, and then comes back."""
    visitors.expected += ["favicon.ico", *WORKER_IS_DOWN]
    port = wire.ask("open", PATIENCE)["port"]
    tab = visitors.open(f"http://127.0.0.1:{port}/health/live")
    client = RecordingClient(tab, "chat.y", heartbeat=300, pongTimeout=1_000, openTimeout=1_000)
    client.wait("live", 0)
    client.run(NOTE_REASONS)
    with direct_publisher(workers.redis.url) as publisher:
        publisher.publish("chat.y", 0)
        client.wait("live", 1)
        assert wire.ask("swallow", PATIENCE)["connections"] > 0
        publisher.publish("chat.y", 1, 2, 3)
        tab.wait_for_function("told.reasons.includes('No answer.')")
        publisher.publish("chat.y", 4, 5, 6)
        publisher.settle()
        assert client.data == [0]
        wire.ask("restore", PATIENCE)
        client.wait("live", 7)
        publisher.publish("chat.y", 7)
    client.wait("live", 8)
    assert client.data == list(range(8))
    assert client.run("told.reasons[0]") == "The server is silent."
    assert client.events("gap") == []


def test_a_thousand_messages_a_second(tab: Page, workers: Workers) -> None:
    """A tab with a connection of its own gets each once, in order."""
    client = RecordingClient(tab, "chat.x")
    client.wait("live", 0)
    with direct_publisher(workers.redis.url) as publisher:
        publisher.publish("chat.x", *range(1_000), rate=1_000)
    client.wait("live", 1_000)
    assert client.data == list(range(1_000))
    assert client.events("gap") == client.events("error") == []
