"""The JavaScript client against a server that says what the test wants."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.recorder import NOTE_WAITS, RecordingClient
from tests.browser.scripted import ScriptedServer, refuse, subscribed
from tests.browser.visitors import Visitors


def join_at(offset: int, *publications: int, **more: Any) -> Any:
    """Return an answer to every subscribe: the room is at `offset`."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        if "subscribe" in command:
            server.say(id=command["id"], subscribed=[subscribed(offset, *publications, **more)])

    return answer


def at(offset: int, epoch: str = "e") -> dict[str, Any]:
    """Return a position."""
    return {"offset": offset, "epoch": epoch}


def gaps(client: RecordingClient) -> list[tuple[Any, Any, Any]]:
    """Return what the client told of gaps in the room r."""
    events = client.events("gap")
    assert all(event["room"] == "r" for event in events)
    return [(event["since"], event["position"], event["missed"]) for event in events]


def test_who_is_there_is_told_and_asked(tab: Page) -> None:
    """Who came and went is an event of the room, and no publication; nor is what is not known."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        if "subscribe" in command:
            server.say(id=command["id"], subscribed=[subscribed(5)])
            server.say(room="r", presence={"people": 1, "came": [{"person": "7"}], "went": []})
            server.say(room="elsewhere", presence={"people": 1, "came": [], "went": ["8"]})
            server.say(room="r", whatever={"comes": "later"})
            server.say(room="r", offset=6, data=6)
        elif "presence" in command:
            asked = command["presence"]
            assert asked == {"room": "r", "limit": 2}
            page = {"room": "r", "people": 1, "connections": 2, "persons": [{"person": "7"}]}
            server.say(id=command["id"], presence=page)

    ScriptedServer(tab, answer)
    client = RecordingClient(tab, "r")
    client.wait("live", 1)
    assert client.data == [6]
    (event,) = client.events("presence")
    assert (event["room"], event["people"]) == ("r", 1)
    assert (event["came"], event["went"]) == ([{"person": "7"}], [])
    page = client.run("client.presence('r', { limit: 2 })")
    assert (page["people"], page["persons"]) == (1, [{"person": "7"}])
    assert client.events("gap") == client.events("error") == []


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
    assert gaps(client) == [(at(5), at(9), 4)]


def test_too_long_away_is_told(tab: Page) -> None:
    """What the history still had is handed on, and it is said how many it had no more."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        first = "offset" not in command["subscribe"][0]
        item = subscribed(5) if first else subscribed(9, 8, 9, recovered=False)
        server.say(id=command["id"], subscribed=[item])

    server = ScriptedServer(tab, answer)
    client = RecordingClient(tab, "r")
    client.wait("live", 0)
    server.close(1012)
    client.wait("live", 2)
    assert client.data == [8, 9]
    assert gaps(client) == [(at(5), at(9), 2)]
    assert [event["recovered"] for event in client.events("subscribed")] == [True, False]


@pytest.mark.parametrize(("epoch", "offset", "missed"), [("f", 2, None), ("e", 9, 4)])
def test_a_reset_is_told(epoch: str, offset: int, missed: int | None, tab: Page) -> None:
    """When the server lost track the client is told, and counts from there."""
    server = ScriptedServer(tab, join_at(5))
    client = RecordingClient(tab, "r")
    client.wait("live", 0)
    server.say(room="r", reset={"offset": offset, "epoch": epoch})
    server.say(room="r", offset=offset + 1, data="next")
    client.wait("live", 1)
    assert gaps(client) == [(at(5), at(offset, epoch), missed)]
    assert client.data == ["next"]
    assert len(server.commands) == 1


