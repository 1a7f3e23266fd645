"""What a node knows of the changes that its own process made."""

from __future__ import annotations

import asyncio
import math

import pytest

from shardlayer.channels import own_changes
from shardlayer.channels.own_changes import OwnChanges


async def test_only_the_newest_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that is made again is new again."""
    monkeypatch.setattr(own_changes, "CHANGES_KNOWN", 2)
    changes = OwnChanges()
    for channel in ("a", "b", "a", "c"):
        changes.note("g", channel)
    assert [changes.knows("g", channel) for channel in "abc"] == [True, False, True]
    assert changes.last("g", "b") == -math.inf
    assert not changes.knows("h", "a")


async def test_failed_change_leaves_the_one_before() -> None:
    """Unless another was made meanwhile, which stays."""
    changes = OwnChanges()
    _, first, _ = changes.note("g", "a")
    await asyncio.sleep(0.001)  # so that the clock goes on
    failed = changes.note("g", "a")
    assert changes.last("g", "a") > first
    changes.forget(failed)
    assert changes.last("g", "a") == first
    failed = changes.note("g", "a")
    await asyncio.sleep(0.001)
    _, newer, _ = changes.note("g", "a")
    changes.forget(failed)
    assert changes.last("g", "a") == newer
    changes.forget(changes.note("g", "b"))
    assert not changes.knows("g", "b")
