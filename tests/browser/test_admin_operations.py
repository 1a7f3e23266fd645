"""The admin's pages of shards, nodes and Kafka in a real Chromium, beside the whole demo."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiokafka import AIOKafkaProducer
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

BAD = b"not JSON <img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def site(demo: Workers) -> Workers:
    """The demo, with an operator and three bad records."""
    make_operator(demo)
    servers = demo.environment["KAFKA_BOOTSTRAP_SERVERS"]
    with ThreadPoolExecutor(1) as elsewhere:  # Playwright has this thread's loop
        elsewhere.submit(lambda: asyncio.run(write_bad(servers, 3))).result()
    return demo


async def write_bad(servers: str, count: int) -> None:
    """Write records that are not JSON."""
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for _ in range(count):
            await producer.send_and_wait("events", BAD, key=b"chat.lobby", partition=5)


def wait_for_letters(page: Page, count: int) -> None:
    """Load the Kafka page again until it shows so many dead letters."""
    for _ in range(PATIENCE // 500):
        if page.get_by_role("button", name="Replay events/5").count() >= count:
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError(f"not {count} dead letters: {page.locator('#content-main').inner_text()}")


def test_dead_letters_are_replayed(visitors: Visitors, site: Workers) -> None:
    """They are shown as text; one is sent again by a click, the others after a question."""
    page = enter(visitors, site, "kafkapage/")
    wait_for_letters(page, 3)
    page.get_by_text("Show", exact=True).first.click()
    expect(page.get_by_text(BAD.decode()).first).to_be_visible()
    assert page.locator("pre img").count() == 0
    page.get_by_role("button", name="Replay events/5, 0", exact=True).click()
    expect(page.get_by_text("to its topic again.")).to_be_visible()
    page.get_by_role("link", name="Replay all …").click()
    page.get_by_role("button", name="Yes, replay").click()
    expect(page.get_by_text("are left.")).to_be_visible()


def test_kafka_page_refreshes_itself(visitors: Visitors, site: Workers) -> None:
    """The pool's reports and the partitions come by themselves."""
    page = enter(visitors, site, "kafkapage/")
    expect_live(page)
    expect(page.get_by_role("heading", name="Pools")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("rowheader", name="events/7")).to_be_visible()


@IN_EVERY_LOOK
def test_nobody_is_left_out(visitors: Visitors, site: Workers, how: dict[str, object]) -> None:
    """axe-core finds nothing, and no page is wider than its window."""
    pages = ("shardspage/", "nodespage/", "kafkapage/")
    expect_nobody_left_out(visitors, site, pages, how)


def test_node_is_drained(visitors: Visitors, site: Workers) -> None:
    """The page asks; then the worker is told, and ends: no other test needs it."""
    page = enter(visitors, site, "nodespage/")
    expect_live(page)
    drains = page.get_by_role("link", name="Drain")
    expect(drains).to_have_count(2, timeout=PATIENCE)
    own = page.locator("tr", has_text=f":{site.second.pid}")
    own.get_by_role("link", name="Drain").click()
    page.get_by_role("button", name="Yes, drain it").click()
    expect(page.get_by_text("drains: it sends its clients away, and ends.")).to_be_visible(
        timeout=PATIENCE
    )
