"""People with browsers: each in a context of their own, watched for what they would not notice."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.browser.recorder import PATIENCE

# Chromium reports every WebSocket that does not open; no script can prevent it. The client then
# asks for its other way, which that worker does not serve either.
WORKER_IS_DOWN = ("WebSocket connection to", "client-sse.js", "icon.svg")
DESKTOP = (1440, 900)
PHONE = (390, 844)


class Visitors:
    """Opens pages and collects their errors: of the console, of scripts, of requests.

    Attributes:
        expected: Parts of texts that are no fault in this test.
    """

    def __init__(self, browser: Browser) -> None:
        self.expected: list[str] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._faults: list[str] = []

    def open(
        self,
        url: str,
        *,
        size: tuple[int, int] = DESKTOP,
        colours: Literal["light", "dark"] = "light",
        still: bool = False,
        forced: bool = False,
        scripts: bool = True,
        language: str = "en-US",
    ) -> Page:
        """Open a page of `size` CSS pixels.

        Args:
            still: Its reader asked for less motion.
            forced: Its reader has the browser force colours.
            scripts: Whether JavaScript is on.
            language: What the browser asks servers for.
        """
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=colours,
            reduced_motion="reduce" if still else "no-preference",
            forced_colors="active" if forced else "none",
            java_script_enabled=scripts,
            locale=language,
        )
        context.set_default_timeout(PATIENCE)
        self._contexts.append(context)
        page = context.new_page()
        origin = urlsplit(url).netloc
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self._faults.append(f"script: {error}"))
        page.on("requestfailed", lambda request: self._faults.append(f"failed: {request.url}"))
        page.on("request", lambda request: self._asked(origin, request.url))
        page.goto(url)
        return page

    def leave(self) -> None:
        """Close all pages.

        Raises:
            AssertionError: Something went wrong in one.
        """
        for context in self._contexts:
            context.close()
        faults = [
            fault for fault in self._faults if not any(text in fault for text in self.expected)
        ]
        assert not faults, "\n".join(faults)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            place = message.location["url"]
            self._faults.append(f"console {message.type}: {message.text} ({place})")

    def _asked(self, origin: str, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != origin:
            self._faults.append(f"asked another server: {url}")


def state(page: Page) -> Any:
    """Return the place where the page says how it is connected."""
    return page.locator("[data-part=state]")
