"""`bin/screenshots`: takes the pictures of docs/screenshots/ anew."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, Error, sync_playwright

from demo.embedded import EmbeddedServerError
from demo.screenshots.board_page import SPAN, Prometheus, board_page, dashboards
from demo.screenshots.pictures import FOLDER, PICTURES, THEMES, Picture
from demo.screenshots.running_parts import (
    PASSWORD,
    USER,
    RunningDemo,
    ScreenshotError,
    running_demo,
)
from demo.screenshots.visitors_of_demo import visitors_in

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PATIENCE = 30_000.0  # milliseconds


def main(words: Sequence[str]) -> int:
    """Take the pictures; return the exit code."""
    parser = argparse.ArgumentParser(prog="bin/screenshots", description=__doc__)
    names = [picture.name for picture in PICTURES]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument(
        "--seconds",
        type=float,
        default=SPAN,
        help="how long the demo runs before dashboards are drawn (default: %(default)s)",
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where they go (default: docs/screenshots)"
    )
    asked = parser.parse_args(words)
    pictures = [picture for picture in PICTURES if picture.name in asked.only]
    try:
        _take(pictures, asked.seconds, asked.folder)
    except (ScreenshotError, EmbeddedServerError, Error) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _take(pictures: Sequence[Picture], seconds: float, target: Path) -> None:
    boards = any(picture.shows == "dashboard" for picture in pictures)
    prometheus = shutil.which("prometheus")
    if boards and prometheus is None:
        raise ScreenshotError("Prometheus is not installed: apt install prometheus, or use --only.")
    chromium = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    target.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="screenshots-") as folder,
        running_demo(Path(folder), prometheus if boards else None) as demo,
        visitors_in(demo.workers),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        time.sleep(seconds if boards else min(seconds, 20))
        for picture in pictures:
            for theme in THEMES:
                file = picture.file(theme, target)
                _take_one(browser, picture, theme, demo, file)
                sys.stdout.write(f"{file.name}  {file.stat().st_size / 1024:.0f} KB\n")
        browser.close()


def _take_one(
    browser: Browser, picture: Picture, theme: str, demo: RunningDemo, file: Path
) -> None:
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height or 800},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    root = demo.workers[0]
    if picture.shows == "dashboard":
        (board,) = [board for board in dashboards() if board.uid == picture.path]
        page.set_content(board_page(board, Prometheus(demo.prometheus), {}))
    else:
        if picture.shows == "admin":
            page.goto(f"{root}admin/login/?next=/{picture.path}")
            page.fill("#id_username", USER)
            page.fill("#id_password", PASSWORD)
            page.click("[type=submit]")
        else:
            page.goto(f"{root}{picture.path}")
        page.wait_for_selector(picture.ready)
    page.wait_for_timeout(picture.settle * 1000)
    page.screenshot(path=file, full_page=not picture.height, animations="disabled")
    context.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
