"""One word for each thing: docs/glossary.md has them, and no page uses the others."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()

# What a page may not say, and the word of the glossary for it.
SECOND_WORDS = {
    r"private rooms?": "own room",
    r"heartbeats?(?!`)": "renewing a lease",
    r"subscribers?": "member, or a client that subscribes",
    r"resume notes?": "note",
    r"stops? in order|stopped in order": "drain",
    r"sequence numbers?": "offset",
    r"dead[- ]letter queues?": "dead letter",
}


def test_each_word_stands_once() -> None:
    """In the first column of the glossary's tables."""
    words = re.findall(r"^\| ([\w ]+) \|", GLOSSARY, re.MULTILINE)
    counted = Counter(word for word in words if word != "word")
    assert len(counted) > 50
    assert set(counted.values()) == {1}
    assert {"room", "shard", "node", "publication", "position", "epoch", "lease"} <= set(counted)
    assert {"drain", "sweep"} <= set(counted)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_uses_these_words(page: Path) -> None:
    """The second words are found, and the first one is named."""
    for second, first in SECOND_WORDS.items():
        found = re.search(rf"\b(?:{second})\b", page.read_text(), re.IGNORECASE)
        assert found is None, f"{found[0]}: say {first}"


def test_second_word_is_found_out() -> None:
    """Whatever its number or case; the client's option `heartbeat` is none."""
    patterns = "|".join(SECOND_WORDS)
    assert re.search(patterns, "A user's private room")
    assert re.search(patterns, "all subscribers")
    assert not re.search(patterns, "| `heartbeat` | 10,000 ms |")
