"""A client in a page that writes down what it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.frozen import frozen

PATIENCE = 60_000  # milliseconds

START = """
async ([rooms, options, since]) => {
  const { RealtimeClient } = await import("/static/realtime/client.js");
  const { url = "/ws/", ...more } = options;
  const client = new RealtimeClient(url, { random: () => 0.2, ...more });
  const told = { states: [], events: [], data: [] };
  const count = () => { document.title = `${told.states.at(-1)} ${told.data.length}`; };
  client.addEventListener("state", ({ detail }) => {
    if (told.states.at(-1) !== detail.state) told.states.push(detail.state);
    count();
  });
  for (const type of ["subscribed", "gap", "error", "announcement", "presence"]) {
    client.addEventListener(type, ({ detail }) => told.events.push({ type, ...detail,
      message: detail.message }));
  }
  for (const room of rooms) {
    client.subscribe(room, (data, { offset, replayed }) => {
      told.data.push({ room, data, offset, replayed });
      count();
    }, { since });
  }
  globalThis.client = client;
  globalThis.told = told;
  client.connect();
}
"""

NOTE_WAITS = """
told.waits = [];
client.addEventListener("state", ({ detail: { retryAt } }) => {
  if (retryAt !== null) told.waits.push(retryAt - Date.now());
});
"""
"""Has `told.waits` filled with the milliseconds that the client waits before it connects."""


NOTE_REASONS = """
told.reasons = [];
client.addEventListener("state", ({ detail: { state, reason } }) => {
  if (state === "offline") told.reasons.push(reason);
});
"""
"""Has `told.reasons` filled with why the client has no connection."""


def wait_in(tab: Page, condition: Callable[[], object], what: object) -> None:
    """Wait until something is true here, while what happens in a page is told.

    Playwright calls handlers only while something of it is waited for.

    Raises:
        AssertionError: It was not true in time; says `what` was waited for, or had come by then.
    """
    end = monotonic() + PATIENCE / 1000
    while not condition():
        assert monotonic() < end, what
        tab.wait_for_timeout(20)


@contextmanager
def asleep(tab: Page) -> Iterator[None]:
    """Run nothing in a page meanwhile, as in a laptop that sleeps; no event arrives there.

    Headless Chromium freezes no tab, since all are visible. A debugger stops the page instead, at
    the next statement that runs there: something must, such as a heartbeat.
    """
    session = tab.context.new_cdp_session(tab)
    stopped: list[Any] = []
    session.on("Debugger.paused", lambda event: stopped.append(event))
    session.send("Debugger.enable")
    session.send("Debugger.pause")
    wait_in(tab, lambda: stopped, "the page did not stop: no statement ran in it")
    yield
    session.send("Debugger.resume")
    session.send("Debugger.disable")
    session.detach()


@contextmanager
def machine_asleep(browser: Browser) -> Iterator[None]:
    """Run nothing of a browser meanwhile, as in a laptop whose lid is shut.

    A page that alone stands still is no such thing: the browser's network process answers the
    server's pings for it.
    """
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    ids = [process["id"] for process in processes]
    assert len(ids) > 2, processes  # the browser, its network and its pages
    with frozen(ids):
        yield


class RecordingClient:
    """A RealtimeClient in a page, connected, with handlers that keep what they get.

    Args:
        tab: A page of a worker.
        rooms: Subscribed at the start.
        since: From where; by default from now on.
        options: The client's options, and its `url`.
    """

    def __init__(
        self, tab: Page, *rooms: str, since: dict[str, Any] | None = None, **options: Any
    ) -> None:
        self._tab = tab
        tab.evaluate(START, [rooms, options, since])

    def wait(self, state: str, messages: int) -> None:
        """Wait until it is in this state and got so many messages."""
        expect(self._tab).to_have_title(f"{state} {messages}", timeout=PATIENCE)

    def publish(self, room: str, data: Any, **options: Any) -> Any:
        """Publish and return the reply, or the code of the error."""
        return self.run(
            """([room, data, options]) =>
              client.publish(room, data, options).catch((error) => error.code ?? error.name)""",
            [room, data, options],
        )

    def run(self, script: str, argument: Any = None) -> Any:
        """Return what a script says in which `client` and `told` are known."""
        return self._tab.evaluate(script, argument)

    @property
    def states(self) -> list[str]:
        """The states that it was in, in order."""
        states: list[str] = self.run("told.states")
        return states

    @property
    def data(self) -> list[Any]:
        """The data that came, in order."""
        return [each["data"] for each in self.run("told.data")]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the details of the events of a kind."""
        events: list[dict[str, Any]] = self.run("told.events")
        return [event for event in events if event["type"] == kind]
