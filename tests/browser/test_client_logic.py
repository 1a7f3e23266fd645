"""The parts of the JavaScript client and page that are functions of values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.stack import Workers

STATIC = "/static/"


@pytest.fixture(scope="module")
def tab(browser: Browser, workers: Workers) -> Iterator[Page]:
    """An empty page of a worker, one for all: functions of values leave no trace in it."""
    page = browser.new_page()
    page.goto(f"{workers.first.url}health/live")
    yield page
    page.close()


def call(tab: Page, module: str, function: str, *arguments: Any) -> Any:
    """Return what an exported function of a module says to these arguments."""
    return tab.evaluate(
        """async ([module, name, given]) => {
          const imported = await import(module);
          return imported[name](...given);
        }""",
        [f"{STATIC}{module}", function, list(arguments)],
    )


def test_backoff_is_full_jitter(tab: Page) -> None:
    """A wait lies anywhere below a ceiling that doubles from 0.5 s to 20 s."""
    ceilings = tab.evaluate(
        """async (module) => {
          const { backoffDelay } = await import(module);
          return [0, 1, 2, 5, 6, 2000].map((attempt) => [
            backoffDelay(attempt, () => 0), backoffDelay(attempt, () => 0.5),
          ]);
        }""",
        f"{STATIC}realtime/client.js",
    )
    assert ceilings == [[0, 250], [0, 500], [0, 1000], [0, 8000], [0, 10_000], [0, 10_000]]


LEAP = 2**40  # offsets


@pytest.mark.parametrize(
    ("code", "back"),
    [
        (1000, True), (1001, True), (1005, True), (1006, True), (1011, True), (1012, True),
        (1013, True), (4008, True), (4999, True),
        (1002, False), (1003, False), (1007, False), (1009, False), (4003, False), (4009, False),
    ],
)  # fmt: skip
def test_close_codes(code: int, back: bool, tab: Page) -> None:
    """A client comes back after each code but those that would only be repeated."""
    assert call(tab, "realtime/client.js", "comesBack", code) is back


@pytest.mark.parametrize(
    ("offset", "verdict"),
    [
        (6, "deliver"), (5, "resync"), (1, "resync"), (7, "resync"), (None, "deliver"),
        (LEAP + 6, "deliver"), (3 * LEAP + 6, "deliver"), (LEAP + 5, "resync"),
        (LEAP + 7, "resync"),
    ],
)  # fmt: skip
def test_a_push_has_to_follow(offset: int | None, verdict: str, tab: Page) -> None:
    """After 5 comes 6, or 6 behind a leap; anything else with an offset is asked about first."""
    push = {"room": "r", "data": {}} | ({} if offset is None else {"offset": offset})
    assert call(tab, "realtime/client.js", "judge", {"offset": 5, "epoch": "a"}, push) == verdict
    assert call(tab, "realtime/client.js", "judge", None, push) == "deliver"


def since(offset: int, epoch: str = "a") -> dict[str, Any]:
    """Return a position."""
    return {"offset": offset, "epoch": epoch}


def reply(offset: int, *publications: int, epoch: str = "a", recovered: bool = True) -> Any:
    """Return a reply to a subscription whose room is at `offset`."""
    return {
        "room": "r",
        "offset": offset,
        "epoch": epoch,
        "recovered": recovered,
        "publications": [{"offset": each, "data": each} for each in publications],
    }


@pytest.mark.parametrize(
    ("asked", "answer", "held", "delivered", "end", "complete"),
    [
        pytest.param(None, reply(7), [], [], since(7), True, id="first time"),
        pytest.param(since(5), reply(7, 6, 7), [], [6, 7], since(7), True, id="recovered"),
        pytest.param(since(5), reply(7, 7, 6), [], [6, 7], since(7), True, id="in order"),
        pytest.param(since(5), reply(7, 4, 5, 6, 7), [], [6, 7], since(7), True, id="once"),
        pytest.param(since(5), reply(7, 6, 7), [7, 8], [6, 7, 8], since(8), True, id="held"),
        pytest.param(since(5), reply(6, 6), [8], [6, 8], since(8), False, id="hole stays"),
        pytest.param(
            since(5), reply(9, recovered=False), [], [], since(9), False, id="too long away"
        ),
        pytest.param(
            since(5), reply(2, 1, 2, epoch="b", recovered=False), [], [1, 2], since(2, "b"), False,
            id="new epoch",
        ),
        pytest.param(
            since(5), reply(LEAP + 6, LEAP + 6), [LEAP + 7, 2 * LEAP + 8],
            [LEAP + 6, LEAP + 7, 2 * LEAP + 8], since(2 * LEAP + 8), True, id="leaps",
        ),
        pytest.param(since(0, ""), reply(2, 1, 2), [], [1, 2], since(2), True, id="beginning"),
        pytest.param(
            None, {"room": "r", "recovered": False, "publications": []}, [], [], None, True,
            id="no history",
        ),
    ],
)  # fmt: skip
def test_merge(
    asked: Any, answer: Any, held: list[int], delivered: list[int], end: Any, complete: bool,
    tab: Page,
) -> None:  # fmt: skip
    """What was missed comes before what was held, each once, and a loss is owned up to."""
    pushes = [{"room": "r", "offset": offset, "data": offset} for offset in held]
    merged = call(tab, "realtime/client.js", "merge", asked, answer, pushes)
    assert [each["offset"] for each in merged["deliveries"]] == delivered
    assert merged["position"] == end
    assert merged["complete"] is complete


def test_rooms_share_frames(tab: Page) -> None:
    """A hundred rooms with their positions fit one frame; what does not is split, in order."""
    rooms = [{"room": f"{i:099d}", "offset": 2**53 - 1, "epoch": "abcdefgh"} for i in range(1000)]
    assert len(call(tab, "realtime/client.js", "frameLists", rooms[:100])) == 1
    lists = call(tab, "realtime/client.js", "frameLists", rooms)
    assert len(lists) > 1
    assert [room for each in lists for room in each] == rooms
    assert call(tab, "realtime/client.js", "frameLists", []) == []


@pytest.mark.parametrize(
    ("path", "base", "address"),
    [
        ("/ws/", "http://127.0.0.1:8000/page", "ws://127.0.0.1:8000/ws/"),
        ("/ws/?room=a", "https://example.org/", "wss://example.org/ws/?room=a"),
        ("wss://other.example/ws/", "http://example.org/", "wss://other.example/ws/"),
    ],
)
def test_addresses(path: str, base: str, address: str, tab: Page) -> None:
    """A path becomes a WebSocket address of the page's own server, with its kind of TLS."""
    assert call(tab, "realtime/client.js", "websocketUrl", path, base) == address


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([7], 0.95, 7), (list(range(1, 101)), 0.95, 95), ([1, 2, 3], 0.5, 2)],
)
def test_quantiles(values: list[int], share: float, expected: int | None, tab: Page) -> None:
    """A quantile is a value that was measured: the nearest rank."""
    assert call(tab, "demo/page/figures.js", "quantile", values, share) == expected


