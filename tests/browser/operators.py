"""Somebody of the staff with a browser, in the admin of a running site."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import files
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.stack import Workers
from tests.browser.visitors import DESKTOP, PHONE, Visitors

PATIENCE = 60_000  # milliseconds
NAME, PASSWORD = "operator", "a long password"

IN_EVERY_LOOK = pytest.mark.parametrize(
    "how",
    [
        {"size": DESKTOP},
        {"size": DESKTOP, "colours": "dark"},
        {"size": PHONE},
        {"size": DESKTOP, "forced": True},
    ],
    ids=["light", "dark", "phone", "forced colours"],
)


def make_operator(workers: Workers) -> None:
    """Put a superuser into the workers' database, and a publication into chat.lobby."""
    environment = {**os.environ, **workers.environment, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    for words in (
        ["migrate", "--verbosity", "0"],
        ["createsuperuser", "--noinput", "--username", NAME, "--email", "operator@example.org"],
        ["realtime", "publish", "chat.lobby", '{"text": "hello"}'],
    ):
        command = [sys.executable, "-m", "django", *words]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def enter(visitors: Visitors, site: Workers, path: str, **how: object) -> Page:
    """Sign in, and open a page of the admin."""
    visitors.expected.append("favicon.ico")  # the admin has none
    address = f"{site.first.url}admin/login/?{urlencode({'next': f'/admin/realtime/{path}'})}"
    page = visitors.open(address, **how)  # type: ignore[arg-type]
    page.locator("[name=username]").fill(NAME)  # in whichever language
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("#login-form [type=submit]").click()
    expect(page.locator("#content-main")).to_be_visible()
    page.wait_for_load_state()  # nothing that it loads is cut off
    return page


def expect_live(page: Page, words: str = "Refreshes itself.") -> None:
    """Wait until the page refreshes itself, which it says in these words."""
    expect(page.locator("#realtime-state")).to_have_text(words, timeout=PATIENCE)


def expect_fit(page: Page) -> None:
    """See that nothing is wider than the window."""
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= page.evaluate("innerWidth"), page.url


def load_axe(page: Page) -> None:
    """Have axe-core in the page."""
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text())


def faults(page: Page, part: str, left_out: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return what axe-core, which is loaded, finds: the rule, and the first element.

    Args:
        part: Where, in JavaScript.
        left_out: Rules that are not tried.
    """
    # Without `preload`, which fetches what style sheets import from the wrong place.
    found = page.evaluate(
        f"(rules) => axe.run({part}, {{preload: false, rules}})",
        {rule: {"enabled": False} for rule in left_out},
    )
    return [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]]


def expect_nobody_left_out(
    visitors: Visitors, site: Workers, paths: Sequence[str], how: dict[str, object]
) -> None:
    """See that axe-core finds nothing in the whole page, and that none is wider than its window.

    Args:
        paths: Pages of the admin that refresh themselves.
        how: One of IN_EVERY_LOOK.
    """
    how = dict(how)
    forced = how.pop("forced", False)
    page = enter(visitors, site, paths[0], **how)
    if forced:
        page.emulate_media(forced_colors="active")
    expect_live(page)  # nothing that it loads is cut off
    for path in paths:
        page.goto(f"{site.first.url}admin/realtime/{path}")
        expect_live(page)
        load_axe(page)
        if forced:
            # Of Django's own header and sidebar axe compares the colours that were asked for with
            # the background that is shown instead.
            assert faults(page, "'#content-main'") == [], path
        left_out = ["color-contrast"] if forced else []
        assert faults(page, "document", left_out) == [], path
        expect_fit(page)
