"""The demo page as a person meets it: the whole stack on one end, Chromium on the other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.template.loader import render_to_string
from playwright.sync_api import Locator, Page, expect

from tests.browser.recorder import wait_in
from tests.browser.stack import Workers
from tests.browser.visitors import DESKTOP, PHONE, WORKER_IS_DOWN, Visitors, state

ROOT = Path(__file__).parents[2]
PATIENCE = 60_000  # milliseconds that a test waits for something that comes
LEASE = 60_000  # milliseconds after which nobody of a killed worker is counted any more
ROOMS = ("machine.cpu", "machine.memory", "machine.network", "machine.disk")

# Counts how often a canvas changes within two seconds.
CHANGES = """
async (canvas) => {
  const started = performance.now();
  let [before, changes] = ["", 0];
  while (performance.now() - started < 2_000) {
    await new Promise(requestAnimationFrame);
    const now = canvas.toDataURL();
    changes += now !== before ? 1 : 0;
    before = now;
  }
  return changes;
}
"""


def room(page: Page, name: str) -> Locator:
    """Return a room's panel."""
    return page.locator(f'[data-room="{name}"]')


def part(place: Page | Locator, name: str) -> Locator:
    """Return a part of the page or of a panel."""
    return place.locator(f"[data-part={name}]")