def test_a_reset_while_it_asks_is_told(tab: Page) -> None:
    """A reset that comes before the reply is told by the reply, once."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        if "offset" not in command["subscribe"][0]:
            server.say(id=command["id"], subscribed=[subscribed(5)])
            server.say(room="r", offset=9, data=9)
        else:
            server.say(room="r", reset={"offset": 1, "epoch": "f"})
            item = subscribed(2, 1, 2, recovered=False, epoch="f")
            server.say(id=command["id"], subscribed=[item])

    ScriptedServer(tab, answer)
    client = RecordingClient(tab, "r")
    client.wait("live", 2)
    assert client.data == [1, 2]
    assert gaps(client) == [(at(5), at(2, "f"), None)]


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


def test_it_comes_back_when_it_was_told_to(tab: Page) -> None:
    """A worker that stops chooses the wait, once; what is no number of milliseconds is ignored."""
    server = ScriptedServer(tab, join_at(5))
    client = RecordingClient(tab, "r")
    client.wait("live", 0)
    client.run(NOTE_WAITS)
    for connections, (said, least, most) in enumerate(
        [(3000, 2000, 3000), ("soon", 0, 500), (-1, 0, 500), (None, 0, 500)], start=1
    ):
        if said is not None:
            server.say(reconnect={"after_ms": said})
        server.close(1012)
        tab.wait_for_function(f"told.waits.length === {connections}")
        assert least <= client.run("told.waits.at(-1)") <= most
        client.run("document.dispatchEvent(new Event('visibilitychange'))")  # don't wait
        client.wait("live", 0)
    assert server.connections == 5


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
    assert gaps(client) == [(None, None, None)]
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


def test_a_refused_room_that_nobody_listens_for(tab: Page, visitors: Visitors) -> None:
    """The console has the reason; not where somebody listens."""
    visitors.expected.append("Room unheard: Not yours. (forbidden)")
    ScriptedServer(tab, refuse)
    with tab.expect_console_message(lambda each: each.type == "warning") as warning:
        tab.evaluate(
            """async () => {
              const { RealtimeClient } = await import("/static/realtime/client.js");
              const client = new RealtimeClient("/ws/");
              client.subscribe("heard", () => {}).addEventListener("error", () => {});
              client.subscribe("unheard", () => {});
              client.connect();
            }"""
        )
    assert warning.value.text == "Room unheard: Not yours. (forbidden)"


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
            told.titles.push(document.title);
          });
          told.titles = [];
          watching.subscribe("r", () => {});
          watching.connect();
        }"""
    )
    client.wait("live", 0)
    server.say(room="r", offset=1, data=3_100)
    tab.wait_for_function("told.titles.includes('behind 3')")
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


def test_announcements_are_told(tab: Page) -> None:
    """An announcement reaches a client that has joined nothing, whatever its data are."""
    server = ScriptedServer(tab, join_at(0))
    client = RecordingClient(tab)
    client.wait("live", 0)
    for data in ({"text": "Soon."}, None):
        server.say(announcement=data)
    tab.wait_for_function("told.events.length === 2")
    assert [event["data"] for event in client.events("announcement")] == [{"text": "Soon."}, None]


def test_publishing_again_under_one_key(tab: Page) -> None:
    """With `retryFor` it sends again what may have been lost, under one key, and no other."""
    answers = ["unavailable", "close", "published", "published"]

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        if "publish" not in command:
            join_at(0)(server, command)
            return
        what = answers.pop(0)
        if what == "published":
            server.say(id=command["id"], published={"room": "r", "offset": 1, "epoch": "e"})
        elif what == "close":
            server.close(1012)
        else:
            server.say(id=command["id"], error={"code": what, "message": "Try again."})

    server = ScriptedServer(tab, answer)
    client = RecordingClient(tab, "r")
    client.wait("live", 0)
    assert client.publish("r", "x", retryFor=60_000)["offset"] == 1
    client.publish("r", "y", retryFor=60_000)
    keys = [each["publish"]["key"] for each in server.commands if "publish" in each]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert all(len(key) == 32 for key in keys)


