"""The pictures in docs/: all that there are, shown there, and small."""

from __future__ import annotations

from pathlib import Path

from demo.screenshots.pictures import FOLDER, PICTURES, THEMES

DOCS = Path(__file__).resolve().parents[3] / "docs"
MOST = 220 * 1024  # bytes of one


def test_each_picture_is_there_and_small() -> None:
    """In each theme, and no other: run `bin/screenshots` after a change."""
    expected = {picture.file(theme).name for picture in PICTURES for theme in THEMES}
    assert {path.name for path in FOLDER.iterdir()} == expected
    assert [path.name for path in FOLDER.iterdir() if path.stat().st_size > MOST] == []


def test_each_picture_is_shown() -> None:
    """A page shows both themes of it."""
    pages = "".join(page.read_text() for page in DOCS.glob("*.md"))
    for picture in PICTURES:
        for theme in THEMES:
            assert f"screenshots/{picture.file(theme).name}" in pages