def test_figures_look_back_ten_seconds(tab: Page) -> None:
    """Rate and ages are of the last ten seconds, or of the time since the start if shorter."""
    summaries = tab.evaluate(
        """async (module) => {
          const { Figures } = await import(module);
          const figures = new Figures(0);
          for (let at = 100; at <= 5_000; at += 100) figures.record(at, at <= 2_500 ? 10 : -3);
          return [5_000, 12_500, 30_000].map((now) => figures.summary(now));
        }""",
        f"{STATIC}demo/page/figures.js",
    )
    assert summaries[0] == {"rate": 10, "p50": 0, "p95": 10}
    assert summaries[1] == {"rate": 2.5, "p50": 0, "p95": 0}
    assert summaries[2] == {"rate": 0, "p50": None, "p95": None}


@pytest.mark.parametrize(
    ("state", "was_live", "words"),
    [
        ({"state": "connecting"}, False, "Connecting…"),
        ({"state": "live"}, True, "Live"),
        ({"state": "behind", "lag": 3_200}, True, "Behind by 3 s"),
        ({"state": "offline", "retryAt": 11_500}, True, "Cut off — trying again in 2 s"),
        ({"state": "offline", "retryAt": 9_000}, True, "Cut off — trying again now"),
        ({"state": "offline", "retryAt": 11_500}, False, "Not connected — trying again in 2 s"),
        ({"state": "connecting"}, True, "Cut off — trying again now"),
        ({"state": "offline", "retryAt": None, "final": True}, True, "Cut off"),
    ],
)
def test_states_in_words(state: Any, was_live: bool, words: str, tab: Page) -> None:
    """Each state of the connection has its words; a countdown is rounded up."""
    status = {"lag": 0, "retryAt": None, "final": False, "reason": ""} | state
    assert call(tab, "demo/page/words.js", "connectionWords", status, was_live, 10_000) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, ["0", "B"]), (999, ["999", "B"]), (1_000, ["1.0", "kB"]), (99_400, ["99.4", "kB"]),
        (99_600, ["100", "kB"]), (999_600, ["1.0", "MB"]), (16.8e9, ["16.8", "GB"]),
    ],
)  # fmt: skip
def test_bytes_in_words(number: float, words: list[str], tab: Page) -> None:
    """Bytes have three digits at most, and a decimal unit."""
    assert call(tab, "demo/page/words.js", "byteWords", number) == words


