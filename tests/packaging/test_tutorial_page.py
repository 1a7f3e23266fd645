"""A stranger's ten minutes: docs/tutorial.md as it stands, with the wheel, and in a browser."""

from __future__ import annotations

import re
import shlex
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from demo.embedded import EmbeddedServer, EmbeddedValkey, free_port
from tests import tools
from tests.browser.conftest import ARGUMENTS
from tests.browser.stack import is_served
from tests.browser.visitors import Visitors
from tests.docs.blocks import Block, all_blocks
from tests.packaging.conftest import Environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("packaging"),
]

NAMED = re.compile(r"(?:# |\{# )(\S+?)( \(add to its end\))?(?: #\})?")
PATIENCE = 60_000  # milliseconds


class Site(EmbeddedServer):
    """The reader's server: the tutorial's command, on a port that is free here."""

    name: ClassVar[str] = "The tutorial's site"
    start_timeout: ClassVar[float] = 60.0

    def __init__(self, words: list[str], project: Path, redis_url: str) -> None:
        super().__init__(directory=project.parent / "server", port=free_port())
        self._words, self._project, self._redis_url = words, project, redis_url

    def command(self, port: int) -> list[str]:
        """Return the program and its arguments."""
        words = [str(port) if word == "8000" else word for word in self._words]
        assert words != self._words
        variables = [
            "-u",
            "DJANGO_SETTINGS_MODULE",
            "-u",
            "PYTHONPATH",
            f"REDIS_URL={self._redis_url}",
        ]
        return ["env", "-C", str(self._project), *variables, *words]

    def is_up(self) -> bool:
        """Say whether it shows its page."""
        return is_served(f"http://{self.address}/")


class Reader:
    """Does what the tutorial says, from its beginning to its end, and looks.

    Attributes:
        done: The programs and commands that were run.
    """

    def __init__(self, project: Path, wheel: Path, redis: EmbeddedValkey, people: Visitors) -> None:
        self.project, self.wheel, self.redis, self.people = project, wheel, redis, people
        self.environment = Environment(project / ".venv")  # the first two commands
        self.done: list[str] = []
        self.page: Page | None = None

    def read(self, stack: ExitStack) -> None:
        """Go through the page; what is started ends with the stack."""
        for block in all_blocks():
            if block.page != "tutorial.md":
                continue
            if block.language != "console":
                self.write(block)
                continue
            for line in block.code.splitlines():
                assert line.startswith("$ "), line
                self.type(line.removeprefix("$ "), stack)

    def write(self, block: Block) -> None:
        """Write the file that a block names in its first line."""
        first, _, rest = block.code.partition("\n")
        named = NAMED.fullmatch(first)
        assert named, f"{block.place} names no file: {first}"
        path = self.project / named[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((path.read_text() if named[2] else "") + rest)

    def type(self, command: str, stack: ExitStack) -> None:
        """Type a command."""
        program, *arguments = shlex.split(command)
        self.done.append(program)
        if command in ("python -m venv .venv", ". .venv/bin/activate"):
            return
        if program == "pip":
            assert arguments[:2] == ["install", "shardlayer[server]"]
            self.environment.install(f"{self.wheel}[server]", *arguments[2:])
        elif program == "shardlayer-daphne":
            path = str(self.environment.bin / program)
            site = stack.enter_context(Site([path, *arguments], self.project, self.redis.url))
            self.look(f"http://{site.address}/")
        else:
            if "createsuperuser" in arguments:  # which asks for these
                arguments += ["--noinput", "--username", "ada", "--email", "ada@example.com"]
            said = self.run(program, *arguments)
            if program == "pytest":
                assert "2 passed" in said
            if "shell" in arguments:
                self.shows("Coffee: paid", "Tea: new")

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of the environment in the project; return what it printed."""
        done = subprocess.run(
            [self.environment.bin / program, *arguments],
            cwd=self.project,
            env={
                "PATH": f"{self.environment.bin}:/usr/bin:/bin",
                "REDIS_URL": self.redis.url,
                "DJANGO_SUPERUSER_PASSWORD": "secret",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def look(self, url: str) -> None:
        """Open the page and the admin, and change an order there."""
        self.page = self.people.open(url)
        expect(self.page.locator("h1")).to_have_text("Orders", timeout=PATIENCE)
        self.shows()
        admin = self.people.open(f"{url}admin/")
        admin.fill("#id_username", "ada")
        admin.fill("#id_password", "secret")
        submit(admin, "[type=submit]")
        admin.goto(f"{url}admin/shop/order/add/")
        admin.fill("#id_article", "Coffee")
        submit(admin, "[name=_continue]")
        self.shows("Coffee: new")
        admin.fill("#id_status", "paid")
        submit(admin, "[name=_continue]")
        self.shows("Coffee: paid")

    def shows(self, *rows: str) -> None:
        """Wait until the page, which nobody loads again, shows these orders."""
        assert self.page is not None
        expect(self.page.locator("li")).to_have_text(list(rows), timeout=PATIENCE)


def submit(page: Page, button: str) -> None:
    """Send a form, and wait for the page that answers it.

    The row of an order is shown to others before its form's answer is: what is typed meanwhile
    would go into the old page.
    """
    with page.expect_navigation(timeout=PATIENCE):
        page.click(button)


def test_stranger_gets_a_live_page(
    wheel: Path, redis_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """Installed, written, migrated, served, seen in Chromium, and the reader's tests are green."""
    project = tmp_path / "project"
    project.mkdir()
    with sync_playwright() as playwright, ExitStack() as stack:
        browser = playwright.chromium.launch(executable_path=tools.find("chromium"), args=ARGUMENTS)
        stack.callback(browser.close)
        people = Visitors(browser)
        people.expected.append("favicon.ico")
        people.expected.append("/static/admin/img/")  # not waited for before the next page
        reader = Reader(project, wheel, redis_server, people)
        reader.read(stack)
        people.leave()
    assert {"shardlayer-daphne", "pytest", "pip", "django-admin"} <= set(reader.done)
