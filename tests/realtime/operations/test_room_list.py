"""The rooms in an order, while somebody else looks at them too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from realtime import apublish
from realtime.operations import arooms, room_list
from realtime.rooms.room_index import RoomIndex, room_index
from shardlayer import ShardedChannelLayer
from tests.waiting import until

TURNS = 100  # of the event loop


async def test_who_waits_for_anothers_look_keeps_no_cpu_busy(
    redis_layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks now and then, not in each turn of the loop, and has the rates of that look."""
    monkeypatch.setattr(room_list, "FRESH", 0)
    await apublish("news", 1)
    index = room_index(redis_layer)
    await index.refresh(30)
    survey, refresh = ShardedChannelLayer.survey, RoomIndex.refresh
    may_answer, calls = asyncio.Event(), 0

    async def slow(layer: ShardedChannelLayer, rooms: Sequence[str], **more: Any) -> Any:
        await may_answer.wait()
        return await survey(layer, rooms, **more)

    async def counted(self: RoomIndex, *args: Any, **more: Any) -> None:
        nonlocal calls
        calls += 1
        await refresh(self, *args, **more)

    monkeypatch.setattr(ShardedChannelLayer, "survey", slow)
    monkeypatch.setattr(RoomIndex, "refresh", counted)
    index.expire()
    other = asyncio.create_task(index.refresh(30))
    await until(lambda: index.is_looking)
    waiting = asyncio.create_task(arooms(with_rates=True))
    for _ in range(TURNS):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert calls < TURNS / 10
    may_answer.set()
    await other
    found = await waiting
    assert [(room.name, room.rate) for room in found.rooms] == [("news", 0.0)]
