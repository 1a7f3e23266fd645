"""The demo page in every state: cut, without Redis, without scripts, in any colours."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from playwright.sync_api import Locator, Page, expect

from tests.browser.operators import IN_EVERY_LOOK, faults, load_axe
from tests.browser.stack import Workers
from tests.browser.test_page import ROOMS, be_live, part, room, said, say
from tests.browser.visitors import PHONE, WORKER_IS_DOWN, Visitors, state

PATIENCE = 60_000  # milliseconds

FILL = """
import django
django.setup()
from realtime import publish_many
room = "chat.lobby"
publish_many([
    (room, {"t": 1_700_000_000 + n, "name": "Old", "text": f"long ago {n}"}) for n in range(75)
])
"""

PAINTED = """
(canvas) => {
  const { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, width, height);
  const colours = new Set();
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] === 255) colours.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
  }
  return colours.size;
}
"""


ALL_FETCHED = """
() => {
  const [missed, fetched] = ["missed", "fetched"].map(
    (name) => Number(document.querySelector(`[data-part=${name}]`).textContent),
  );
  return missed > 0 && missed === fetched;
}
"""


def test_a_cut_costs_nothing(demo: Workers, visitors: Visitors) -> None:
    """Who cuts the connection sees what was missed, that all of it came, and nothing is lost."""
    page = visitors.open(demo.first.url)
    be_live(page)
    for name in ROOMS:
        expect(part(room(page, name), "condition")).to_have_text("Live", timeout=PATIENCE)
    button = part(page, "cut")
    expect(button).to_have_text("Cut it for 5 s")
    button.click()
    expect(state(page)).to_have_text(re.compile(r"^Cut off — back in \d s$"))
    expect(part(page, "reason")).to_contain_text("You cut the connection")
    expect(part(page, "again")).to_be_hidden()
    expect(button).to_have_text("Connect now")
    page.wait_for_function(
        "/in [123] s$/.test(document.querySelector('[data-part=state]').textContent)"
    )
    button.click()
    expect(state(page)).to_have_text("Live", timeout=PATIENCE)
    expect(part(page, "cut-words")).to_have_text(
        re.compile(r"^Away for \d\.\d s, then back on worker-1\.$"), timeout=PATIENCE
    )
    page.wait_for_function(ALL_FETCHED, timeout=PATIENCE)
    expect(part(page, "lost")).to_have_text("0")


def test_redis_goes_away(demo: Workers, visitors: Visitors) -> None:
    """Nothing is called live while nothing comes; it says what may be away, and comes back."""
    visitors.expected += WORKER_IS_DOWN
    page = visitors.open(demo.first.url)
    be_live(page)
    demo.redis.stop()
    try:
        expect(state(page)).to_have_text(re.compile("^Nothing comes — for"), timeout=PATIENCE)
        expect(page.locator(".page")).to_have_attribute("data-mood", "quiet")
        expect(part(page, "reason")).to_contain_text("Redis")
        expect(part(room(page, "machine.cpu"), "condition")).not_to_have_text("Live")
        say(page, "Ada", "Is Redis there?")
        # The server's words, or the client's own if the server is busy with an earlier command.
        expect(page.get_by_role("alert")).to_contain_text("Send it again", timeout=PATIENCE)
    finally:
        demo.redis.start()
    expect(state(page)).to_have_text("Live", timeout=60_000)
    expect(page.get_by_role("alert")).to_have_text("", timeout=PATIENCE)
    page.get_by_role("button", name="Send").click()
    expect(said(page, "Is Redis there?")).to_have_count(1, timeout=PATIENCE)


def people(page: Page) -> Locator:
    """Return where the page names those who are here."""
    return page.get_by_role("list", name="People here").get_by_role("listitem")


def test_people_have_names(demo: Workers, visitors: Visitors) -> None:
    """Each browser's name is seen on all workers: a new one at once, and after a reload too."""
    ada, grace = visitors.open(demo.first.url), visitors.open(demo.second.url)
    for page, name in ((ada, "Ada"), (grace, "Grace")):
        be_live(page)
        page.get_by_label("Name").fill(name)
        page.get_by_label("Name").press("Tab")
    for page in (ada, grace):
        expect(people(page)).to_have_text(["Ada", "Grace"], timeout=PATIENCE)
    ada.reload()
    for page in (ada, grace):
        expect(people(page)).to_have_text(["Ada", "Grace"], timeout=PATIENCE)
    grace.close()
    expect(people(ada)).to_have_text(["Ada"], timeout=PATIENCE)


