"""The names that the demo's visitors have without signing in."""

from __future__ import annotations

import pytest

from demo.consumers import NAME_LENGTH, clean_name, name_of_cookies


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ada", "Ada"), ("  Ada \n Lovelace ", "Ada Lovelace"), ("A\x00\u202eda", "Ada"), (" ", ""),
        ("x" * 50, "x" * NAME_LENGTH), ("<b>", "<b>"),
    ],
)  # fmt: skip
def test_names_are_one_short_line(text: str, name: str) -> None:
    """What can't be printed or turns the line round is left out."""
    assert clean_name(text) == name


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b"shardlayer_name=Ada%20L", "Ada L"), (b"a=1; shardlayer_name=J%C3%BCrgen", "J\u00fcrgen"),
        (b"", ""), (b"a=1", ""), (b"shardlayer_name=", ""), (b"shardlayer_name=%FF", ""),
        (b";;==\x00", ""),
    ],
)  # fmt: skip
def test_a_cookie_may_say_anything(header: bytes, name: str) -> None:
    """A name is read from cookies, and what is none is no name."""
    assert name_of_cookies([(b"host", b"x"), (b"cookie", header)]) == name