def say(page: Page, name: str, text: str) -> None:
    """Send a chat message by keyboard alone."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Message").focus()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def said(page: Page, text: str) -> Locator:
    """Return the messages of the chat that have this text."""
    return page.get_by_role("log").locator(".said__text").get_by_text(text, exact=True)


def be_live(page: Page) -> None:
    """Wait until the page says that it is live."""
    expect(state(page)).to_have_text("Live", timeout=PATIENCE)


@pytest.mark.parametrize("name", ROOMS)
def test_readings_arrive(name: str, demo: Workers, visitors: Visitors) -> None:
    """Each machine room shows a value, its rate and age, and a chart that moves."""
    page = visitors.open(demo.first.url)
    panel = room(page, name)
    expect(part(panel, "condition")).to_have_text("Live", timeout=PATIENCE)
    expect(part(panel, "value").first).to_have_text(re.compile(r"^\d+(\.\d)?$"))
    # Ten a second, as the feed sends them; a busy machine lets it fall behind.
    expect(part(panel, "rate")).to_have_text(re.compile(r"^([3-9]|1[0-2])\.\d$"), timeout=PATIENCE)
    expect(part(panel, "p95")).to_have_text(re.compile(r"^(< )?\d+(\.\d)? m?s$"))
    wait_in(
        page,
        lambda: panel.locator("canvas").evaluate(CHANGES) > 5,
        "the chart stands still",
    )


def test_it_says_how_many_are_here(demo: Workers, visitors: Visitors) -> None:
    """On both workers, as people come and go."""
    first, second = visitors.open(demo.first.url), visitors.open(demo.second.url)
    # The worker may have been killed by the test before, with somebody on it.
    for page in (first, second):
        expect(part(page, "people")).to_have_text(
            "2 people here, on any worker.", timeout=LEASE + PATIENCE
        )
    second.close()
    expect(part(first, "people")).to_have_text("Nobody but you, on any worker.", timeout=PATIENCE)


def test_it_says_who_serves(demo: Workers, visitors: Visitors) -> None:
    """The page names the worker of its connection and links to the other, with the same page."""
    page = visitors.open(demo.first.url)
    expect(part(page, "worker")).to_have_text("worker-1")
    assert page.get_by_role("link", name="worker-2").get_attribute("href") == (
        demo.second.url.rstrip("/")
    )
    other = visitors.open(demo.second.url)
    expect(part(other, "worker")).to_have_text("worker-2")
    be_live(other)


def test_talk_across_workers(demo: Workers, visitors: Visitors) -> None:
    """A chat message reaches somebody on the other worker, and whoever comes later."""
    ada, grace = visitors.open(demo.first.url), visitors.open(demo.second.url)
    be_live(ada)
    be_live(grace)
    say(ada, "Ada", "Can you read this?")
    expect(said(grace, "Can you read this?")).to_have_count(1)
    say(grace, "Grace", "I can.")
    expect(said(ada, "I can.")).to_have_count(1)
    expect(ada.get_by_label("Message")).to_have_value("")
    late = visitors.open(demo.second.url)
    expect(said(late, "Can you read this?")).to_have_count(1, timeout=PATIENCE)


def announce(demo: Workers, text: str) -> None:
    """Announce from the command line, as an operator does."""
    subprocess.run(
        [sys.executable, "manage.py", "announce", json.dumps({"text": text})],
        cwd=ROOT,
        env={**os.environ, "REDIS_URL": demo.redis.url},
        check=True,
        capture_output=True,
    )


def test_announcements(demo: Workers, visitors: Visitors) -> None:
    """What the operators say stands above the page of both workers until it is dismissed."""
    pages = [visitors.open(demo.first.url), visitors.open(demo.second.url, size=PHONE)]
    for page in pages:
        be_live(page)
    announce(demo, "Maintenance at <b>noon</b>.")
    announce(demo, "Back at one. " + "W" * 100)
    for page in pages:
        region = page.get_by_role("region", name="Announcements")
        expect(region.locator("p")).to_have_text(
            ["Maintenance at <b>noon</b>.", "Back at one. " + "W" * 100]
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        expect(region).to_be_in_viewport()
        dismiss = region.get_by_role("button", name="Dismiss")
        dismiss.first.focus()
        page.keyboard.press("Enter")
        expect(region.locator("p")).to_have_text(["Back at one. " + "W" * 100])
        expect(dismiss).to_be_focused()
        page.keyboard.press("Enter")
        expect(region.locator("p")).to_have_count(0)


def test_markup_is_text(demo: Workers, visitors: Visitors) -> None:
    """What others write is shown as they wrote it, and never run."""
    page = visitors.open(demo.first.url)
    be_live(page)
    attack = "<img src=x onerror=console.error(1)><script>console.error(2)</script>"
    say(page, "<b>Eve</b>", attack)
    expect(said(page, attack)).to_have_count(1)
    expect(page.locator(".said__name").last).to_contain_text("<b>Eve</b>")
    assert page.locator(".chat__log img, .chat__log script, .chat__log b").count() == 0


def test_nothing_to_send(demo: Workers, visitors: Visitors) -> None:
    """A message without a name or without text is asked for in words, and focus goes there."""
    page = visitors.open(demo.first.url)
    be_live(page)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("Enter a name")
    expect(page.get_by_label("Name")).to_be_focused()
    page.get_by_label("Name").fill("Ada")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing to send")
    expect(page.get_by_label("Message")).to_be_focused()


def test_its_worker_dies(demo: Workers, visitors: Visitors) -> None:
    """The page says that it is cut off, comes back by itself, and has missed nothing."""
    visitors.expected += WORKER_IS_DOWN
    page, other = visitors.open(demo.first.url), visitors.open(demo.second.url)
    be_live(page)
    be_live(other)
    demo.first.kill()
    expect(state(page)).to_have_text(re.compile("^Cut off — trying again"), timeout=PATIENCE)
    expect(part(room(page, "machine.cpu"), "condition")).to_have_text("Cut off")
    say(page, "Ada", "Nobody hears this")
    expect(page.get_by_role("alert")).to_contain_text("you are cut off")
    expect(page.get_by_label("Message")).to_have_value("Nobody hears this")
    for number in range(3):
        say(other, "Grace", f"Meanwhile {number}")
        expect(said(other, f"Meanwhile {number}")).to_have_count(1)
    demo.first.start()
    expect(state(page)).to_have_text("Live", timeout=45_000)
    expect(page.get_by_role("alert")).to_have_text("")  # it is not cut off any more
    for number in range(3):
        expect(said(page, f"Meanwhile {number}")).to_have_count(1)
    texts = page.get_by_role("log").locator(".said__text").all_inner_texts()
    assert texts[-3:] == [f"Meanwhile {number}" for number in range(3)]
    for name in ROOMS:
        expect(part(room(page, name), "condition")).to_have_text("Live", timeout=PATIENCE)
    page.get_by_role("button", name="Send").click()
    expect(said(other, "Nobody hears this")).to_have_count(1)


@pytest.mark.parametrize("width", [320, PHONE[0], 768, 1024, DESKTOP[0], 2560])
def test_it_fits(width: int, demo: Workers, visitors: Visitors) -> None:
    """Nothing is wider than the window, from a small phone to a large screen."""
    page = visitors.open(demo.first.url, size=(width, 844))
    be_live(page)
    say(page, "A" * 40, "W" * 300)
    expect(said(page, "W" * 300).last).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Nor does what is scrolled out of the chat make the page longer.
    assert page.evaluate("document.documentElement.scrollHeight - document.body.offsetHeight") <= 0
    for canvas in page.locator("canvas").all():
        box = canvas.bounding_box()
        assert box is not None
        assert box["width"] > 200
        assert box["height"] < 400


def test_light_and_dark(demo: Workers, visitors: Visitors) -> None:
    """The page follows the reader's colour scheme, and its text has contrast in both."""
    grounds = set()
    for colours in ("light", "dark"):
        page = visitors.open(demo.first.url, colours=colours)
        ground = colour(page, "--sheet")
        grounds.add(luminance(ground) > 0.5)
        for paper in (ground, colour(page, "--paper")):
            assert contrast(colour(page, "--field"), paper) >= 3, f"borders in {colours}"
        for name in ("--ink", "--muted", "--trace", "--trace-low", "--cut", "--live", "--behind"):
            for paper in (ground, colour(page, "--paper")):
                assert contrast(colour(page, name), paper) >= 4.5, f"{name} in {colours}"
    assert grounds == {True, False}


