"""The code of README.md, in a project that `startproject` made, and a browser."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from playwright.sync_api import expect

from demo.embedded import EmbeddedServer, EmbeddedValkey, free_port
from tests.browser.stack import is_served
from tests.browser.visitors import Visitors
from tests.docs.blocks import ROOT, all_blocks

PATIENCE = 60_000  # milliseconds
COMMENTS = ("# ", "{#")  # of Python, of a template


def environment(project: Path) -> dict[str, str]:
    """Return the variables of the reader's shell, which has nothing of this repository's tests."""
    kept = {name: text for name, text in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(project), str(ROOT)])}


class RunServer(EmbeddedServer):
    """`manage.py runserver`, as the README starts it, on a port that is free here."""

    name: ClassVar[str] = "The README's site"
    start_timeout: ClassVar[float] = 60.0  # a whole project, on a machine that may be busy

    def command(self, port: int) -> list[str]:
        """Return the program and its arguments."""
        project = self.directory.parent
        variables = ["-u", "DJANGO_SETTINGS_MODULE", f"PYTHONPATH={project}{os.pathsep}{ROOT}"]
        runserver = ["manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
        return ["env", "-C", str(project), *variables, sys.executable, *runserver]

    def is_up(self) -> bool:
        """Say whether it shows its page."""
        return is_served(f"http://{self.address}/")


def test_twenty_lines_work(
    tmp_path: Path, redis_server: EmbeddedValkey, visitors: Visitors
) -> None:
    """What the README's command publishes appears in the page that its lines make."""
    blocks = [block for block in all_blocks() if block.page == "README.md"]
    files = [block for block in blocks if block.file]
    lines = [line for block in files for line in block.code.splitlines()]
    assert (
        len([line for line in lines if re.search(r"\w", line) and line[:2] not in COMMENTS]) <= 20
    )

    def run(*words: str) -> None:
        subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=environment(tmp_path),
            check=True,
            timeout=120,
        )

    run("-m", "django", "startproject", "mysite", ".")
    visitors.expected.append("favicon.ico")
    for block in files:
        path = tmp_path / str(block.file)
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write(block.code.replace("redis://127.0.0.1:6379", redis_server.url))
    commands = [
        shlex.split(line)[2:]
        for block in blocks
        for line in block.code.splitlines()
        if line.startswith("$ python")
    ]
    assert [words[1] for words in commands] == ["migrate", "runserver", "realtime"]
    migrate, _, publish = commands
    run(*migrate)
    with RunServer(directory=tmp_path / "server", port=free_port()) as site:
        page = visitors.open(f"http://{site.address}/")
        page.wait_for_function("client.status.state === 'live'", timeout=PATIENCE)
        run(*publish)
        expect(page.locator("#news")).to_have_text("Hello", timeout=PATIENCE)
        page.close()  # before its server is gone
