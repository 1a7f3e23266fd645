"""`<realtime-room>`: the server's rows, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.recorder import PATIENCE, wait_in
from tests.browser.scripted import ScriptedServer, refuse
from tests.browser.visitors import Visitors

FOLLOW = 'data-room="r" data-offset="5" data-epoch="e"'
LIST = '<ul><li id="a">a</li><li id="b">b</li></ul>'

START = """
async (html) => {
  await import("/static/realtime/element.js");
  globalThis.told = [];
  for (const type of ["change", "loaded", "error"]) {
    addEventListener(`realtime-${type}`, ({ detail }) => told.push([type, detail.data ?? null]));
  }
  document.body.innerHTML = html;
}
"""


class Room:
    """A server whose room r says `recovered` as the test wants."""

    def __init__(self, tab: Page) -> None:
        self.is_whole = True
        self.asked: list[dict[str, Any]] = []
        self.offset = 5
        self._tab = tab
        self.server = ScriptedServer(tab, self._answer)

    def wait(self, times: int = 1) -> None:
        """Wait until the room was joined so often."""
        wait_in(self._tab, lambda: len(self.asked) >= times, self.asked)

    def publish(self, **change: Any) -> None:
        """Push a change."""
        self.offset += 1
        self.server.say(room="r", offset=self.offset, data=change)

    def _answer(self, server: ScriptedServer, command: dict[str, Any]) -> None:
        if "subscribe" not in command:
            server.say(id=command["id"], unsubscribed={"room": "r"})
            return
        (wanted,) = command["subscribe"]
        self.asked.append(wanted)
        item = {"room": "r", "offset": self.offset, "epoch": "e", "recovered": self.is_whole}
        server.say(id=command["id"], subscribed=[item])


def shows(tab: Page, *rows: str) -> None:
    """Wait until the list has these rows."""
    expect(tab.locator("li")).to_have_text(list(rows), timeout=PATIENCE)


@pytest.fixture
def room(tab: Page) -> Room:
    """A page with a list of two rows, which follows the room."""
    room = Room(tab)
    tab.evaluate(START, f'<realtime-room {FOLLOW} data-html target="ul">{LIST}</realtime-room>')
    room.wait()
    return room


def test_changes_are_put_in(tab: Page, room: Room) -> None:
    """Appended, prepended, replaced, removed; what comes twice is there once."""
    shows(tab, "a", "b")
    room.publish(swap="append", id="c", html='<li id="c">c</li>')
    room.publish(swap="prepend", id="z", html='<li id="z">z</li>')
    shows(tab, "z", "a", "b", "c")
    room.publish(swap="append", id="c", html='<li id="c">C</li>')
    room.publish(swap="replace", id="a", html='<li id="a">A</li>')
    room.publish(swap="replace", id="gone", html='<li id="gone">never</li>')
    room.publish(swap="remove", id="b")
    room.publish(swap="remove", id="gone")
    room.publish(words="that are no change")
    room.publish(swap="append", html="<li>last</li>")
    shows(tab, "z", "A", "C", "last")
    assert room.asked == [{"room": "r", "offset": 5, "epoch": "e"}]


def test_replace_leaves_out_what_is_not_there(tab: Page, room: Room) -> None:
    """A page that shows a part of the rows does not get the others."""
    room.publish(swap="replace", id="gone", html='<li id="gone">never</li>')
    room.publish(swap="append", id="c", html='<li id="c">c</li>')
    shows(tab, "a", "b", "c")


def test_scripts_do_not_run(tab: Page, room: Room) -> None:
    """A template's script is no part of a change, as with innerHTML."""
    room.publish(swap="append", id="c", html='<li id="c">c<script>globalThis.ran = 1</script></li>')
    expect(tab.locator("#c")).to_be_attached(timeout=PATIENCE)
    assert tab.evaluate("globalThis.ran ?? null") is None


def test_html_is_not_taken_from_a_room_that_was_not_said_to_be_trusted(tab: Page) -> None:
    """Without `data-html` a change is an event alone."""
    room = Room(tab)
    tab.evaluate(START, f'<realtime-room {FOLLOW} target="ul">{LIST}</realtime-room>')
    room.wait()
    room.publish(swap="append", id="c", html="<li>c</li>")
    tab.wait_for_function("told.length === 1")
    shows(tab, "a", "b")
    assert tab.evaluate("told") == [["change", {"swap": "append", "id": "c", "html": "<li>c</li>"}]]


def test_a_page_may_keep_a_change_out(tab: Page, room: Room) -> None:
    """By `preventDefault()`."""
    tab.evaluate(
        """addEventListener("realtime-change", (event) => {
          if (event.detail.data.id === "c") event.preventDefault();
        }, true)"""
    )
    room.publish(swap="append", id="c", html="<li>c</li>")
    room.publish(swap="append", id="d", html="<li>d</li>")
    shows(tab, "a", "b", "d")


def test_what_was_missed_for_good_is_fetched_with_the_page(tab: Page) -> None:
    """The element takes its content, and the position of that, out of the page."""
    room = Room(tab)
    room.is_whole, room.offset = False, 9
    follow = FOLLOW.replace("5", "10")
    fresh = f'<realtime-room {follow} target="ul"><ul><li>new</li></ul></realtime-room>'

    def page(route: Route) -> None:
        room.publish(swap="append", html="<li>has</li>")  # 10: the page has it
        room.publish(swap="append", html="<li>next</li>")
        route.fulfill(body=f"<html><body>{fresh}", content_type="text/html")

    tab.route("**/orders/", page)
    tab.evaluate(
        START,
        f'<realtime-room {FOLLOW} data-html src="/orders/" target="ul">{LIST}</realtime-room>',
    )
    shows(tab, "new", "next")
    assert [wanted.get("offset") for wanted in room.asked] == [5, None]
    assert tab.evaluate("told.map(([type]) => type)") == ["loaded", "change"]


def test_an_element_that_is_taken_out_follows_no_more(tab: Page, room: Room) -> None:
    """And follows again when it is put back."""
    shows(tab, "a", "b")
    tab.evaluate(
        """() => {
          const element = document.querySelector("realtime-room");
          element.remove();
          document.body.append(element);
        }"""
    )
    room.wait(2)
    room.publish(swap="append", id="c", html='<li id="c">c</li>')
    shows(tab, "a", "b", "c")


def test_a_refused_room_stands_in_the_console(tab: Page, visitors: Visitors) -> None:
    """With the reason; unless a listener says that it has seen to it."""
    visitors.expected.append("Room r: Not yours. (forbidden)")
    ScriptedServer(tab, refuse)
    tab.evaluate(
        """addEventListener("realtime-error", (event) => {
          if (event.detail.room === "q") event.preventDefault();
        })"""
    )
    element = f"<realtime-room {FOLLOW}></realtime-room>"
    with tab.expect_console_message(lambda each: each.type == "warning") as warning:
        tab.evaluate(START, element.replace('"r"', '"q"') + element)
    assert warning.value.text == "Room r: Not yours. (forbidden)"
    assert [kind for kind, _ in tab.evaluate("told")] == ["error", "error"]
