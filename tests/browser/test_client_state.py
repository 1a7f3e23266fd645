"""`subscribe(…, {state})` against a server that says what the test wants."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.recorder import PATIENCE, wait_in
from tests.browser.scripted import ScriptedServer, subscribed

START = """
async (since) => {
  const { RealtimeClient } = await import("/static/realtime/client.js");
  const client = new RealtimeClient("/ws/", { random: () => 0.2 });
  const told = { loads: [], shown: [], events: [] };
  globalThis.finish = null;
  const tell = (word) => { told.shown.push(word); document.title = told.shown.join(" "); };
  globalThis.subscription = client.subscribe("r", (data) => tell(data), {
    since,
    state: (since) => {
      told.loads.push(since);
      tell("load");
      return new Promise((resolve, reject) => {
        globalThis.finish = (reached) => { tell("state"); resolve(reached); };
        globalThis.fail = () => reject(new Error("no"));
      });
    },
  });
  for (const type of ["gap", "error", "loaded"]) {
    client.addEventListener(type, ({ detail }) => told.events.push([type, detail.code ?? null]));
  }
  globalThis.client = client;
  globalThis.told = told;
  client.connect();
}
"""


class Loading:
    """A client whose room `r` has a state, which the test has loaded when it says so."""

    def __init__(self, tab: Page, since: dict[str, Any] | None = None) -> None:
        self._tab = tab
        tab.evaluate(START, since)

    def wait(self, *shown: object) -> None:
        """Wait until this was shown, in this order: `load`, `state` and publications."""
        expect(self._tab).to_have_title(" ".join(map(str, shown)), timeout=PATIENCE)

    def finish(self, reached: dict[str, Any] | None = None) -> None:
        """Have the load end that was begun last."""
        self._tab.evaluate("(reached) => finish(reached)", reached)

    def fail(self) -> None:
        """Have the load fail that was begun last."""
        self._tab.evaluate("fail()")

    def leave(self) -> None:
        """End the subscription."""
        self._tab.evaluate("subscription.unsubscribe()")

    @property
    def loads(self) -> list[Any]:
        """The positions that were loaded from."""
        loads: list[Any] = self._tab.evaluate("told.loads")
        return loads

    @property
    def events(self) -> list[list[Any]]:
        """The events `gap`, `error` and `loaded`, with the codes of errors."""
        events: list[list[Any]] = self._tab.evaluate("told.events")
        return events


class Room:
    """The room `r` at a server that answers as a test says; asked from where: `asked`."""

    def __init__(self, tab: Page, at: int = 5) -> None:
        self.at = at
        self.is_whole = True
        self.asked: list[int | None] = []
        self.server = ScriptedServer(tab, self._answer)

    def publish(self, *offsets: int) -> None:
        """Push publications whose data are their offsets."""
        for offset in offsets:
            self.server.say(room="r", offset=offset, data=offset)
            self.at = offset

    def _answer(self, server: ScriptedServer, command: dict[str, Any]) -> None:
        if "subscribe" not in command:
            server.say(id=command["id"], unsubscribed={"room": "r"})
            return
        (wanted,) = command["subscribe"]
        since = wanted.get("offset")
        self.asked.append(since)
        missed = [] if since is None or not self.is_whole else range(since + 1, self.at + 1)
        item = subscribed(self.at, *missed, recovered=since is not None and self.is_whole)
        server.say(id=command["id"], subscribed=[item])
        if self.at == 20:
            server.say(room="r", offset=21, data=21)


def test_what_is_published_while_the_state_is_loaded_follows_it(tab: Page) -> None:
    """The room is joined before the state is asked for, and its publications wait."""
    room, client = Room(tab), None
    client = Loading(tab)
    client.wait("load")
    assert client.loads == [{"offset": 5, "epoch": "e"}]
    room.publish(6, 7)
    client.finish()
    client.wait("load", "state", 6, 7)
    room.publish(8)
    client.wait("load", "state", 6, 7, 8)
    assert client.events == [["loaded", None]]


def test_what_the_state_says_it_has_does_not_follow(tab: Page) -> None:
    """A view with live() answers with a position, up to which nothing is handed on again."""
    room, client = Room(tab), Loading(tab)
    client.wait("load")
    room.publish(6, 7)
    client.finish({"offset": 6, "epoch": "e"})
    client.wait("load", "state", 7)


def test_the_position_of_another_epoch_says_nothing(tab: Page) -> None:
    """As that of a page which got none."""
    room, client = Room(tab), Loading(tab)
    client.wait("load")
    room.publish(6)
    client.finish({"offset": 9, "epoch": "unknown"})
    client.wait("load", "state", 6)


def test_a_page_that_has_the_state_loads_none(tab: Page) -> None:
    """It says from where, and nothing is missing since."""
    room = Room(tab, at=7)
    client = Loading(tab, {"offset": 5, "epoch": "e"})
    client.wait(6, 7)
    assert (client.loads, room.asked) == ([], [5])


def test_a_page_that_is_too_old_loads_by_itself(tab: Page) -> None:
    """The room is joined anew for a position, and what the history still has is in the state."""
    room = Room(tab, at=9)
    room.is_whole = False
    client = Loading(tab, {"offset": 5, "epoch": "unknown"})
    client.wait("load")
    assert room.asked == [5, None]
    client.finish()
    room.publish(10)
    client.wait("load", "state", 10)
    assert client.events == [["loaded", None]]


def test_a_connection_that_is_lost_meanwhile_costs_no_second_load(tab: Page) -> None:
    """The position is held on to, and what was missed waits for the state as well."""
    room, client = Room(tab), Loading(tab)
    client.wait("load")
    room.publish(6)
    room.server.close(1012)
    room.at = 8
    expect_asked(tab, room, [None, 6])
    client.finish()
    client.wait("load", "state", 6, 7, 8)
    assert len(client.loads) == 1


def test_what_is_missed_for_good_is_loaded_again(tab: Page) -> None:
    """After too long an absence, and when the server says that it lost track."""
    room, client = Room(tab), Loading(tab)
    client.wait("load")
    client.finish()
    client.wait("load", "state")
    room.is_whole, room.at = False, 400
    room.server.close(1012)
    client.wait("load", "state", "load")
    client.finish()
    room.publish(401)
    client.wait("load", "state", "load", "state", 401)
    room.at = 500
    room.server.say(room="r", reset={"offset": 500, "epoch": "e"})
    client.wait("load", "state", "load", "state", 401, "load")
    client.finish()
    client.wait("load", "state", "load", "state", 401, "load", "state")
    assert [since["offset"] for since in client.loads] == [5, 400, 500]
    assert client.events == [["loaded", None]] * 3


def test_a_load_that_is_overtaken_by_another_counts_for_nothing(tab: Page) -> None:
    """It was begun before the loss, so only the one after it may let publications through."""
    room, client = Room(tab), Loading(tab)
    client.wait("load")
    tab.evaluate("() => { globalThis.early = finish; }")
    room.at = 20
    room.server.say(room="r", reset={"offset": 20, "epoch": "e"})
    client.wait("load", "load")
    tab.evaluate("early()")
    client.wait("load", "load", "state")  # 21 waits
    client.finish()
    client.wait("load", "load", "state", "state", 21)


def test_a_load_that_fails_is_told_and_tried_again(tab: Page) -> None:
    """What was published since the first attempt still waits."""
    room, client = Room(tab), Loading(tab)
    client.wait("load")
    room.publish(6)
    client.fail()
    client.wait("load", "load")
    client.finish()
    client.wait("load", "load", "state", 6)
    assert client.events == [["error", "state"], ["loaded", None]]


def test_who_leaves_while_loading_gets_nothing(tab: Page) -> None:
    """Neither what waited nor what comes."""
    room, client = Room(tab), Loading(tab)
    client.wait("load")
    room.publish(6)
    client.leave()
    client.finish()
    room.publish(7)
    client.wait("load", "state")
    assert client.events == []


@pytest.mark.parametrize("times", [1, 2])
def test_without_history_each_connection_loads(tab: Page, times: int) -> None:
    """Nobody can know what was missed; there is no position."""

    def answer(server: ScriptedServer, command: dict[str, Any]) -> None:
        server.say(id=command["id"], subscribed=[{"room": "r", "recovered": False}])
        server.say(room="r", data="now")

    server, client = ScriptedServer(tab, answer), Loading(tab)
    shown: list[str] = []
    for connection in range(times):
        if connection:
            server.close(1012)
        client.wait(*shown, "load")
        client.finish()
        shown += ["load", "state", "now"]
        client.wait(*shown)
    assert client.loads == [None] * times
    assert "gap" not in dict(client.events)


def expect_asked(tab: Page, room: Room, asked: list[int | None]) -> None:
    """Wait until the client has asked for the room from these offsets."""
    wait_in(tab, lambda: room.asked == asked, room.asked)
