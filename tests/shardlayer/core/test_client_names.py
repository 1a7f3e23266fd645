"""The names of clients, and of entries that one of them does not get."""

from __future__ import annotations

import pytest

from shardlayer.core.client_names import is_client_name, new_client_name, parted, without


def test_names_are_new_and_have_the_form() -> None:
    """Each name is another, and is recognised."""
    names = {new_client_name() for _ in range(100)}
    assert len(names) == 100
    assert all(map(is_client_name, names))


@pytest.mark.parametrize("value", ["", "short", "x" * 17, "has space 123456", None, 7, b"x" * 16])
def test_what_is_no_name(value: object) -> None:
    """Whatever a header may hold is refused."""
    assert not is_client_name(value)


def test_an_entry_for_all_but_one_is_taken_apart_again() -> None:
    """The room and the client come back; an entry for all has no client."""
    name = new_client_name()
    assert parted(without("chat.lobby", name)) == ("chat.lobby", name)
    assert parted("chat.lobby") == ("chat.lobby", "")