def test_the_chat_goes_back(demo: Workers, visitors: Visitors) -> None:
    """Older messages come a page at a time, above what is read, which stays in its place."""
    environment = {**os.environ, **demo.environment}
    subprocess.run([sys.executable, "-c", FILL], env=environment, check=True)
    page = visitors.open(demo.first.url)
    be_live(page)
    expect(said(page, "long ago 74")).to_be_in_viewport()
    expect(said(page, "long ago 44")).to_have_count(0)
    older = page.get_by_role("button", name="Older messages")
    log = page.get_by_role("log")
    log.evaluate("(log) => (log.scrollTop = 0)")
    top = said(page, "long ago 45").bounding_box()
    older.press("Enter")
    expect(said(page, "long ago 15")).to_have_count(1)
    expect(said(page, "long ago 14")).to_have_count(0)
    assert said(page, "long ago 45").bounding_box() == top
    older.press("Enter")
    expect(said(page, "long ago 0")).to_have_count(1)
    texts = log.locator(".said__text").all_inner_texts()
    at = texts.index("long ago 0")
    assert texts[at : at + 75] == [f"long ago {number}" for number in range(75)]


def test_ages_are_drawn(demo: Workers, visitors: Visitors) -> None:
    """The histogram has bars, and says for those who do not see them where the middle is."""
    page = visitors.open(demo.first.url)
    ages = part(page, "histogram")
    expect(ages).to_have_attribute(
        "aria-label",
        re.compile(r"^\d+ came in the last minute; half were at most [\d.]+ m?s old\.$"),
        timeout=PATIENCE,
    )
    shares = ages.locator(".ages__bar").evaluate_all(
        "(bars) => bars.map((bar) => Number(bar.style.getPropertyValue('--share')))"
    )
    assert max(shares) == 1
    assert len(shares) == 13


def test_without_scripts(demo: Workers, visitors: Visitors) -> None:
    """A sentence says what is missing, and nothing pretends to be connecting."""
    page = visitors.open(demo.first.url, scripts=False)
    expect(page.locator(".noscript")).to_contain_text("needs JavaScript")
    expect(page.get_by_role("link", name="Documentation")).to_be_visible()
    shown = page.locator("body").inner_text()
    for words in ("Connecting…", "Joining…", "Fetching", "Send"):
        assert words not in shown


def test_a_phone_is_near_the_chat(demo: Workers, visitors: Visitors) -> None:
    """A link at the bottom of the window leads there, and says how many messages are new."""
    phone, other = visitors.open(demo.first.url, size=PHONE), visitors.open(demo.second.url)
    be_live(phone)
    be_live(other)
    link = phone.get_by_role("navigation", name="On this page").get_by_role("link", name="Chat")
    expect(link).to_be_in_viewport(ratio=1)
    say(other, "Grace", "Can you see me?")
    expect(link).to_have_text("Chat 1 new")
    link.click()
    expect(phone.get_by_role("heading", name="Lobby")).to_be_in_viewport()
    expect(link).to_have_text("Chat")
    box = phone.get_by_role("heading", name="Lobby").bounding_box()
    assert box is not None
    assert box["y"] + phone.evaluate("scrollY") < 2 * PHONE[1]


def test_forced_colours(demo: Workers, visitors: Visitors) -> None:
    """What is only painted is painted in the reader's own colours, and is there at all."""
    page = visitors.open(demo.first.url, forced=True)
    be_live(page)
    panel = room(page, "machine.cpu")
    canvas = panel.locator("canvas").element_handle()
    page.wait_for_function(f"(canvas) => ({PAINTED})(canvas) >= 2", arg=canvas)
    dot = "(element) => getComputedStyle(element, '::before').backgroundColor"
    text = "(element) => getComputedStyle(element).color"
    place = part(panel, "condition")
    assert place.evaluate(dot) == place.evaluate(text)
    own = page.evaluate("getComputedStyle(document.body).color")
    assert page.locator(".key").first.evaluate(text) == own


@IN_EVERY_LOOK
def test_nobody_is_left_out(demo: Workers, visitors: Visitors, how: dict[str, object]) -> None:
    """axe-core finds nothing, with people and talk, and each list is one to everybody."""
    page = visitors.open(demo.first.url, **how)  # type: ignore[arg-type]
    be_live(page)
    say(page, "Ada", "Hello")
    expect(said(page, "Hello").last).to_be_visible()
    expect(page.get_by_role("list", name="People here")).to_be_visible()
    load_axe(page)
    assert faults(page, "document") == []
    # Safari takes a list without marks for none, unless it says that it is one.
    assert page.locator("ol:not([role=list]), ul:not([role=list])").count() == 0
