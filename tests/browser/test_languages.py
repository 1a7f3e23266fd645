"""The pages in German, on a phone: all words are there, and none is wider than the window."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.operators import enter, expect_fit, expect_live, make_operator
from tests.browser.stack import Workers
from tests.browser.visitors import DESKTOP, PHONE, Visitors, state

PATIENCE = 60_000  # milliseconds
FRESH = "Aktualisiert sich selbst."
PAGES = ("overviewpage/", "room/", "shardspage/", "nodespage/", "kafkapage/", "room/chat.lobby/")
SIZES = pytest.mark.parametrize(
    "size", [(320, 700), PHONE, DESKTOP], ids=["small", "phone", "desk"]
)


@pytest.fixture(scope="module")
def site(workers: Workers) -> Workers:
    """The workers, with somebody of the staff in their database."""
    make_operator(workers)
    return workers


@SIZES
def test_admin_speaks_german(size: tuple[int, int], site: Workers, visitors: Visitors) -> None:
    """Each page fits, and is German also after it has refreshed itself."""
    page = enter(visitors, site, PAGES[0], size=size, language="de-DE")
    expect_live(page, FRESH)  # nothing that it loads is cut off
    for path in PAGES:
        page.goto(f"{site.first.url}admin/realtime/{path}")
        expect_live(page, FRESH)
        expect(page.get_by_role("link", name="Übersicht").first).to_be_visible()
        expect_fit(page)
    page.goto(f"{site.first.url}admin/realtime/overviewpage/")
    expect_live(page, FRESH)
    expect(page.locator("#overview")).to_contain_text("Verbindungen")
    expect(page.locator("#overview")).not_to_contain_text("Connections")


@SIZES
def test_demo_speaks_german(size: tuple[int, int], demo: Workers, visitors: Visitors) -> None:
    """Its templates and its scripts; and a reader may choose another language."""
    page = visitors.open(demo.first.url, size=size, language="de-DE")
    expect(page.locator("[data-part=people]")).to_contain_text("Worker", timeout=PATIENCE)
    expect(page.get_by_role("button", name="Für 5 s trennen")).to_be_enabled(timeout=PATIENCE)
    expect_fit(page)
    page.get_by_role("button", name="Für 5 s trennen").click()
    expect(page.get_by_role("button", name="Jetzt verbinden")).to_be_visible()
    expect(state(page)).to_contain_text("Getrennt")
    expect_fit(page)
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("button", name="Cut it for 5 s")).to_be_visible()
