"""The documentation is a site without a broken link."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build(target: Path, config: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    """Build the site as bin/docs does, somewhere else. (With --quiet warnings would not count.)"""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-f", str(config), "-d", str(target)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=False,
    )


class Links(HTMLParser):
    """Collects where a page's links lead and what it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take each address."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.found.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built without a warning."""
    target = tmp_path_factory.mktemp("site")
    built = build(target)
    assert built.returncode == 0, built.stderr[-3000:]
    assert "WARNING" not in built.stderr, built.stderr[-3000:]
    return target


def test_each_page_is_built(site: Path) -> None:
    """Each Markdown file is a page, and the navigation names it."""
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix(".html")
        if name.name == "README.html":
            name = name.with_name("index.html")
        assert (site / name).is_file(), f"{name} is missing"


def test_links_lead_to_files(site: Path) -> None:
    """What a page links to or loads is in the site, or at the repository."""
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # its links count from the server's root
            continue
        links = Links()
        links.feed(page.read_text())
        for link in links.found:
            path = link.partition("#")[0].partition("?")[0]
            if path and "://" not in path and not path.startswith(("data:", "mailto:")):
                target = (page.parent / path).resolve()
                assert target.exists(), f"{page.relative_to(site)} links to {link}"


def test_links_out_of_the_folder_lead_to_files_of_the_repository(site: Path) -> None:
    """A link to a source file leads to that file at the repository."""
    prefix = "https://github.com/shardlayer/shardlayer/blob/main/"
    links = Links()
    links.feed((site / "design.html").read_text() + (site / "brokers.html").read_text())
    found = [link.removeprefix(prefix).partition("#")[0] for link in links.found if prefix in link]
    assert "shardlayer/broker/interface.py" in found
    for path in found:
        assert (ROOT / path).is_file(), f"there is no {path}"


def test_broken_link_fails(tmp_path: Path) -> None:
    """A link to a page or a heading that is not there fails the build."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# A\n\n[b](index.md#nowhere) [c](gone.md)\n")
    config = (ROOT / "mkdocs.yml").read_text().partition("nav:\n  - Home")[0]
    (tmp_path / "mkdocs.yml").write_text(
        config.replace("bin/docs_hooks.py", str(ROOT / "bin/docs_hooks.py"))
    )
    built = build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert built.returncode == 1
    assert "nowhere" in built.stderr
    assert "gone.md" in built.stderr


def test_nothing_is_asked_of_other_sites(site: Path) -> None:
    """No page loads anything from elsewhere, and the theme's script asks GitHub for no figures."""
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert 'data-md-component="source"' not in text
        loads = r'<(?:script|img|source|iframe)[^>]*(?:src|srcset)="(?:https?:)?//'
        assert not re.search(loads, text)
        assert not re.search(
            r'<link rel="(?:stylesheet|preconnect)"[^>]*href="(?:https?:)?//', text
        )


def test_search_has_every_page(site: Path) -> None:
    """Its index has text of each page."""
    index = json.loads((site / "search" / "search_index.json").read_text())
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    pages = {str(page.relative_to(site)) for page in site.rglob("*.html")} - {"404.html"}
    assert pages <= found | {""}
