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
    ("state", "more", "mood", "words"),
    [
        ({"state": "connecting"}, {"silence": 4_900}, "connecting", "Connecting…"),
        ({"state": "connecting"}, {"silence": 8_000}, "quiet", "Connecting — for 8 s"),
        ({"state": "live"}, {"wasLive": True}, "live", "Live"),
        ({"state": "live"}, {"silence": 2_400}, "live", "Live"),
        ({"state": "live"}, {"silence": 7_000}, "quiet", "Nothing comes — for 7 s"),
        ({"state": "behind", "lag": 3_200}, {"wasLive": True}, "behind", "Behind by 3 s"),
        ({"state": "behind", "lag": 3_200}, {"silence": 9_000}, "quiet", "Nothing comes — for 9 s"),
        ({"state": "offline", "retryAt": 11_500}, {"wasLive": True}, "cut",
         "Cut off — trying again in 2 s"),
        ({"state": "offline", "retryAt": 9_000}, {"wasLive": True}, "cut",
         "Cut off — trying again now"),
        ({"state": "offline", "retryAt": 11_500}, {}, "cut", "Not connected — trying again in 2 s"),
        ({"state": "connecting"}, {"wasLive": True}, "cut", "Cut off — trying again now"),
        ({"state": "offline", "final": True}, {"wasLive": True}, "cut", "Cut off"),
        ({"state": "offline", "final": True}, {"backAt": 14_200}, "cut", "Cut off — back in 5 s"),
    ],
)  # fmt: skip
def test_states_in_words(state: Any, more: Any, mood: str, words: str, tab: Page) -> None:
    """Each state has its words; a countdown is rounded up; who hears nothing is not live."""
    status = {"lag": 0, "retryAt": None, "final": False, "reason": ""} | state
    more = {"wasLive": False, "silence": 0, "now": 10_000} | more
    found = call(tab, "demo/page/words.js", "standingOf", status, more)
    assert (found["mood"], found["words"]) == (mood, words)
    assert (found["reason"] == "") is (
        mood in {"live", "behind", "connecting"} or words == "Cut off"
    )


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
    ("values", "height"),
    [
        ([], 0),
        ([5] * 100, 5),
        ([5] * 99 + [15], 15),  # high, but no spike
        ([5] * 99 + [1_000], 10),
        ([0] * 99 + [1_000], 1_000),  # nothing else is there to be flattened
        ([5] * 90 + [1_000] * 10, 1_000),  # not one, but many
    ],
)
def test_axes_are_not_made_for_one_spike(values: list[int], height: int, tab: Page) -> None:
    """An axis has room for nearly all values; one spike does not flatten the rest."""
    assert call(tab, "demo/charts/track.js", "heightFor", values) == height


def test_charts_do_not_run_backwards(tab: Page) -> None:
    """Readings stand in the order of time, whatever the order of arrival, and each stands once."""
    times = tab.evaluate(
        """async (module) => {
          const { Track } = await import(module);
          const track = new Track();
          for (const t of [1, 2, 5, 3, 4, 4, 2, 6]) track.add({ t, values: [t], band: null });
          return track.readings.map(({ t }) => t);
        }""",
        f"{STATIC}demo/charts/track.js",
    )
    assert times == [1, 2, 3, 4, 5, 6]


NOTED = """
async ([module, before, after, gap]) => {
  const { Ledger } = await import(module);
  const ledger = new Ledger();
  for (const offset of before) ledger.note("a", offset, false);
  ledger.begin();
  if (gap !== undefined) ledger.gap("a", gap);
  for (const each of after) {
    if (each === "gap") ledger.gap("a", null); // later, and not of the cut
    else ledger.note("a", ...each);
  }
  return ledger.report();
}
"""


@pytest.mark.parametrize(
    ("after", "gap", "report"),
    [
        ([], None, (0, 0, 0, 0, False)),
        ([(4, False)], None, (0, 0, 0, 0, False)),
        ([(4, True), (5, True), (6, False), (7, False)], None, (2, 2, 0, 0, False)),
        ([(4, True), (5, True)], None, (2, 2, 0, 0, False)),  # they still come
        ([(6, True), (7, False)], None, (3, 1, 2, 0, False)),
        ([(9, False)], 5, (5, 0, 5, 0, False)),
        ([(3, True), (4, True), (5, False)], None, (1, 2, 0, 1, False)),
        ([(4, True), (5, False), "gap", (1, False), (2, False)], None, (1, 1, 0, 0, False)),
        ([(1, False), (2, False)], "unknown", (0, 0, 0, 0, True)),
    ],
)  # fmt: skip
def test_what_a_cut_cost(after: Any, gap: Any, report: Any, tab: Page) -> None:
    """It is counted by numbers: missed, fetched, lost, twice, and whether that is unknown."""
    given = [f"{STATIC}demo/page/ledger.js", [1, 2, 3], after]
    if gap is not None:
        given.append(None if gap == "unknown" else gap)
    found = tab.evaluate(NOTED, given)
    assert tuple(found[key] for key in ("missed", "fetched", "lost", "twice", "unknown")) == report


