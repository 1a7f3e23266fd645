"""The page that `<realtime-room>` fetches again: from caches, and with elements of one room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import realtime
from tests.browser.recorder import PATIENCE
from tests.browser.scripted import ScriptedServer
from tests.browser.visitors import Visitors

FOLLOW = '<realtime-room data-room="r" data-epoch="e" data-html'

STATIC = Path(realtime.__file__).parent / "static" / "realtime"

START = """
async (html) => {
  Math.random = () => 0.2;
  await import("/static/realtime/element.js");
  globalThis.told = [];
  for (const type of ["loaded", "gap", "error"]) {
    const tell = ({ detail }) => told.push([type, detail.code ?? detail.missed ?? null]);
    addEventListener(`realtime-${type}`, tell);
  }
  document.body.innerHTML = html;
}
"""


class Site(ThreadingHTTPServer):
    """A site with one page, which the test writes, and the client's scripts.

    Attributes:
        body: The page as it is now.
        max_age: Seconds for which a browser may keep it.
        requests: How often it was fetched.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.body = ""
        self.max_age = 0
        self.requests = 0

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.server_port}/"


class _Answer(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        if self.path.endswith(".js"):
            body = (STATIC / Path(self.path).name).read_bytes()
            self._answer(body, "text/javascript", "no-cache")
        else:
            self.server.requests += 1
            body = f"<!doctype html><link rel=icon href=data:,>{self.server.body}".encode()
            self._answer(body, "text/html", f"max-age={self.server.max_age}")

    def _answer(self, body: bytes, kind: str, caching: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", caching)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    """A site whose page is empty."""
    with Site() as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield site
        site.shutdown()


@pytest.fixture
def tab(site: Site, visitors: Visitors) -> Page:
    """The site's page."""
    return visitors.open(site.url)


class Room:
    """A server whose room r has a history; each publication appends a row that is its offset."""

    def __init__(self, tab: Page, *, last: int, first: int = 1) -> None:
        self.asked: list[int | None] = []
        self.first, self.last = first, last
        self.server = ScriptedServer(tab, self._answer)

    def publish(self) -> None:
        """Push the next row."""
        self.last += 1
        self.server.say(room="r", offset=self.last, data=change(self.last))

    def _answer(self, server: ScriptedServer, command: dict[str, Any]) -> None:
        items: list[dict[str, Any]] = []
        for wanted in command.get("subscribe", ()):
            since: int | None = wanted.get("offset")
            self.asked.append(since)
            offsets = [] if since is None else range(max(since + 1, self.first), self.last + 1)
            whole = since is not None and since + len(offsets) == self.last
            items.append(
                {
                    "room": "r",
                    "offset": self.last,
                    "epoch": "e",
                    "recovered": whole,
                    "publications": [{"offset": each, "data": change(each)} for each in offsets],
                }
            )
        server.say(id=command["id"], subscribed=items)


def change(offset: int) -> dict[str, str]:
    """Return the publication of a row."""
    return {"swap": "append", "id": f"n{offset}", "html": row(offset)}


def row(offset: int) -> str:
    """Return a row."""
    return f'<li id="n{offset}">{offset}</li>'


def shows(tab: Page, *rows: int) -> None:
    """Wait until the list has these rows."""
    expect(tab.locator("li")).to_have_text([str(each) for each in rows], timeout=PATIENCE)


def page(first: int, last: int) -> str:
    """Return an element with rows, as of the last of them."""
    rows = "".join(row(offset) for offset in range(first, last + 1))
    return f'{FOLLOW} data-offset="{last}" target="ul"><ul>{rows}</ul></realtime-room>'


def begin(tab: Page, html: str) -> None:
    """Show this."""
    tab.evaluate(START, html)


def test_the_page_does_not_come_from_the_browsers_cache(tab: Page, site: Site) -> None:
    """It would be what the reader has already."""
    room = Room(tab, last=60, first=55)
    site.body, site.max_age = page(40, 41), 600
    tab.goto(site.url + "orders/")
    site.body = page(59, 60)
    begin(tab, page(40, 41))
    shows(tab, 59, 60)
    assert (site.requests, room.asked) == (3, [41, None])
    assert tab.evaluate("told") == [["loaded", None]]


def test_what_a_cached_page_lacks_comes_from_the_history(tab: Page, site: Site) -> None:
    """The site itself keeps pages, and answers with one that is older than the room."""
    room = Room(tab, last=60, first=55)
    site.body = page(56, 57)
    begin(tab, page(40, 41))
    shows(tab, 56, 57, 58, 59, 60)
    room.publish()
    shows(tab, 56, 57, 58, 59, 60, 61)
    assert room.asked == [41, None, 57]
    assert tab.evaluate("told") == [["loaded", None]]


def test_a_page_too_old_for_the_history_is_told_and_fetched_again(tab: Page, site: Site) -> None:
    """In the end the content is whole."""
    room = Room(tab, last=60, first=55)
    site.body = page(40, 41)
    begin(tab, page(40, 41))
    tab.wait_for_function("told.some(([type]) => type === 'gap')", timeout=PATIENCE)
    site.body = page(58, 60)
    shows(tab, 58, 59, 60)
    room.publish()
    shows(tab, 58, 59, 60, 61)
    told = tab.evaluate("told")
    assert told[:2] == [["loaded", None], ["gap", 13]]
    assert told[-1] == ["loaded", None]


def boxes(*texts: str, offset: int, src: str = "") -> str:
    """Return an element for each text, whose `target` names the box with it."""
    follow = f'{FOLLOW} data-offset="{offset}"{src}'
    return "".join(
        f'{follow} target=".{name}"><p class="{name}">{text}</p></realtime-room>'
        for name, text in zip("abc", texts, strict=False)
    )


def plain(*texts: str, offset: int) -> str:
    """Return elements that nothing tells apart."""
    return "".join(
        f'{FOLLOW} data-offset="{offset}"><p>{text}</p></realtime-room>' for text in texts
    )


def expect_texts(tab: Page, *texts: str) -> None:
    """Wait until the elements show this."""
    expect(tab.locator("p")).to_have_text(list(texts), timeout=PATIENCE)


@pytest.mark.parametrize("make", [boxes, plain])
def test_each_element_of_a_room_gets_its_own_content(
    tab: Page, site: Site, make: Callable[..., str]
) -> None:
    """By its target; and by its place among those that have all in common."""
    Room(tab, last=9, first=9)
    site.body = make("new rows", "new total", offset=9)
    begin(tab, make("rows", "total", offset=2))
    expect_texts(tab, "new rows", "new total")


def test_a_page_that_has_the_other_element_alone_says_so(
    tab: Page, site: Site, visitors: Visitors
) -> None:
    """Its content would be taken for this one's."""
    visitors.expected.append("has no such element of this room")
    Room(tab, last=9, first=9)
    site.body = boxes("new rows", offset=9)
    begin(tab, boxes("rows", "total", offset=2))
    tab.wait_for_function("told.some(([type]) => type === 'error')", timeout=PATIENCE)
    expect_texts(tab, "new rows", "total")


def test_a_page_of_its_own_may_serve_several_elements(tab: Page, site: Site) -> None:
    """What `src` names has one element, whose attributes are its own."""
    Room(tab, last=9, first=9)
    site.body = f'{FOLLOW} data-offset="9"><b>fresh</b></realtime-room>'
    begin(tab, boxes("one", "two", offset=2, src=' src="/fragment/"'))
    expect_texts(tab, "fresh", "fresh")


def test_a_page_of_its_own_may_have_them_all(tab: Page, site: Site) -> None:
    """Then each finds its like by target."""
    Room(tab, last=9, first=9)
    site.body = boxes("new rows", "new total", offset=9)
    begin(tab, boxes("rows", "total", offset=2, src=' src="/fragment/"'))
    expect_texts(tab, "new rows", "new total")