def test_less_motion(demo: Workers, visitors: Visitors) -> None:
    """For a reader who asked for less motion the charts move once a second."""
    page = visitors.open(demo.first.url, still=True)
    be_live(page)
    assert room(page, "machine.cpu").locator("canvas").evaluate(CHANGES) <= 4


def test_everything_has_a_name(demo: Workers, visitors: Visitors) -> None:
    """Charts, fields and regions can be found by those who do not see them."""
    page = visitors.open(demo.first.url)
    expect(page.get_by_role("img")).to_have_count(5)
    expect(page.get_by_role("img", name="Processor over the last 60 seconds")).to_be_visible()
    expect(page.get_by_role("log", name="Lobby")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("status")).to_have_text("Live", timeout=PATIENCE)
    expect(page.get_by_role("heading", level=1)).to_have_text("Shardlayer live")


@pytest.mark.parametrize(("workers", "shown"), [([], False), ([("worker-2", "/two")], True)])
def test_it_names_workers(workers: list[tuple[str, str]], shown: bool) -> None:
    """The workers have links when there are others to go to."""
    peers = [{"name": name, "url": url, "current": False} for name, url in workers]
    context = {"worker": "worker-1", "workers": peers, "websocket_path": "/ws/"}
    assert ("Go to worker-2" in render_to_string("demo/index.html", context)) is shown


def colour(page: Page, name: str) -> tuple[float, ...]:
    """Return a colour of the page's palette as red, green and blue from 0 to 1."""
    value = page.evaluate(
        "(name) => getComputedStyle(document.documentElement).getPropertyValue(name)", name
    )
    digits = value.strip().removeprefix("#")
    return tuple(int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))


def luminance(colour: tuple[float, ...]) -> float:
    """Return the relative luminance (WCAG 2.2)."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the contrast ratio (WCAG 2.2), from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
