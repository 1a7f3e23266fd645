"""The parts of the demo's page that are functions of values; clients/js/test has the client's."""

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