def test_ages_fall_into_bars(tab: Page) -> None:
    """Bars have their upper ends, one has what is older, and a minute later they are empty."""
    first, later, last = tab.evaluate(
        """async (module) => {
          const { AgeCounts } = await import(module);
          const counts = new AgeCounts();
          for (const age of [0, 1, 1.5, 2, 99, 100, 5_000, 5_001, 1e9]) counts.record(500, age);
          counts.record(30_000, 7);
          return [counts.totals(40_000), counts.totals(60_900), counts.totals(90_500)];
        }""",
        f"{STATIC}demo/page/histogram.js",
    )
    assert first == [2, 2, 0, 1, 0, 0, 2, 0, 0, 0, 0, 1, 2]
    assert later == [0, 0, 0, 1, *[0] * 9]
    assert sum(last) == 0


@pytest.mark.parametrize(
    ("totals", "words"),
    [
        ({}, "Nothing came in the last minute."),
        ({2: 1}, "1 came in the last minute; it was at most 5 ms old."),
        ({0: 3, 3: 3, 12: 1}, "7 came in the last minute; half were at most 10 ms old."),
        ({12: 1_200}, "1,200 came in the last minute; half were more than 5 s old."),
    ],
)
def test_ages_in_words(totals: dict[int, int], words: str, tab: Page) -> None:
    """Who does not see the bars hears where the middle is."""
    bars = [totals.get(bar, 0) for bar in range(13)]
    assert call(tab, "demo/page/histogram.js", "histogramWords", bars) == words


@pytest.mark.parametrize(
    ("known", "people", "shown"),
    [
        ([], 5, []),
        (["", ""], 2, []),
        (["Grace", "", "Ada"], 3, ["Ada", "Grace", "1 other"]),
        ([f"N{number:02}" for number in range(20)], 1_500,
         [*[f"N{number:02}" for number in range(12)], "1,488 others"]),
    ],
)  # fmt: skip
def test_names_of_people(known: list[str], people: int, shown: list[str], tab: Page) -> None:
    """Some are named, by the alphabet; the others are counted."""
    assert call(tab, "demo/page/people-here.js", "nameList", known, people) == shown


@pytest.mark.parametrize(
    "data",
    [
        None, 7, "text", [], {}, {"name": "Ada"}, {"text": "no name"}, {"name": "A", "text": " "},
        {"name": 1, "text": "one"}, {"name": "A", "text": {"toString": 1}},
    ],
)  # fmt: skip
def test_what_is_no_chat_message(data: Any, tab: Page) -> None:
    """What anybody may have published instead of a message is not shown."""
    assert call(tab, "demo/page/chat-log.js", "readMessage", data) is None


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


def test_chat_that_is_read_above_its_end_is_bounded(tab: Page) -> None:
    """Whoever reads what is above keeps it for a while; at the end there are the newest alone."""
    kept = tab.evaluate(
        """async (module) => {
          const { ChatLog } = await import(module);
          const [log, list, newer] = ["div", "ol", "button"].map((tag) => {
            return document.createElement(tag);
          });
          log.style = "height: 100px; overflow: auto";
          log.append(list);
          document.body.append(log);
          const chat = new ChatLog({ log, list, newer });
          const say = (n) => {
            chat.append({ offset: n, data: { name: "a", text: "x" } }, "");
            return list.childElementCount;
          };
          let n = 0;
          while (n < 210) say(++n);
          const counts = [list.childElementCount];
          log.scrollTop = 0;
          while (n < 510) say(++n);
          counts.push(list.childElementCount, chat.oldest);
          while (n < 520) say(++n);
          counts.push(list.childElementCount, chat.oldest);
          chat.toEnd();
          counts.push(say(++n));
          log.remove();
          return counts;
        }""",
        f"{STATIC}demo/page/chat-log.js",
    )
    assert kept == [200, 500, 11, 500, 21, 200]
