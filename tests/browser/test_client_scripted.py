"""The JavaScript client against a server that says what the test wants."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.recorder import RecordingClient
from tests.browser.scripted import ScriptedServer, subscribed


def join_at(offset: int, *publications: int, **more: Any) -> Any:
    """Return an answer to every subscribe: the room is at `offset`."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        if "subscribe" in command:
            server.say(id=command["id"], subscribed=[subscribed(offset, *publications, **more)])

    return answer


def test_a_hole_is_asked_about(tab: Page) -> None:
    """When a push skips an offset the client asks again, and delivers all in order, once."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        asked = command["subscribe"][0]
        if "offset" not in asked:
            server.say(id=command["id"], subscribed=[subscribed(5)])
            for offset in (6, 9, 10):
                server.say(room="r", offset=offset, data=offset)
        else:
            assert asked == {"room": "r", "offset": 6, "epoch": "e"}
            server.say(id=command["id"], subscribed=[subscribed(9, 7, 8, 9)])

    ScriptedServer(tab, answer)
    client = RecordingClient(tab, "r")
    client.wait("live", 5)
    assert client.data == [6, 7, 8, 9, 10]
    assert client.events("gap") == []


def test_a_hole_that_stays_is_told(tab: Page) -> None:
    """When the server can't fill a hole either, the client says so and goes on."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        first = "offset" not in command["subscribe"][0]
        item = subscribed(5) if first else subscribed(9, recovered=False)
        server.say(id=command["id"], subscribed=[item])
        if first:
            server.say(room="r", offset=9, data=9)
        else:
            server.say(room="r", offset=10, data=10)

    ScriptedServer(tab, answer)
    client = RecordingClient(tab, "r")
    client.wait("live", 1)
    assert client.data == [10]
    assert [event["position"]["offset"] for event in client.events("gap")] == [9]


def test_a_reset_is_told(tab: Page) -> None:
    """When the server lost track the client is told, and counts from there."""
    server = ScriptedServer(tab, join_at(5))
    client = RecordingClient(tab, "r")
    client.wait("live", 0)
    server.say(room="r", reset={"offset": 2, "epoch": "f"})
    server.say(room="r", offset=3, data="three")
    client.wait("live", 1)
    assert [event["position"] for event in client.events("gap")] == [{"offset": 2, "epoch": "f"}]
    assert len(server.commands) == 1


@pytest.mark.parametrize("code", [1003, 1009, 4003, 4009])
def test_it_stays_away(code: int, tab: Page) -> None:
    """After a close code that says "don't come back" the client doesn't, and says why."""
    server = ScriptedServer(tab, join_at(5))
    client = RecordingClient(tab, "r")
    client.wait("live", 0)
    server.close(code)
    client.wait("offline", 0)
    status = client.run("client.status")
    assert status["final"] is True
    assert status["retryAt"] is None
    assert status["reason"]
    assert client.publish("r", {}) == "offline"
    client.run("client.connect()")
    client.wait("live", 0)
    assert server.connections == 2


@pytest.mark.parametrize("code", [1001, 1011, 1012, 4008])
def test_it_comes_back(code: int, tab: Page) -> None:
    """After any other close code it resumes from its offset."""
    server = ScriptedServer(tab, join_at(5))
    client = RecordingClient(tab, "r")
    client.wait("live", 0)
    server.close(code)
    tab.wait_for_function("told.states.length === 5")
    assert client.states == ["connecting", "live", "offline", "connecting", "live"]
    assert server.commands[-1]["subscribe"] == [{"room": "r", "offset": 5, "epoch": "e"}]


def test_a_room_without_history_can_not_recover(tab: Page) -> None:
    """Coming back to a room that keeps no history is a gap: nobody knows what was missed."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        item = {"room": "r", "recovered": False, "publications": []}
        server.say(id=command["id"], subscribed=[item])
        server.say(room="r", data="pushed")

    server = ScriptedServer(tab, answer)
    client = RecordingClient(tab, "r")
    client.wait("live", 1)
    assert client.events("gap") == []
    server.close(1012)
    client.wait("live", 2)
    assert len(client.events("gap")) == 1
    assert [command["subscribe"] for command in server.commands] == [[{"room": "r"}]] * 2


def test_a_refused_room_is_over(tab: Page) -> None:
    """A room that is forbidden is told, not asked for again, and the others go on."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        refusal = {"room": "no", "error": {"code": "forbidden", "message": "Not yours."}}
        items = [
            refusal if each["room"] == "no" else subscribed(5) for each in command["subscribe"]
        ]
        server.say(id=command["id"], subscribed=items)

    server = ScriptedServer(tab, answer)
    client = RecordingClient(tab, "no", "r")
    client.wait("live", 0)
    assert [(e["code"], e["room"]) for e in client.events("error")] == [("forbidden", "no")]
    server.close(1012)
    tab.wait_for_function("told.states.length === 5")
    assert [each["room"] for each in server.commands[-1]["subscribe"]] == ["r"]