@pytest.mark.parametrize(
    ("value", "ceiling"), [(1, 1), (1.1, 2), (2, 2), (3, 5), (7_000, 10_000), (0.03, 0.05)]
)
def test_axes_end_at_round_numbers(value: float, ceiling: float, tab: Page) -> None:
    """A chart's upper end is the next 1, 2 or 5 of a power of ten."""
    assert call(tab, "demo/charts/track.js", "niceCeiling", value) == pytest.approx(ceiling)


def test_lines_break_at_holes(tab: Page) -> None:
    """A line joins what is close in time, and changes its colour where recovering begins."""
    kinds = [(0.0, "live"), (0.1, "live"), (5.0, "live"), (5.1, "recovered"), (5.2, "live")]
    found = call(tab, "demo/charts/track.js", "runs", [{"t": t, "from": kind} for t, kind in kinds])
    assert [[each["t"] for each in run["readings"]] for run in found] == [
        [0, 0.1], [5], [5, 5.1], [5.1, 5.2],
    ]  # fmt: skip
    assert [run["recovered"] for run in found] == [False, False, True, False]


@pytest.mark.parametrize(
    "data",
    [
        None, 7, "text", [], {}, {"name": "Ada"}, {"text": "no name"}, {"name": "A", "text": " "},
        {"name": 1, "text": "one"}, {"name": "A", "text": {"toString": 1}},
    ],
)  # fmt: skip
def test_what_is_no_chat_message(data: Any, tab: Page) -> None:
    """What anybody may have published instead of a message is not shown."""
    assert call(tab, "demo/page/chat.js", "readMessage", data) is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Soon.", "Soon."), ({"text": " Soon. ", "t": 1}, "Soon."), ("x" * 600, "x" * 500),
        (None, None), (7, None), ("  ", None), ({}, None), ({"text": 7}, None), ([], None),
    ],
)  # fmt: skip
def test_announcements_in_words(data: Any, text: str | None, tab: Page) -> None:
    """A text, or what has a text, is shown; all else that may be announced is not for people."""
    assert call(tab, "demo/page/announcements.js", "readAnnouncement", data) == text


def test_keys_differ(tab: Page) -> None:
    """Each key is new, and one that the server takes."""
    keys = {call(tab, "realtime/client.js", "newKey") for _ in range(20)}
    assert len(keys) == 20
    assert all(len(key) == 32 and key.isalnum() for key in keys)
