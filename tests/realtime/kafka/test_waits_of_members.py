"""A member that waits for its group's next word hears of what ended it meanwhile."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.kafka.membership import GroupMembership
from realtime.kafka.stopping import Stop
from shardlayer import ShardedChannelLayer


def make_dispatch(**callbacks: Any) -> Any:
    """Return what takes no records."""
    return SimpleNamespace()


async def test_event_that_comes_as_the_wait_ends(
    redis_layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka is not asked then: its task may be what ended, and would cancel who asks."""
    membership = GroupMembership(
        topics=["t"],
        arguments={"max_unpacked": 1_000, "group_id": "group"},
        router=SimpleNamespace(),  # type: ignore[arg-type]
        dispatch=make_dispatch,
        layer=redis_layer,
        progress=SimpleNamespace(),  # type: ignore[arg-type]
        stop=Stop(),
        topic_ids={},
        made_again=set(),
        on_fetch=lambda: None,
    )

    def stay() -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(membership._consumer, "stay", stay)
    monkeypatch.setattr("realtime.kafka.membership.STAY_INTERVAL", 0.0)
    event = asyncio.Event()
    waiting = asyncio.create_task(membership._comes(event))
    await asyncio.sleep(0)  # it waits, and its time is over in the turn that begins now
    asyncio.get_running_loop().call_soon(event.set)
    await asyncio.wait([waiting])
    membership._consumer._closed = True  # it was never started
    assert not waiting.cancelled()
    assert waiting.result()