def test_an_unavailable_room_is_asked_again(tab: Page) -> None:
    """A room whose shard is down is joined once it is back, on the same connection."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        refusal = {"room": "r", "error": {"code": "unavailable", "message": "Try again."}}
        item = refusal if len(server.commands) == 1 else subscribed(5)
        server.say(id=command["id"], subscribed=[item])
        if len(server.commands) == 2:
            server.say(room="r", offset=6, data="back")

    server = ScriptedServer(tab, answer)
    client = RecordingClient(tab, "r")
    client.wait("live", 1)
    assert server.connections == 1
    assert [event["code"] for event in client.events("error")] == ["unavailable"]


def test_it_signs_in_first(tab: Page) -> None:
    """With a token, connect goes first and the rooms wait for its reply."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        if "connect" in command:
            server.say(id=command["id"], connected={"node": "n", "user": "ada"})
        else:
            join_at(5)(server, command)

    server = ScriptedServer(tab, answer)
    RecordingClient(tab, "r", token="secret").wait("live", 0)
    assert server.commands[0]["connect"] == {"token": "secret"}
    assert "subscribe" in server.commands[1]


def test_a_bad_token_is_final(tab: Page) -> None:
    """A token that is refused is told, and not tried again."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        server.say(id=command["id"], error={"code": "bad_token", "message": "Too old."})

    server = ScriptedServer(tab, answer)
    client = RecordingClient(tab, "r", token="old")
    client.wait("offline", 0)
    assert client.run("client.status.final") is True
    assert [event["code"] for event in client.events("error")] == ["bad_token"]
    assert len(server.commands) == 1


def test_no_reply(tab: Page) -> None:
    """A request without a reply is given up after its time; one too large is not sent."""
    server = ScriptedServer(tab, join_at(5))
    client = RecordingClient(tab, "r", requestTimeout=200)
    client.wait("live", 0)
    assert client.publish("r", "x") == "timeout"
    sent = len(server.commands)
    assert client.publish("r", "x" * 70_000) == "too_large"
    assert client.publish("r", "ü" * 33_000) == "too_large"
    assert len(server.commands) == sent


def test_lost_on_the_way(tab: Page) -> None:
    """What was sent when the connection went rejects as lost: it may have arrived."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        join_at(5)(server, command)
        if "publish" in command:
            server.close(1012)

    ScriptedServer(tab, answer)
    client = RecordingClient(tab, "r")
    client.wait("live", 0)
    assert client.publish("r", "x") == "lost"


def test_old_data_is_behind(tab: Page) -> None:
    """Data that was made long ago means behind; data of now means live again."""
    server = ScriptedServer(tab, join_at(0))
    client = RecordingClient(tab, "other")
    client.run(
        """async () => {
          client.close();
          const { RealtimeClient } = await import("/static/realtime/client.js");
          const watching = new RealtimeClient("/ws/", { sentAt: (data) => Date.now() - data });
          watching.addEventListener("state", () => {
            const { state, lag } = watching.status;
            document.title = `${state} ${Math.round(lag / 1000)}`;
          });
          watching.subscribe("r", () => {});
          watching.connect();
        }"""
    )
    client.wait("live", 0)
    server.say(room="r", offset=1, data=3_100)
    client.wait("behind", 3)
    server.say(room="r", offset=2, data=10)
    client.wait("live", 0)


def test_a_failing_handler_hurts_no_other(tab: Page) -> None:
    """An exception in a handler is reported, and the next message is delivered."""
    server = ScriptedServer(tab, join_at(0))
    client = RecordingClient(tab)
    client.run(
        """() => {
          addEventListener("error", (event) => {
            event.preventDefault();
            document.title = `${told.seen} reported ${event.message}`;
          });
          told.seen = [];
          client.subscribe("r", (data) => {
            told.seen.push(data);
            throw new Error("mine");
          });
        }"""
    )
    tab.wait_for_function("told.events.length === 1")
    server.say(room="r", offset=1, data="a")
    server.say(room="r", offset=2, data="b")
    tab.wait_for_function("document.title.startsWith('a,b reported')")


def test_leaving_is_at_once(tab: Page) -> None:
    """After unsubscribe the handler hears nothing, not even what was on its way."""
    server = ScriptedServer(tab, join_at(0))
    client = RecordingClient(tab)
    client.run(
        """() => {
          told.room = client.subscribe("r", (data) => {
            told.data.push(data);
            told.room.unsubscribe();
          });
        }"""
    )
    tab.wait_for_function("told.events.length === 1")
    server.say(room="r", offset=1, data="heard")
    server.say(room="r", offset=2, data="not heard")
    tab.wait_for_function("told.data.length === 1")
    server.say(room="r", offset=3, data="nor this")
    assert client.run("client.ping()") >= 0
    assert client.run("told.data") == ["heard"]
    assert server.commands[-1]["unsubscribe"] == {"room": "r"}