def test_publishing_again_ends(tab: Page) -> None:
    """What the server is sure of is not tried again, and nothing longer than was asked for."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        if "publish" not in command:
            join_at(0)(server, command)
            return
        code = command["publish"]["room"]
        server.say(id=command["id"], error={"code": code, "message": "No."})

    server = ScriptedServer(tab, answer)
    client = RecordingClient(tab, "r")
    client.wait("live", 0)
    assert client.publish("forbidden", "x", retryFor=60_000) == "forbidden"
    assert client.publish("unavailable", "x") == "unavailable"
    assert len(server.commands) == 1 + 2
    assert "key" not in server.commands[-1]["publish"]
    assert client.publish("unavailable", "x", retryFor=4_000) == "unavailable"
    assert len(server.commands) > 1 + 3
    assert client.publish("r", "x", retryFor=240_001) == "RangeError"
    assert client.publish("unavailable", "x", key="mine") == "unavailable"
    assert server.commands[-1]["publish"]["key"] == "mine"


def test_reading_the_history(tab: Page) -> None:
    """A room's history is asked for by name, with a limit or without, and handed on as it is."""
    held = {"room": "r", "offset": 2, "epoch": "e", "publications": [{"offset": 2, "data": "b"}]}

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        server.say(id=command["id"], history=held)

    server = ScriptedServer(tab, answer)
    client = RecordingClient(tab)
    client.wait("live", 0)
    assert client.run("client.history('r')") == held
    assert client.run("client.history('r', { limit: 1 })") == held
    asked = [command["history"] for command in server.commands]
    assert asked == [{"room": "r"}, {"room": "r", "limit": 1}]


FOLLOW = """
client.subscribeToUser((data) => told.data.push(data))
  .then(({ room }) => room, ({ code }) => code)
"""


def test_following_ones_own_room(tab: Page) -> None:
    """The own room's name is asked for, again if the connection went meanwhile."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        if "connect" not in command:
            join_at(0)(server, command)
        elif server.connections == 1:
            server.close(1012)
        else:
            connected = {"node": "n", "user": "ada", "room": "r"}
            server.say(id=command["id"], connected=connected)

    server = ScriptedServer(tab, answer)
    client = RecordingClient(tab)
    client.wait("live", 0)
    assert client.run(FOLLOW) == "r"
    tab.wait_for_function("told.events.length === 1")
    server.say(room="r", offset=1, data="for Ada")
    tab.wait_for_function("told.data.length === 1")
    assert client.run("told.data") == ["for Ada"]


def test_nobody_has_a_room(tab: Page) -> None:
    """Without a user there is no room to follow; without `connect()` nobody to ask."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        connected = {"node": "n", "user": None, "room": None}
        server.say(id=command["id"], connected=connected)

    ScriptedServer(tab, answer)
    client = RecordingClient(tab)
    client.wait("live", 0)
    assert client.run(FOLLOW) == "anonymous"
    client.run("client.close()")
    assert client.run(FOLLOW) == "offline"
    both = f"() => {{ const found = {FOLLOW}; client.connect(); return found; }}"
    assert client.run(both) == "anonymous"


def test_long_history_is_read_in_several_answers(tab: Page) -> None:
    """What one answer had no place for is asked for, and handed on as one."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        asked = command["history"]
        last = asked.get("before", 5) - 1
        more = {"more": last - 1} if last > 1 else {}
        page = {"room": "r", "offset": last, "epoch": "e", **more}
        publications = [{"offset": last, "data": last}]
        server.say(id=command["id"], history={**page, "publications": publications})

    server = ScriptedServer(tab, answer)
    client = RecordingClient(tab)
    client.wait("live", 0)
    read = client.run("client.history('r', { limit: 4 })")
    assert [item["offset"] for item in read.pop("publications")] == [1, 2, 3, 4]
    assert read == {"room": "r", "offset": 4, "epoch": "e"}
    asked = [(item["history"]["limit"], item["history"].get("before")) for item in server.commands]
    assert asked == [(4, None), (3, 4), (2, 3), (1, 2)]


def test_what_follows_a_long_answer_is_told_apart(tab: Page) -> None:
    """What was missed and had no place in the answer is pushed, and handed on as replayed."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        server.say(id=command["id"], subscribed=[subscribed(1, 1)])
        server.say(room="r", offset=2, replayed=True, data=2)
        server.say(room="r", offset=3, data=3)

    ScriptedServer(tab, answer)
    client = RecordingClient(tab, "r", since={"offset": 0, "epoch": "e"})
    client.wait("live", 3)
    assert client.run("told.data.map(({ replayed }) => replayed)") == [True, True, False]
    assert client.events("gap") == []


