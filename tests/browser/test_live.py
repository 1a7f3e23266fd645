"""State and streams in a browser, with real workers: nothing is missing or comes twice."""

from __future__ import annotations

from uuid import uuid4

import pytest
from playwright.sync_api import Page

from tests.browser.stack import Workers
from tests.browser.visitors import WORKER_IS_DOWN, Visitors

PATIENCE = 60_000  # milliseconds

LOAD = """
async ([room, steps]) => {
  const { RealtimeClient } = await import("/static/realtime/client.js");
  const writer = new RealtimeClient("/ws/");
  const reader = new RealtimeClient("/ws/");
  writer.connect();
  reader.connect();
  let number = 0;
  globalThis.change = async (count) => {
    for (let each = 0; each < count; each++) {
      await writer.publish(room, { text: `${++number}` }, { retryFor: 60_000 });
    }
  };
  globalThis.shown = []; // what the page shows: what was loaded, and what came since
  globalThis.loads = 0;
  await writer.identity();
  await change(steps);
  reader.subscribe(room, ({ text }) => shown.push(text), {
    state: async () => {
      loads++;
      await change(steps); // between the position and the query
      const past = await reader.history(room);
      await change(steps); // between the query and the page
      shown.splice(0, Infinity, ...past.publications.map(({ data }) => data.text));
      await change(steps);
      return past;
    },
  });
  await change(steps);
  globalThis.reader = reader;
  globalThis.counts = () =>
    shown.join(" ") === Array.from({ length: number }, (_, n) => n + 1).join(" ");
}
"""


@pytest.mark.parametrize("steps", [1, 5])
def test_whatever_is_published_at_any_step_is_shown_once(tab: Page, steps: int) -> None:
    """Before the subscription, between position and query, query and page, and behind it."""
    tab.evaluate(LOAD, [f"chat.{uuid4().hex}", steps])
    tab.wait_for_function("counts()", timeout=PATIENCE)
    tab.evaluate("(steps) => change(steps)", steps)
    tab.wait_for_function("counts()", timeout=PATIENCE)
    assert tab.evaluate("[loads, shown.length]") == [1, 6 * steps]


def test_what_the_history_has_no_more_is_loaded(tab: Page) -> None:
    """The reader was away for longer than the history reaches, and loads again by itself."""
    tab.evaluate(LOAD, [f"chat.{uuid4().hex}", 2])
    tab.wait_for_function("counts()", timeout=PATIENCE)
    tab.evaluate(
        """async () => {
          reader.close();
          await change(400); // the history holds 300
          globalThis.before = loads;
          globalThis.counts = () => loads === before + 1 && shown.at(-1) === "416"
            && new Set(shown).size === shown.length && shown.length >= 300;
          reader.connect();
        }"""
    )
    tab.wait_for_function("counts()", timeout=PATIENCE)


STREAM = """
async (room) => {
  globalThis.got = [];
  globalThis.opened = 0;
  const source = new EventSource(`/sse/?room=${room}`);
  globalThis.source = source;
  source.onopen = () => opened++;
  source.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    for (const { publications = [] } of message.subscribed ?? []) {
      got.push(...publications.map((each) => each.data));
    }
    if ("data" in message) got.push(message.data);
  };
  await new Promise((resolve) => source.addEventListener("message", resolve, { once: true }));
  const { RealtimeClient } = await import("/static/realtime/client.js");
  globalThis.writer = new RealtimeClient("/ws/");
  writer.connect();
  globalThis.publish = async (from, to) => {
    for (let each = from; each <= to; each++) {
      await writer.publish(room, { text: `${each}` }, { retryFor: 60_000 });
    }
  };
}
"""


def test_an_event_source_comes_back_by_itself(
    tab: Page, workers: Workers, visitors: Visitors
) -> None:
    """A browser's own EventSource goes on by Last-Event-ID after its worker was killed."""
    visitors.expected += [*WORKER_IS_DOWN, "/sse/"]
    room = f"chat.{uuid4().hex}"
    tab.evaluate(STREAM, room)
    tab.evaluate("publish(1, 3)")
    tab.wait_for_function("got.length === 3", timeout=PATIENCE)
    workers.first.kill()
    workers.first.start()
    tab.evaluate("publish(4, 9)")
    tab.wait_for_function("opened > 1 && got.length >= 9", timeout=PATIENCE)
    tab.evaluate("publish(10, 10)")
    tab.wait_for_function("got.length >= 10", timeout=PATIENCE)
    texts = tab.evaluate("got.map(({ text }) => text)")
    assert texts == [str(each) for each in range(1, 11)]
    tab.evaluate("source.close()")
