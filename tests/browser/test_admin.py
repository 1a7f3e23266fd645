"""The admin's pages in a real Chromium: how they refresh themselves, and whom they leave out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.stack import Workers
from tests.browser.visitors import DESKTOP, PHONE, Visitors

PATIENCE = 30_000  # milliseconds
NAME, PASSWORD = "operator", "a long password"
PAGES = ("overviewpage/", "room/", "room/?q=chat.&sort=rate", "room/chat.lobby/", "room/nobody/")

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def site(workers: Workers) -> Workers:
    """The workers, with somebody of the staff in their database."""
    environment = {**os.environ, **workers.environment, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    for words in (
        ["migrate", "--verbosity", "0"],
        ["createsuperuser", "--noinput", "--username", NAME, "--email", "operator@example.org"],
        ["realtime", "publish", "chat.lobby", '{"text": "hello"}'],
    ):
        command = [sys.executable, "-m", "django", *words]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return workers


def enter(visitors: Visitors, site: Workers, path: str, **how: object) -> Page:
    """Sign in, and open a page of the admin."""
    visitors.expected.append("favicon.ico")  # the admin has none
    address = f"{site.first.url}admin/login/?{urlencode({'next': f'/admin/realtime/{path}'})}"
    page = visitors.open(address, **how)  # type: ignore[arg-type]
    page.get_by_label("Username").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#content-main")).to_be_visible()
    return page


def expect_live(page: Page) -> None:
    """Wait until the page refreshes itself."""
    expect(page.locator("#realtime-state")).to_have_text("Refreshes itself.", timeout=PATIENCE)


def publish(page: Page, text: str) -> None:
    """Publish by the form of a room's page."""
    page.get_by_label("JSON").fill(text)
    page.get_by_role("button", name="Publish to this room").click()


def test_new_room_appears_by_itself(visitors: Visitors, site: Workers) -> None:
    """The list shows a room that came, and what has the focus keeps it."""
    rooms = enter(visitors, site, "room/")
    expect_live(rooms)
    link = rooms.get_by_role("link", name="chat.lobby")
    link.focus()
    other = enter(visitors, site, "room/chat.new/")
    publish(other, '{"text": "<b>new</b>"}')
    expect(other.get_by_text("Published 21 bytes to chat.new.")).to_be_visible()
    expect(rooms.get_by_role("link", name="chat.new")).to_be_visible(timeout=PATIENCE)
    expect(link).to_be_focused()


def test_watched_room_shows_what_comes(visitors: Visitors, site: Workers) -> None:
    """Whoever watches a room sees what is published to it, as text and not as markup."""
    watching = enter(visitors, site, "room/chat.watched/")
    expect_live(watching)
    watching.get_by_role("link", name="Watch live").click()
    expect_live(watching)
    other = enter(visitors, site, "room/chat.watched/")
    publish(other, '{"text": "<img src=x onerror=alert(1)>"}')
    expect(watching.get_by_text("<img src=x onerror=alert(1)>")).to_be_visible(timeout=PATIENCE)
    assert watching.locator("pre img").count() == 0


def test_mistake_in_json_is_told(visitors: Visitors, site: Workers) -> None:
    """What is no JSON stays in the form, with the reason beside it."""
    page = enter(visitors, site, "room/chat.lobby/")
    publish(page, "{not json")
    expect(page.get_by_text("That is no JSON")).to_be_visible()
    expect(page.get_by_label("JSON")).to_have_value("{not json")


def test_pages_are_used_by_keyboard(visitors: Visitors, site: Workers) -> None:
    """Tab comes to the button that pauses, and to the rooms; Enter does what a click does."""
    page = enter(visitors, site, "room/")
    expect_live(page)
    page.locator("#realtime-pause").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#realtime-state")).to_have_text("Paused.")
    page.keyboard.press("Enter")
    expect_live(page)
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
        if reached[-1] == "chat.lobby":
            break
    assert reached[-1] == "chat.lobby", reached
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="chat.lobby", level=1)).to_be_visible()


def test_signing_out_ends_it(visitors: Visitors, site: Workers) -> None:
    """A page whose user signed out elsewhere says so, and asks no more."""
    page = enter(visitors, site, "room/")
    expect_live(page)
    other = page.context.new_page()
    other.goto(f"{site.first.url}admin/realtime/overviewpage/")
    other.get_by_role("button", name="Log out").click()
    expect(page.locator("#realtime-state")).to_have_text(
        "Not refreshed any more: sign in again, and load the page anew.", timeout=PATIENCE
    )


@pytest.mark.parametrize(
    "how",
    [
        {"size": DESKTOP},
        {"size": DESKTOP, "colours": "dark"},
        {"size": PHONE},
        {"size": DESKTOP, "forced": True},
    ],
    ids=["light", "dark", "phone", "forced colours"],
)
def test_nobody_is_left_out(visitors: Visitors, site: Workers, how: dict[str, object]) -> None:
    """axe-core finds nothing, and no page is wider than its window."""
    forced = how.pop("forced", False)
    page = enter(visitors, site, PAGES[0], **how)
    if forced:
        page.emulate_media(forced_colors="active")
    expect_live(page)  # nothing that it loads is cut off
    axe = (files("axe_playwright_python") / "axe.min.js").read_text()
    for path in PAGES:
        page.goto(f"{site.first.url}admin/realtime/{path}")
        expect_live(page)
        page.evaluate(axe)
        # Without `preload`, which fetches what style sheets import from the wrong place.
        found = page.evaluate("axe.run('#content-main', {preload: false})")
        assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
