"""The id of a row's element: one for each key, for the page and for what is published."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from realtime.html_changes import MAX_ID, element_id, html_change
from tests.realtime.live_models.shop import Tag, published

KEYS = ["A/7 red", "ada@example.org", "a:b", "100%", "~", "größe", 'x"><b>', "k" * 400]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("key", KEYS)
def test_a_row_with_any_key_is_saved_and_found_in_the_page(key: str) -> None:
    """`live_id` gives it the id under which it is published."""
    tag = Tag.objects.create(name=key)
    page = Template("{% load realtime %}{{ tag|live_id }}").render(Context({"tag": tag}))
    tag.save()
    tag.delete()
    told = published("tags")[-3:]
    assert [(each["event"], each["pk"]) for each in told] == [
        ("created", key),
        ("updated", key),
        ("deleted", key),
    ]
    assert {each["id"] for each in told} == {page}
    assert f'<li id="{page}">' in told[0]["html"]


@pytest.mark.parametrize(
    "key", [7, -7, "my-slug_2.b", UUID(int=7), Decimal("1.5"), "2026-11-30", ""]
)
def test_an_ordinary_key_stays_as_it_is(key: Any) -> None:
    """So pages may write it themselves."""
    assert element_id("order", key) == f"order-{key}"


def test_other_characters_are_escaped() -> None:
    """As the documentation says."""
    assert element_id("item", "A/7 red") == "item-A:2F7:20red"
    assert element_id("item", "é:~") == "item-:C3:A9:3A:7E"


keys = st.text(st.characters(), max_size=80) | st.text("aA:/%~2Fé\ud800", max_size=300)


@given(keys, keys)
def test_two_keys_have_two_ids_that_html_may_have(one: str, other: str) -> None:
    """Whatever characters they have, and however many."""
    ids = [element_id("item", key) for key in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)
    for id in ids:
        assert len(id) <= MAX_ID
        assert html_change(None, swap="remove", id=id)["id"] == id


def test_a_long_id_is_none_that_a_short_key_has() -> None:
    """Not even that of a key which looks like the digest."""
    long = element_id("item", "k" * 400)
    digest = long.rpartition("::")[2]
    assert len(digest) == 64
    assert long not in {element_id("item", f"{'k' * 95}{colons}{digest}") for colons in (":", "::")}
