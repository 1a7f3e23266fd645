"""A source of histories, for layers that say nothing of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shardlayer import HistoryPolicy, LayerOptions, set_room_source
from shardlayer.core import room_source


@pytest.fixture(autouse=True)
def source() -> Iterator[None]:
    """A source, for the test alone."""
    before = room_source._source
    set_room_source(lambda: {"history": {"chat.*": {"size": 5, "ttl": 10}, "*": None}})
    yield
    set_room_source(before)


def test_it_counts_where_nothing_is_said() -> None:
    """None stands for nothing, as everywhere in CONFIG."""
    for options in (LayerOptions.from_config(), LayerOptions.from_config(history=None)):
        assert options.policy_of("chat.a") == HistoryPolicy(size=5, ttl=10.0)
        assert not options.policy_of("b").keeps


def test_what_is_said_counts() -> None:
    """CONFIG's own history is all that counts."""
    options = LayerOptions.from_config(history={"*": {"size": 7}})
    assert options.policy_of("chat.a") == HistoryPolicy(size=7, ttl=300.0)


def test_without_a_source_there_is_the_default() -> None:
    """Taken away, or with nothing to say."""
    default = LayerOptions().policy_of("a")
    for nothing in (None, dict):
        set_room_source(nothing)
        assert LayerOptions.from_config().policy_of("a") == default