@pytest.mark.parametrize("code", [4010, 4011, 4012])
def test_client_that_asked_for_too_much_comes_back_later(tab: Page, code: int) -> None:
    """It is no end; the wait is that of many failures."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        server.close(code)

    ScriptedServer(tab, answer)
    client = RecordingClient(tab)
    client.wait("live", 0)
    client.run(NOTE_WAITS)
    client.run("() => void client.subscribe('r', () => {})")
    tab.wait_for_function("told.waits.length > 0")
    assert client.run("client.status.final") is False
    assert 2_000 < client.run("told.waits[0]") <= 3_200  # a fifth of the sixth wait


def test_a_room_shows_its_token(tab: Page) -> None:
    """A text goes along whenever the room is asked for; also with `history`."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        if "subscribe" in command:
            server.say(id=command["id"], subscribed=[subscribed(5)])
        else:
            server.say(id=command["id"], history={"room": "h", "publications": []})

    server = ScriptedServer(tab, answer)
    client = RecordingClient(tab)
    client.run("() => void client.subscribe('r', () => {}, { token: 't1' })")
    tab.wait_for_function("told.events.filter(({ type }) => type === 'subscribed').length === 1")
    server.close(1012)
    tab.wait_for_function("told.events.filter(({ type }) => type === 'subscribed').length === 2")
    client.run("() => client.history('h', { token: 't2' })")
    first, again, history = server.commands
    assert first["subscribe"] == [{"room": "r", "token": "t1"}]
    assert again["subscribe"] == [{"room": "r", "token": "t1", **at(5)}]
    assert history["history"] == {"room": "h", "token": "t2"}


def test_a_room_fetches_its_token(tab: Page) -> None:
    """A function is asked each time, and once more when the server refuses; others don't wait."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        items = []
        for each in command["subscribe"]:
            if each["room"] == "r" and each["token"] != "t2":
                items.append({"room": "r", "error": {"code": "bad_token", "message": ""}})
            else:
                items.append({**subscribed(5), "room": each["room"]})
        server.say(id=command["id"], subscribed=items)

    server = ScriptedServer(tab, answer)
    client = RecordingClient(tab, "plain")
    client.wait("live", 0)
    client.run(
        """() => {
          let count = 0;
          client.subscribe("r", () => {}, { token: async () => `t${++count}` });
        }"""
    )
    joined = "told.events.filter(({ type, room }) => type === 'subscribed' && room === 'r').length"
    tab.wait_for_function(f"{joined} === 1")
    asked = [command["subscribe"] for command in server.commands[1:]]
    assert asked == [[{"room": "r", "token": "t1"}], [{"room": "r", "token": "t2"}]]
    server.close(1012)
    tab.wait_for_function("told.events.filter(({ code }) => code === 'bad_token').length === 3")
    assert client.run("client.status.state") == "live"
    assert [each["token"] for [each] in [c["subscribe"] for c in server.commands[4:]]] == [
        "t3",
        "t4",
    ]


def test_a_token_that_can_not_be_fetched(tab: Page) -> None:
    """It is told, and tried again; the client's other rooms are joined meanwhile."""
    server = ScriptedServer(tab, join_at(5))
    client = RecordingClient(tab)
    client.run(
        """() => {
          let count = 0;
          const token = () => { if (count++ === 0) throw new Error("no network"); return "t"; };
          client.subscribe("r", () => {}, { token });
        }"""
    )
    tab.wait_for_function("told.events.some(({ type }) => type === 'subscribed')")
    [error] = client.events("error")
    assert (error["room"], error["message"]) == ("r", "Error: no network")
    assert server.commands[-1]["subscribe"] == [{"room": "r", "token": "t"}]
