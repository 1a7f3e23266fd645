"""The admin's pages in a real Chromium: how they refresh themselves, and whom they leave out."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.operators import (
    IN_EVERY_LOOK,
    PATIENCE,
    enter,
    expect_live,
    expect_nobody_left_out,
    make_operator,
)
from tests.browser.stack import Workers
from tests.browser.visitors import Visitors

PAGES = ("overviewpage/", "room/", "room/?q=chat.&sort=rate", "room/chat.lobby/", "room/nobody/")


@pytest.fixture(scope="module")
def site(workers: Workers) -> Workers:
    """The workers, with somebody of the staff in their database."""
    make_operator(workers)
    return workers


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
    expect(page.get_by_text("That is not JSON")).to_be_visible()
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
        "Not refreshed any more: sign in again, and reload the page.", timeout=PATIENCE
    )


@IN_EVERY_LOOK
def test_nobody_is_left_out(visitors: Visitors, site: Workers, how: dict[str, object]) -> None:
    """axe-core finds nothing, and no page is wider than its window."""
    expect_nobody_left_out(visitors, site, PAGES, how)
