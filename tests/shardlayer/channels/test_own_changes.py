"""What a node knows of the changes that its own process made while a shard could not be heard."""

from __future__ import annotations

import pytest

from shardlayer.broker.values import Order
from shardlayer.channels import own_changes
from shardlayer.channels.own_changes import OwnChanges

LONG_AGO = 0.0  # by the clock of the event loop


def order(channel: str) -> Order:
    return Order(1, "g", channel, add=False)


async def test_only_the_newest_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that is made again is new again."""
    monkeypatch.setattr(own_changes, "CHANGES_KNOWN", 2)
    changes = OwnChanges()
    for channel in ("a", "b", "a", "c"):
        changes.begin("g", channel)
    assert [changes.knows(order(channel)) for channel in "abc"] == [True, False, True]
    assert [changes.undo(order(channel), LONG_AGO) for channel in "abc"] == [True, False, True]


async def test_order_that_was_given_later_counts() -> None:
    changes = OwnChanges()
    change = changes.begin("g", "a")
    assert not changes.undo(order("a"), change.began)
    assert changes.undo(order("a"), change.began - 1e-6)


async def test_failed_change_leaves_the_one_before() -> None:
    changes = OwnChanges()
    first = changes.begin("g", "a")
    assert changes.end(first, failed=False) is None
    assert changes.end(changes.begin("g", "a"), failed=True) is None
    assert changes.undo(order("a"), LONG_AGO)
    assert changes.end(changes.begin("g", "b"), failed=True) is None
    assert not changes.knows(order("b"))


async def test_failed_change_returns_the_order_that_counts_after_all() -> None:
    """Unless another change was made since, or the order came when it had already succeeded."""
    changes = OwnChanges()
    change = changes.begin("g", "a")
    assert changes.undo(order("a"), LONG_AGO)
    assert changes.end(change, failed=True) == order("a")
    change = changes.begin("g", "a")
    assert changes.undo(order("a"), LONG_AGO)
    changes.end(changes.begin("g", "a"), failed=False)
    assert changes.end(change, failed=True) is None
    assert changes.undo(order("a"), LONG_AGO)


@pytest.mark.parametrize("first_ends_first", [True, False])
async def test_order_counts_once_no_change_is_left_that_may_succeed(first_ends_first: bool) -> None:
    """Two changes of the same fail, one beside the other."""
    changes = OwnChanges()
    one = changes.begin("g", "a")
    assert changes.undo(order("a"), LONG_AGO)
    two = changes.begin("g", "a")
    ends = (one, two) if first_ends_first else (two, one)
    assert [changes.end(change, failed=True) for change in ends] == [None, order("a")]
    assert not changes.knows(order("a"))
